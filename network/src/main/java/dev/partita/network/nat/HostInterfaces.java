package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import dev.partita.network.IpPrefix;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;

/// What the host's interfaces say about a network for guests: which addresses would hide
/// something from them, and whether there is a way into the IPv6 Internet.
final class HostInterfaces {
  private static final System.Logger LOG = System.getLogger(HostInterfaces.class.getName());

  /// Networks to choose from, of those that RFC 1918 leaves to everybody.
  static final List<IpPrefix> CANDIDATES =
      List.of(
          IpPrefix.parse("172.29.192.0/24"),
          IpPrefix.parse("172.23.192.0/24"),
          IpPrefix.parse("192.168.213.0/24"),
          IpPrefix.parse("10.213.192.0/24"),
          IpPrefix.parse("10.77.192.0/24"));

  private HostInterfaces() {}

  /// The networks that the host is a part of.
  static List<IpPrefix> networks() {
    var all = new ArrayList<IpPrefix>();
    try {
      var interfaces = NetworkInterface.getNetworkInterfaces();
      while (interfaces != null && interfaces.hasMoreElements()) {
        for (var address : interfaces.nextElement().getInterfaceAddresses()) {
          all.add(
              new IpPrefix(IpAddress.of(address.getAddress()), address.getNetworkPrefixLength()));
        }
      }
    } catch (SocketException | IllegalArgumentException e) {
      LOG.log(System.Logger.Level.DEBUG, "nat: the host's interfaces cannot be read", e);
    }
    return all;
  }

  /// The first candidate that overlaps none of the networks; the very first if all do.
  static IpPrefix free(List<IpPrefix> networks) {
    for (var candidate : CANDIDATES) {
      if (networks.stream().noneMatch(n -> overlap(n, candidate))) {
        return candidate;
      }
    }
    return CANDIDATES.getFirst();
  }

  private static boolean overlap(IpPrefix a, IpPrefix b) {
    // A prefix of length 0 is no network of an interface; some tunnels claim it.
    return a.length() > 0 && (a.contains(b.address()) || b.contains(a.address()));
  }

  /// Whether the host has an IPv6 address that routers know.
  static boolean routesIpv6(List<IpPrefix> networks) {
    return networks.stream()
        .map(IpPrefix::address)
        .anyMatch(address -> !address.isV4() && address.isRoutable());
  }
}
