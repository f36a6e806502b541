package dev.partita.network.vswitch;

import dev.partita.network.Headers;
import dev.partita.network.MacAddress;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Where a frame goes: a function of the frame and the tables that changes neither.
final class Forwarding {
  private static final int[] NOWHERE = {};

  // UDP ports of DHCP (RFC 2131, 4.1) and DHCPv6 (RFC 8415, 7.2).
  private static final int DHCP_SERVER = 67;
  private static final int DHCP_CLIENT = 68;
  private static final int DHCPV6_CLIENT = 546;
  private static final int DHCPV6_SERVER = 547;

  // ICMP: redirect (RFC 792), router advertisement (RFC 1256). ICMPv6: router advertisement and
  // redirect (RFC 4861, 4.2 and 4.5).
  private static final int ICMP_REDIRECT = 5;
  private static final int ICMP_ROUTER = 9;
  private static final int ICMPV6_ROUTER = 134;
  private static final int ICMPV6_REDIRECT = 137;

  /// What the decision is made from.
  interface Tables {
    /// Numbers of all ports whose link is up.
    int[] ports();

    /// A port's settings.
    PortSettings settings(int port);

    /// The port of a station, or -1.
    int find(int vlan, long mac);

    /// Whether a port's stateful rules let a packet's flow pass.
    boolean open(int port, Headers headers, boolean outbound);
  }

  private Forwarding() {}

  /// Decides.
  ///
  /// @param from the port that the frame came from
  /// @param headers of the frame, whose tag was taken out
  static Decision decide(Tables tables, int from, Headers headers) {
    var settings = tables.settings(from);
    var frame = headers.frame();
    if (headers.kind() == Headers.Kind.MALFORMED) {
      return drop(DropReason.MALFORMED);
    }
    long source = frame.source();
    var mac = settings.mac();
    if (MacAddress.isGroup(source)
        || !settings.macSpoofing() && (mac == null || mac.bits() != source)) {
      return drop(DropReason.SPOOFED_SOURCE);
    }
    int vlan = settings.vlan().enter(frame.tag());
    // A second tag behind the first would be the first to a receiver that sees no tags.
    if (vlan < 0 || frame.u16(12) == dev.partita.network.Frame.TYPE_8021Q) {
      return drop(DropReason.WRONG_VLAN);
    }
    if (settings.dhcpGuard() && isDhcpAnswer(headers)) {
      return drop(DropReason.DHCP_GUARD);
    }
    if (settings.routerGuard() && isRouterMessage(headers)) {
      return drop(DropReason.ROUTER_GUARD);
    }
    if (denied(tables, from, headers, true)) {
      return drop(DropReason.DENIED);
    }
    long destination = frame.destination();
    if (!MacAddress.isGroup(destination)) {
      int port = tables.find(vlan, destination);
      if (port >= 0) {
        if (port == from || !tables.settings(port).vlan().carries(vlan)) {
          return drop(DropReason.UNKNOWN_DESTINATION);
        }
        return denied(tables, port, headers, false)
            ? drop(DropReason.DENIED)
            : new Decision.Deliver(vlan, new int[] {port});
      }
    }
    return flood(tables, from, vlan, headers, MacAddress.isGroup(destination));
  }

  private static Decision.Drop drop(DropReason reason) {
    return new Decision.Drop(reason);
  }

  /// To all ports of the VLAN, or to those only behind which unknown stations may be.
  private static Decision flood(Tables tables, int from, int vlan, Headers headers, boolean group) {
    var ports = tables.ports();
    var chosen = NOWHERE;
    int n = 0;
    boolean denied = false;
    for (int port : ports) {
      var settings = tables.settings(port);
      if (port == from || !settings.vlan().carries(vlan) || !group && !settings.learns()) {
        continue;
      }
      if (denied(tables, port, headers, false)) {
        denied = true;
        continue;
      }
      if (chosen.length == 0) {
        chosen = new int[ports.length];
      }
      chosen[n++] = port;
    }
    if (n == 0 && !group) {
      return drop(denied ? DropReason.DENIED : DropReason.UNKNOWN_DESTINATION);
    }
    return new Decision.Deliver(vlan, Arrays.copyOf(chosen, n));
  }

  private static boolean denied(Tables tables, int port, Headers headers, boolean outbound) {
    var settings = tables.settings(port);
    if (settings.rules().isEmpty()) {
      return false;
    }
    var rule = match(settings, headers, outbound);
    return rule != null
        && rule.action() == AccessRule.Action.DENY
        && !tables.open(port, headers, outbound);
  }

  /// The rule that decides on a frame, or nothing.
  static @Nullable AccessRule match(PortSettings settings, Headers headers, boolean outbound) {
    var direction = outbound ? AccessRule.Direction.OUTBOUND : AccessRule.Direction.INBOUND;
    for (var rule : settings.rules()) {
      if (rule.direction() == direction && rule.matches(headers)) {
        return rule;
      }
    }
    return null;
  }

  private static boolean isDhcpAnswer(Headers headers) {
    if (!headers.hasPorts() || headers.protocol() != Headers.UDP) {
      return false;
    }
    int source = headers.sourcePort();
    int destination = headers.destinationPort();
    // The source port is not required of a server; clients look at the destination's.
    return headers.kind() == Headers.Kind.IPV4
        ? source == DHCP_SERVER || destination == DHCP_CLIENT
        : source == DHCPV6_SERVER || destination == DHCPV6_CLIENT;
  }

  private static boolean isRouterMessage(Headers headers) {
    int type = headers.icmpType();
    if (headers.kind() == Headers.Kind.IPV4) {
      return type == ICMP_ROUTER || type == ICMP_REDIRECT;
    }
    if (headers.kind() != Headers.Kind.IPV6) {
      return false;
    }
    // RFC 7113, 3: a first fragment that hides its upper-layer header is no honest packet.
    boolean hidden =
        headers.isFragment()
            && headers.fragmentOffset() == 0
            && headers.protocol() == Headers.ICMPV6
            && headers.transportLength() < 1;
    return hidden || type == ICMPV6_ROUTER || type == ICMPV6_REDIRECT;
  }
}
