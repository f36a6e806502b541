package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import dev.partita.network.IpPrefix;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import java.util.List;

/// A network behind the NAT.
///
/// @param ipv4 the guests' network, /8 to /30; its first address is the gateway's
/// @param ipv6 the guests' network, a /64; its address 1 is the gateway's
/// @param routesIpv6 whether guests are told that the gateway leads to the IPv6 Internet
/// @param mac the gateway's
/// @param mtu octets of the largest IP packet, 1280 to 9000
/// @param hostAllowed whether the gateway's address stands for the host's loopback address
/// @param publications ports of the host
/// @param limits what guests may use
public record NatSettings(
    IpPrefix ipv4,
    IpPrefix ipv6,
    boolean routesIpv6,
    MacAddress mac,
    int mtu,
    boolean hostAllowed,
    List<Publication> publications,
    Limits limits) {

  /// What guests may use of the host.
  ///
  /// @param connections TCP connections, those in TIME_WAIT included
  /// @param datagramFlows UDP sockets
  /// @param memory octets of all TCP buffers beyond 8 KiB a connection
  /// @param connectionBuffer octets that one connection buffers in each direction, a power of two
  public record Limits(int connections, int datagramFlows, long memory, int connectionBuffer) {
    public static final Limits DEFAULT = new Limits(8192, 2048, 96L << 20, 1 << 18);
  }

  /// IPv6 does without less (RFC 8200, 5).
  private static final int LEAST_MTU = 1280;

  private static final int MOST_MTU = 9000;

  public NatSettings {
    if (!ipv4.address().isV4() || ipv4.length() < 8 || ipv4.length() > 30) {
      throw new IllegalArgumentException("not an IPv4 network of /8 to /30: " + ipv4);
    }
    if (ipv6.address().isV4() || ipv6.length() != 64) {
      throw new IllegalArgumentException("not an IPv6 network of /64: " + ipv6);
    }
    if (mtu < LEAST_MTU || mtu > MOST_MTU) {
      throw new IllegalArgumentException(
          "an MTU of %d is not in %d to %d".formatted(mtu, LEAST_MTU, MOST_MTU));
    }
    publications = List.copyOf(publications);
  }

  /// The default network. The IPv6 prefix is a unique local one (RFC 4193); its 40 random bits were
  /// drawn once, for nothing outside ever sees it.
  public static NatSettings standard() {
    return new NatSettings(
        IpPrefix.parse("172.29.192.0/24"),
        IpPrefix.parse("fd5e:8e5a:c6a1::/64"),
        false,
        MacAddress.parse("00:15:5d:ff:ff:fe"),
        Offloads.NONE.mtu(),
        false,
        List.of(),
        Limits.DEFAULT);
  }

  /// The default network on this host: with IPv4 addresses that hide none of the host's networks
  /// from the guests, and a way into the IPv6 Internet if the host has one.
  public static NatSettings forHost() {
    var networks = HostInterfaces.networks();
    return standard()
        .withIpv4(HostInterfaces.free(networks))
        .withRoutesIpv6(HostInterfaces.routesIpv6(networks));
  }

  /// The gateway's IPv4 address.
  public IpAddress gateway4() {
    return ipv4.at(1);
  }

  /// The gateway's IPv6 address.
  public IpAddress gateway6() {
    return ipv6.at(1);
  }

  /// The gateway's link-local address: from it come router advertisements (RFC 4861, 4.2).
  public static IpAddress linkLocal6() {
    return IpAddress.parse("fe80::1");
  }

  public NatSettings withIpv4(IpPrefix network) {
    return new NatSettings(network, ipv6, routesIpv6, mac, mtu, hostAllowed, publications, limits);
  }

  public NatSettings withRoutesIpv6(boolean routes) {
    return new NatSettings(ipv4, ipv6, routes, mac, mtu, hostAllowed, publications, limits);
  }

  public NatSettings withMtu(int octets) {
    return new NatSettings(ipv4, ipv6, routesIpv6, mac, octets, hostAllowed, publications, limits);
  }

  public NatSettings withHostAllowed(boolean allowed) {
    return new NatSettings(ipv4, ipv6, routesIpv6, mac, mtu, allowed, publications, limits);
  }

  public NatSettings withPublications(List<Publication> ports) {
    return new NatSettings(ipv4, ipv6, routesIpv6, mac, mtu, hostAllowed, ports, limits);
  }

  public NatSettings withLimits(Limits limits) {
    return new NatSettings(ipv4, ipv6, routesIpv6, mac, mtu, hostAllowed, publications, limits);
  }
}
