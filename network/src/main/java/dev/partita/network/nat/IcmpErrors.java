package dev.partita.network.nat;

import dev.partita.network.Checksums;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;

/// Tells guests why their packets went nowhere (RFC 792, RFC 4443), not more often than is good for
/// either side. Not thread-safe: under the gateway's lock.
final class IcmpErrors {
  private static final long SECOND = 1_000_000_000L;

  /// Messages in a second.
  private static final int MOST = 100;

  /// RFC 1812, 4.3.2.3: as much of the packet as fits 576 octets.
  private static final int MOST_QUOTED4 = 576 - 28;

  /// RFC 4443, 2.4 (c): as much as fits the least MTU.
  private static final int MOST_QUOTED6 = 1280 - 48;

  /// What went wrong: type and code of ICMP and of ICMPv6.
  enum Error {
    NO_ROUTE(3, 0, 1, 0),
    HOST_UNREACHABLE(3, 1, 1, 3),
    PORT_UNREACHABLE(3, 3, 1, 4),
    PROHIBITED(3, 13, 1, 1),
    HOPS_EXCEEDED(11, 0, 3, 0);

    private final int type4;
    private final int code4;
    private final int type6;
    private final int code6;

    Error(int type4, int code4, int type6, int code6) {
      this.type4 = type4;
      this.code4 = code4;
      this.type6 = type6;
      this.code6 = code6;
    }
  }

  private final NatSettings settings;
  private final PacketWriter writer;
  private long second;
  private int sent;

  IcmpErrors(NatSettings settings, PacketWriter writer) {
    this.settings = settings;
    this.writer = writer;
  }

  private boolean allowed(long now) {
    if (now - second >= SECOND || sent == 0) {
      second = now;
      sent = 0;
    }
    return sent++ < MOST;
  }

  private void begin(Error error, boolean v4) {
    var buffer = writer.buffer();
    int at = PacketWriter.payloadAt(v4, 0);
    int type = v4 ? error.type4 << 8 | error.code4 : error.type6 << 8 | error.code6;
    buffer.putInt(at, type << 16);
    buffer.putInt(at + 4, 0);
  }

  private void finish(IpAddress guest, long mac, int quoted) {
    boolean v4 = guest.isV4();
    writer.icmp(v4 ? settings.gateway4() : settings.gateway6(), guest, mac, 8 + quoted, false);
  }

  /// Answers a packet, unless it is one that must not be answered: an error itself, a fragment that
  /// is not the first, or one to or from a group.
  void send(Error error, Headers headers, long now) {
    var frame = headers.frame();
    boolean v4 = headers.kind() == Headers.Kind.IPV4;
    int type = headers.icmpType();
    boolean isError = type >= 0 && (v4 ? type != 8 && type != 0 : type < 128);
    if (isError
        || headers.fragmentOffset() != 0
        || (frame.destination() & 1L << 40) != 0
        || headers.source().isUnspecified()
        || headers.source().isMulticast()
        || headers.destination().isMulticast()
        || !allowed(now)) {
      return;
    }
    begin(error, v4);
    int quoted = Math.min(headers.packetEnd() - Frame.HEADER, v4 ? MOST_QUOTED4 : MOST_QUOTED6);
    writer
        .buffer()
        .put(PacketWriter.payloadAt(v4, 8), frame.bytes(), frame.start() + Frame.HEADER, quoted);
    finish(headers.source(), frame.source(), quoted);
  }

  /// Answers a SYN of which no more is there than what the connection knows.
  void answerSyn(Error error, TcpFlowKey key, long mac, int sequence, long now) {
    if (!allowed(now)) {
      return;
    }
    boolean v4 = key.guest().isV4();
    begin(error, v4);
    var buffer = writer.buffer();
    int at = PacketWriter.payloadAt(v4, 8);
    int tcp = at + (v4 ? 20 : 40);
    if (v4) {
      buffer.putLong(at, 0x4500_0028_0000_4000L);
      buffer.putInt(at + 8, 64 << 24 | Headers.TCP << 16);
      buffer.putInt(at + 12, key.guest().v4Bits());
      buffer.putInt(at + 16, key.remote().v4Bits());
      buffer.putShort(at + 10, (short) Checksums.of(buffer, at, 20));
    } else {
      buffer.putLong(at, 0x6000_0000_0014_0000L | Headers.TCP << 8 | 64);
      buffer.putLong(at + 8, key.guest().high());
      buffer.putLong(at + 16, key.guest().low());
      buffer.putLong(at + 24, key.remote().high());
      buffer.putLong(at + 32, key.remote().low());
    }
    buffer.putShort(tcp, (short) key.guestPort());
    buffer.putShort(tcp + 2, (short) key.remotePort());
    buffer.putInt(tcp + 4, sequence);
    buffer.putLong(tcp + 8, 0x5002_0000L);
    buffer.putInt(tcp + 16, 0);
    finish(key.guest(), mac, (v4 ? 20 : 40) + 20);
  }
}
