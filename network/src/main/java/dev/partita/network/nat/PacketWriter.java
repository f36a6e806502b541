package dev.partita.network.nat;

import dev.partita.network.Checksums;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import dev.partita.network.Segmenter;
import dev.partita.network.tcp.TcpConnection;
import dev.partita.network.tcp.TcpSegment;
import java.nio.ByteBuffer;

/// Writes the gateway's packets into one buffer and sends them. Not thread-safe: under the
/// gateway's lock.
final class PacketWriter {
  /// Room before a frame, so that a tag or a link's header can go there without a copy.
  private static final int HEADROOM = 16;

  /// RFC 1700 and its successors recommend 64.
  private static final int HOPS = 64;

  /// Link-local messages of IPv6 prove by it that no router forwarded them (RFC 4861, 4).
  private static final int HOPS_ON_LINK = 255;

  private static final int DONT_FRAGMENT = 0x4000;
  private static final int MORE_FRAGMENTS = 0x2000;

  /// Sends frames.
  interface Wire {
    /// @return false if there was no room: the sender keeps what it sends, and waits
    boolean send(Frame frame);

    /// Drops the frame if there is no room.
    void sendOrDrop(Frame frame);
  }

  private final long mac;
  private final int mtu;
  private final Wire wire;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(HEADROOM + Frame.MAX_LENGTH);
  private final ByteBuffer fragments = ByteBuffer.allocateDirect(HEADROOM + Frame.MAX_LENGTH);
  private final Frame frame = new Frame();
  private int identification;

  /// @param mac the gateway's
  /// @param wire sends a frame; false if there was no room
  PacketWriter(long mac, int mtu, Wire wire) {
    this.mac = mac;
    this.mtu = mtu;
    this.wire = wire;
  }

  /// The buffer's position for a UDP payload, an ICMP body or the like.
  static int payloadAt(boolean v4, int transportHeader) {
    return HEADROOM + Frame.HEADER + (v4 ? 20 : 40) + transportHeader;
  }

  /// The buffer; a payload is put at {@link #payloadAt}.
  ByteBuffer buffer() {
    return buffer;
  }

  private void ethernet(long to, int type) {
    buffer.putLong(HEADROOM, to << 16 | mac >>> 32);
    buffer.putInt(HEADROOM + 6, (int) (mac >>> 16));
    buffer.putShort(HEADROOM + 10, (short) mac);
    buffer.putShort(HEADROOM + 12, (short) type);
  }

  /// Writes the IP header before a transport message of a length.
  private void ip(IpAddress from, IpAddress to, int protocol, int length, int hops) {
    int ip = HEADROOM + Frame.HEADER;
    if (to.isV4()) {
      buffer.putShort(ip, (short) 0x4500);
      buffer.putShort(ip + 2, (short) (20 + length));
      buffer.putShort(ip + 4, (short) identification++);
      buffer.putShort(ip + 6, (short) DONT_FRAGMENT);
      buffer.put(ip + 8, (byte) hops);
      buffer.put(ip + 9, (byte) protocol);
      buffer.putShort(ip + 10, (short) 0);
      buffer.putInt(ip + 12, from.v4Bits());
      buffer.putInt(ip + 16, to.v4Bits());
      buffer.putShort(ip + 10, (short) Checksums.of(buffer, ip, 20));
    } else {
      buffer.putInt(ip, 0x6000_0000);
      buffer.putShort(ip + 4, (short) length);
      buffer.put(ip + 6, (byte) protocol);
      buffer.put(ip + 7, (byte) hops);
      buffer.putLong(ip + 8, from.high());
      buffer.putLong(ip + 16, from.low());
      buffer.putLong(ip + 24, to.high());
      buffer.putLong(ip + 32, to.low());
    }
  }

  private static int type(IpAddress address) {
    return address.isV4() ? Headers.TYPE_IPV4 : Headers.TYPE_IPV6;
  }

