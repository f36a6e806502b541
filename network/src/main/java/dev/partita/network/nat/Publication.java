package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import org.jspecify.annotations.Nullable;

/// A port of the host behind which a guest's port is.
///
/// @param bind the host's address, or nothing for the loopback addresses only
/// @param hostPort 1 to 65535
/// @param guestPort 1 to 65535
/// @param udp UDP instead of TCP
/// @param guest the guest's address, or nothing for the network's first guest
public record Publication(
    @Nullable IpAddress bind, int hostPort, int guestPort, boolean udp, @Nullable IpAddress guest) {

  /// Reads `[ADDRESS:]HOST:GUEST[/udp]`, an IPv6 address in brackets: `2222:22`, `0.0.0.0:80:8080`,
  /// `[::1]:5353:53/udp`.
  ///
  /// @throws IllegalArgumentException if it is none
  public static Publication parse(String text) {
    var rest = text;
    boolean udp = false;
    int slash = rest.indexOf('/');
    if (slash >= 0) {
      switch (rest.substring(slash + 1)) {
        case "udp" -> udp = true;
        case "tcp" -> {}
        default -> throw wrong(text);
      }
      rest = rest.substring(0, slash);
    }
    int last = rest.lastIndexOf(':');
    if (last < 0) {
      throw wrong(text);
    }
    int guestPort = port(text, rest.substring(last + 1));
    rest = rest.substring(0, last);
    int before = rest.lastIndexOf(':');
    IpAddress bind = null;
    if (before >= 0) {
      var address = rest.substring(0, before);
      if (address.startsWith("[") && address.endsWith("]")) {
        address = address.substring(1, address.length() - 1);
      } else if (address.indexOf(':') >= 0) {
        throw wrong(text);
      }
      bind = IpAddress.parse(address);
    }
    return new Publication(bind, port(text, rest.substring(before + 1)), guestPort, udp, null);
  }

  private static int port(String text, String digits) {
    if (!digits.matches("[0-9]{1,5}")) {
      throw wrong(text);
    }
    int port = Integer.parseInt(digits);
    if (port < 1 || port > 65535) {
      throw wrong(text);
    }
    return port;
  }

  private static IllegalArgumentException wrong(String text) {
    return new IllegalArgumentException(
        "not a published port: '%s' (examples: 2222:22, 0.0.0.0:8080:80, 5353:53/udp)"
            .formatted(text));
  }

  @Override
  public String toString() {
    var address = bind == null ? "" : bind.isV4() ? bind + ":" : "[" + bind + "]:";
    return address + hostPort + ":" + guestPort + (udp ? "/udp" : "");
  }
}
