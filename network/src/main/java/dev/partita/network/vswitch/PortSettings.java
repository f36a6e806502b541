package dev.partita.network.vswitch;

import dev.partita.network.MacAddress;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// How the switch treats a port.
///
/// @param mac the adapter's address; nothing where stations are learned only
/// @param macSpoofing whether other source addresses are accepted and learned (Hyper-V's
///     MacAddressSpoofing)
/// @param dhcpGuard drops answers of DHCP servers that come from here
/// @param routerGuard drops router advertisements and redirects that come from here
/// @param outboundLimit bits per second that may come from here, 0 for no limit
/// @param inboundLimit bits per second that may go there, 0 for no limit
/// @param rules access list, in the order in which they are looked at
public record PortSettings(
    PortRole role,
    @Nullable MacAddress mac,
    boolean macSpoofing,
    VlanMode vlan,
    boolean dhcpGuard,
    boolean routerGuard,
    long outboundLimit,
    long inboundLimit,
    Mirroring mirroring,
    List<AccessRule> rules) {

  /// Whether a port's frames are copied to others (Hyper-V's PortMirroringMode).
  public enum Mirroring {
    NONE,
    /// Its frames, both ways, are copied to every destination in the switch.
    SOURCE,
    /// It gets the copies.
    DESTINATION
  }

  /// Rules of one port.
  public static final int MOST_RULES = 1000;

  public PortSettings {
    if (role == PortRole.ADAPTER && mac == null) {
      throw new IllegalArgumentException("an adapter has an address");
    }
    if (mac != null && mac.isGroup()) {
      throw new IllegalArgumentException(mac + " is a group's address, no adapter's");
    }
    if (outboundLimit < 0 || inboundLimit < 0) {
      throw new IllegalArgumentException("a bandwidth below zero");
    }
    if (rules.size() > MOST_RULES) {
      throw new IllegalArgumentException(
          "%d rules are more than %d".formatted(rules.size(), MOST_RULES));
    }
    rules = rules.stream().sorted(Comparator.comparingInt(AccessRule::weight).reversed()).toList();
  }

  /// A child's NIC with Hyper-V's defaults: no spoofing, no VLAN, guards off, no limits.
  public static PortSettings adapter(MacAddress mac) {
    return new PortSettings(
        PortRole.ADAPTER,
        mac,
        false,
        VlanMode.UNTAGGED,
        false,
        false,
        0,
        0,
        Mirroring.NONE,
        List.of());
  }

  /// The host with one address.
  public static PortSettings host(MacAddress mac) {
    return new PortSettings(
        PortRole.HOST,
        mac,
        false,
        VlanMode.UNTAGGED,
        false,
        false,
        0,
        0,
        Mirroring.NONE,
        List.of());
  }

  /// Stations that are learned: an uplink or a link.
  public static PortSettings stations(PortRole role) {
    return new PortSettings(
        role, null, true, VlanMode.ALL, false, false, 0, 0, Mirroring.NONE, List.of());
  }

  /// Whether source addresses are learned here and unknown destinations are looked for here.
  boolean learns() {
    return macSpoofing;
  }

  public PortSettings withMac(MacAddress mac) {
    return new PortSettings(
        role,
        mac,
        macSpoofing,
        vlan,
        dhcpGuard,
        routerGuard,
        outboundLimit,
        inboundLimit,
        mirroring,
        rules);
  }

  public PortSettings withMacSpoofing(boolean allowed) {
    return new PortSettings(
        role,
        mac,
        allowed,
        vlan,
        dhcpGuard,
        routerGuard,
        outboundLimit,
        inboundLimit,
        mirroring,
        rules);
  }

  public PortSettings withVlan(VlanMode vlan) {
    return new PortSettings(
        role,
        mac,
        macSpoofing,
        vlan,
        dhcpGuard,
        routerGuard,
        outboundLimit,
        inboundLimit,
        mirroring,
        rules);
  }

  public PortSettings withGuards(boolean dhcp, boolean router) {
    return new PortSettings(
        role, mac, macSpoofing, vlan, dhcp, router, outboundLimit, inboundLimit, mirroring, rules);
  }

  public PortSettings withLimits(long outbound, long inbound) {
    return new PortSettings(
        role, mac, macSpoofing, vlan, dhcpGuard, routerGuard, outbound, inbound, mirroring, rules);
  }

  public PortSettings withMirroring(Mirroring mode) {
    return new PortSettings(
        role,
        mac,
        macSpoofing,
        vlan,
        dhcpGuard,
        routerGuard,
        outboundLimit,
        inboundLimit,
        mode,
        rules);
  }

  public PortSettings withRules(List<AccessRule> rules) {
    return new PortSettings(
        role,
        mac,
        macSpoofing,
        vlan,
        dhcpGuard,
        routerGuard,
        outboundLimit,
        inboundLimit,
        mirroring,
        rules);
  }
}