  /// Sends a segment.
  ///
  /// @return false if there was no room
  boolean tcp(
      TcpFlowKey key, long toMac, TcpConnection connection, int sequence, int flags, int length) {
    boolean v4 = key.guest().isV4();
    int tcp = payloadAt(v4, 0);
    boolean syn = (flags & TcpSegment.SYN) != 0;
    // With payload the option might make the packet too long; a bare acknowledgment follows anyway.
    int options =
        syn
            ? synOptions(tcp + 20, connection)
            : length == 0 ? sackOption(tcp + 20, connection, flags) : 0;
    int header = 20 + options;
    buffer.putShort(tcp, (short) key.remotePort());
    buffer.putShort(tcp + 2, (short) key.guestPort());
    buffer.putInt(tcp + 4, sequence);
    boolean ack = (flags & TcpSegment.ACK) != 0;
    // Computing the window may move its edge: this segment is what tells the peer.
    int window = (flags & TcpSegment.RST) != 0 ? 0 : connection.windowField(syn);
    buffer.putInt(tcp + 8, ack ? connection.acknowledgment() : 0);
    buffer.putShort(tcp + 12, (short) (header << 10 | flags));
    buffer.putShort(tcp + 14, (short) window);
    buffer.putInt(tcp + 16, 0);
    if (length > 0) {
      connection.copyPayload(sequence, buffer, tcp + header, length);
    }
    return sendTcp(key.remote(), key.guest(), toMac, header + length, header, connection);
  }

  private boolean sendTcp(
      IpAddress from, IpAddress to, long toMac, int length, int header, TcpConnection connection) {
    int tcp = payloadAt(to.isV4(), 0);
    ethernet(toMac, type(to));
    ip(from, to, Headers.TCP, length, HOPS);
    long pseudo = Checksums.pseudoHeader(from, to, Headers.TCP, length);
    buffer.putShort(tcp + 16, (short) Checksums.fold(pseudo));
    frame.set(buffer, HEADROOM, tcp - HEADROOM + length).partial(tcp - HEADROOM, 16);
    int size = connection.segmentSize();
    if (length - header > size) {
      frame.segmentSize(size);
    }
    return wire.send(frame);
  }

  private int synOptions(int at, TcpConnection connection) {
    buffer.putInt(at, 0x0204_0000 | connection.offeredSegmentSize());
    int n = 4;
    if (connection.selective()) {
      buffer.putInt(at + n, 0x0101_0402);
      n += 4;
    }
    if (connection.windowScale() >= 0) {
      buffer.putInt(at + n, 0x0103_0300 | connection.windowScale());
      n += 4;
    }
    return n;
  }

  private int sackOption(int at, TcpConnection connection, int flags) {
    int blocks = (flags & TcpSegment.RST) != 0 ? 0 : connection.sacks(4);
    if (blocks == 0) {
      return 0;
    }
    buffer.putInt(at, 0x0101_0500 | 2 + 8 * blocks);
    for (int i = 0; i < blocks * 2; i++) {
      buffer.putInt(at + 4 + i * 4, connection.sackBlocks()[i]);
    }
    return 4 + 8 * blocks;
  }

  /// Refuses a segment that belongs to no connection (RFC 9293, 3.10.7.1).
  void reset(Headers headers, TcpSegment segment) {
    boolean ack = (segment.flags() & TcpSegment.ACK) != 0;
    reset(
        headers.destination(),
        headers.destinationPort(),
        headers.source(),
        headers.sourcePort(),
        headers.frame().source(),
        ack ? segment.acknowledgment() : 0,
        segment.sequence() + segment.sequenceLength(),
        ack ? TcpSegment.RST : TcpSegment.RST | TcpSegment.ACK);
  }

  /// Sends a reset.
  void reset(
      IpAddress from,
      int fromPort,
      IpAddress to,
      int toPort,
      long toMac,
      int sequence,
      int acknowledgment,
      int flags) {
    int tcp = payloadAt(to.isV4(), 0);
    buffer.putShort(tcp, (short) fromPort);
    buffer.putShort(tcp + 2, (short) toPort);
    buffer.putInt(tcp + 4, sequence);
    buffer.putInt(tcp + 8, (flags & TcpSegment.ACK) != 0 ? acknowledgment : 0);
    buffer.putShort(tcp + 12, (short) (20 << 10 | flags));
    buffer.putShort(tcp + 14, (short) 0);
    buffer.putInt(tcp + 16, 0);
    ethernet(toMac, type(to));
    ip(from, to, Headers.TCP, 20, HOPS);
    long pseudo = Checksums.pseudoHeader(from, to, Headers.TCP, 20);
    buffer.putShort(tcp + 16, (short) Checksums.fold(pseudo));
    wire.sendOrDrop(frame.set(buffer, HEADROOM, tcp - HEADROOM + 20).partial(tcp - HEADROOM, 16));
  }

