package dev.partita.network.nat;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import java.nio.ByteBuffer;
import java.util.List;

/// What an IPv6 router says on its link: neighbor discovery (RFC 4861) and router advertisements
/// with address autoconfiguration (RFC 4862) and resolvers (RFC 8106). Not thread-safe: under the
/// gateway's lock.
final class Icmpv6 {
  static final int ECHO_REQUEST = 128;
  static final int ECHO_REPLY = 129;
  static final int ROUTER_SOLICITATION = 133;
  static final int ROUTER_ADVERTISEMENT = 134;
  static final int NEIGHBOR_SOLICITATION = 135;
  static final int NEIGHBOR_ADVERTISEMENT = 136;

  // Options of neighbor discovery (RFC 4861, 4.6; RFC 8106, 5).
  private static final int SOURCE_LINK_ADDRESS = 1;
  private static final int TARGET_LINK_ADDRESS = 2;
  private static final int PREFIX = 3;
  private static final int MTU = 5;
  private static final int RESOLVERS = 25;
  private static final int SEARCH = 31;

  /// RFC 4861, 6.2.1: three times the largest interval between advertisements.
  private static final int ROUTER_LIFETIME = 1800;

  private static final int PREFIX_LIFETIME = 86_400;

  /// Other configuration (resolvers) is there by DHCPv6 too.
  private static final int OTHER_CONFIGURATION = 0x40;

  /// `ff02::1`.
  static final IpAddress ALL_NODES = new IpAddress(0xff02_0000_0000_0000L, 1);

  /// The Ethernet address of {@link #ALL_NODES} (RFC 2464, 7).
  static final long ALL_NODES_MAC = 0x3333_0000_0001L;

  private final NatSettings settings;
  private final PacketWriter writer;

  Icmpv6(NatSettings settings, PacketWriter writer) {
    this.settings = settings;
    this.writer = writer;
  }

  boolean isOurs(IpAddress address) {
    return address.equals(settings.gateway6()) || address.equals(NatSettings.linkLocal6());
  }

  /// Answers who has one of the gateway's addresses.
  void answerSolicitation(Headers headers) {
    var frame = headers.frame();
    int icmp = headers.transport();
    if (headers.transportLength() < 24 || frame.u8(Frame.HEADER + 7) != 255) {
      return;
    }
    var target = new IpAddress(frame.i64(icmp + 8), frame.i64(icmp + 16));
    if (!isOurs(target)) {
      return;
    }
    boolean probing = headers.source().isUnspecified();
    var buffer = writer.buffer();
    int at = PacketWriter.payloadAt(false, 0);
    buffer.putInt(at, NEIGHBOR_ADVERTISEMENT << 24);
    // Router, solicited (not when the asker has no address yet), override.
    buffer.putInt(at + 4, probing ? 0xa000_0000 : 0xe000_0000);
    buffer.putLong(at + 8, target.high());
    buffer.putLong(at + 16, target.low());
    putLinkAddress(buffer, at + 24, TARGET_LINK_ADDRESS);
    writer.icmp(
        target,
        probing ? ALL_NODES : headers.source(),
        probing ? ALL_NODES_MAC : frame.source(),
        32,
        true);
  }

  private void putLinkAddress(ByteBuffer buffer, int at, int option) {
    buffer.putLong(at, (long) option << 56 | 1L << 48 | settings.mac().bits());
  }

  /// Asks who has an address.
  void solicit(IpAddress target) {
    var buffer = writer.buffer();
    int at = PacketWriter.payloadAt(false, 0);
    buffer.putInt(at, NEIGHBOR_SOLICITATION << 24);
    buffer.putInt(at + 4, 0);
    buffer.putLong(at + 8, target.high());
    buffer.putLong(at + 16, target.low());
    putLinkAddress(buffer, at + 24, SOURCE_LINK_ADDRESS);
    // The solicited-node group of the address (RFC 4291, 2.7.1).
    long last = target.low() & 0xff_ffffL;
    var group = new IpAddress(0xff02_0000_0000_0000L, 0x0000_0001_ff00_0000L | last);
    writer.icmp(NatSettings.linkLocal6(), group, 0x3333_ff00_0000L | last, 32, true);
  }

  /// Tells all stations of the router, its network and its resolver.
  ///
  /// @param search domains that the host looks names up in
  void advertise(List<String> search) {
    var buffer = writer.buffer();
    int start = PacketWriter.payloadAt(false, 0);
    int at = start;
    buffer.putInt(at, ROUTER_ADVERTISEMENT << 24);
    buffer.put(at + 4, (byte) 64);
    buffer.put(at + 5, (byte) OTHER_CONFIGURATION);
    // Lifetime 0: a router of this link that leads nowhere else.
    buffer.putShort(at + 6, (short) (settings.routesIpv6() ? ROUTER_LIFETIME : 0));
    buffer.putLong(at + 8, 0);
    at += 16;
    putLinkAddress(buffer, at, SOURCE_LINK_ADDRESS);
    at += 8;
    buffer.putInt(at, MTU << 24 | 1 << 16);
    buffer.putInt(at + 4, settings.mtu());
    at += 8;
    // On this link, and for autoconfiguration.
    buffer.putInt(at, PREFIX << 24 | 4 << 16 | settings.ipv6().length() << 8 | 0xc0);
    buffer.putInt(at + 4, PREFIX_LIFETIME);
    buffer.putInt(at + 8, PREFIX_LIFETIME / 2);
    buffer.putInt(at + 12, 0);
    buffer.putLong(at + 16, settings.ipv6().address().high());
    buffer.putLong(at + 24, settings.ipv6().address().low());
    at += 32;
    buffer.putInt(at, RESOLVERS << 24 | 3 << 16);
    buffer.putInt(at + 4, ROUTER_LIFETIME);
    buffer.putLong(at + 8, settings.gateway6().high());
    buffer.putLong(at + 16, settings.gateway6().low());
    at += 24;
    var names = DomainNames.encode(search);
    if (names.length > 0 && names.length <= 512) {
      int units = 1 + (names.length + 7) / 8;
      buffer.putInt(at, SEARCH << 24 | units << 16);
      buffer.putInt(at + 4, ROUTER_LIFETIME);
      for (int i = 0; i < (units - 1) * 8; i++) {
        buffer.put(at + 8 + i, i < names.length ? names[i] : 0);
      }
      at += units * 8;
    }
    writer.icmp(NatSettings.linkLocal6(), ALL_NODES, ALL_NODES_MAC, at - start, true);
  }
}