  /// Sends a datagram whose payload is in the buffer, in fragments if it is too large for one
  /// packet.
  void udp(IpAddress from, int fromPort, IpAddress to, int toPort, long toMac, int payload) {
    int udp = payloadAt(to.isV4(), 0);
    int length = 8 + payload;
    buffer.putShort(udp, (short) fromPort);
    buffer.putShort(udp + 2, (short) toPort);
    buffer.putShort(udp + 4, (short) length);
    long pseudo = Checksums.pseudoHeader(from, to, Headers.UDP, length);
    buffer.putShort(udp + 6, (short) Checksums.fold(pseudo));
    send(from, to, toMac, Headers.UDP, length, 6, HOPS);
  }

  /// Sends an ICMP or ICMPv6 message that is in the buffer, its checksum to be computed.
  ///
  /// @param onLink the hop limit of messages that no router forwards
  void icmp(IpAddress from, IpAddress to, long toMac, int length, boolean onLink) {
    int icmp = payloadAt(to.isV4(), 0);
    boolean v4 = to.isV4();
    int protocol = v4 ? Headers.ICMP : Headers.ICMPV6;
    long pseudo = v4 ? 0 : Checksums.pseudoHeader(from, to, protocol, length);
    buffer.putShort(icmp + 2, (short) Checksums.fold(pseudo));
    send(from, to, toMac, protocol, length, 2, onLink ? HOPS_ON_LINK : HOPS);
  }

  private void send(
      IpAddress from,
      IpAddress to,
      long toMac,
      int protocol,
      int length,
      int checksumOffset,
      int hops) {
    int transport = payloadAt(to.isV4(), 0);
    ethernet(toMac, type(to));
    ip(from, to, protocol, length, hops);
    frame
        .set(buffer, HEADROOM, transport - HEADROOM + length)
        .partial(transport - HEADROOM, checksumOffset);
    if (frame.length() - Frame.HEADER <= mtu) {
      wire.sendOrDrop(frame);
    } else {
      Checksums.complete(frame);
      fragment(to.isV4(), transport, length, protocol);
    }
  }

  private void fragment(boolean v4, int transport, int length, int protocol) {
    int header = transport - HEADROOM - Frame.HEADER + (v4 ? 0 : 8);
    int part = (mtu - header) & ~7;
    int id = identification++;
    for (int offset = 0; offset < length; offset += part) {
      int size = Math.min(part, length - offset);
      int more = offset + size < length ? 1 : 0;
      int ip = HEADROOM + Frame.HEADER;
      fragments.put(HEADROOM, buffer, HEADROOM, transport - HEADROOM);
      if (v4) {
        fragments.putShort(ip + 2, (short) (20 + size));
        fragments.putShort(ip + 4, (short) id);
        fragments.putShort(ip + 6, (short) (more * MORE_FRAGMENTS | offset / 8));
      } else {
        fragments.putShort(ip + 4, (short) (8 + size));
        fragments.put(ip + 6, (byte) 44);
        fragments.putShort(ip + 40, (short) (protocol << 8));
        fragments.putShort(ip + 42, (short) (offset | more));
        fragments.putInt(ip + 44, id);
      }
      fragments.put(ip + header, buffer, transport + offset, size);
      frame.set(fragments, HEADROOM, Frame.HEADER + header + size);
      if (v4) {
        Segmenter.writeHeaderChecksum(frame);
      }
      wire.sendOrDrop(frame);
    }
  }

  /// Answers or asks by ARP (RFC 826).
  ///
  /// @param operation 1 to ask, 2 to answer
  void arp(int operation, long toMac, long targetMac, IpAddress from, IpAddress target) {
    ethernet(toMac, Headers.TYPE_ARP);
    int arp = HEADROOM + Frame.HEADER;
    buffer.putLong(arp, 0x0001_0800_0604_0000L | operation);
    buffer.putInt(arp + 8, (int) (mac >>> 16));
    buffer.putShort(arp + 12, (short) mac);
    buffer.putInt(arp + 14, from.v4Bits());
    buffer.putShort(arp + 18, (short) (targetMac >>> 32));
    buffer.putInt(arp + 20, (int) targetMac);
    buffer.putInt(arp + 24, target.v4Bits());
    wire.sendOrDrop(frame.set(buffer, HEADROOM, Frame.HEADER + 28));
  }
}
