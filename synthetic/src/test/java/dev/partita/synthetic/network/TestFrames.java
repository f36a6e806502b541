package dev.partita.synthetic.network;

import dev.partita.network.MacAddress;
import java.nio.ByteBuffer;
import java.util.SplittableRandom;

/// Frames with right checksums, reckoned octet by octet.
final class TestFrames {
  static final MacAddress GUEST = MacAddress.parse("00:15:5d:00:00:01");
  static final MacAddress OTHER = MacAddress.parse("00:15:5d:00:00:02");

  private TestFrames() {}

  private static ByteBuffer start(MacAddress to, MacAddress from, int type, int length) {
    return ByteBuffer.allocate(14 + length)
        .putShort((short) (to.bits() >> 32))
        .putInt((int) to.bits())
        .putShort((short) (from.bits() >> 32))
        .putInt((int) from.bits())
        .putShort((short) type);
  }

  /// Not IP.
  static byte[] plain(MacAddress to, int length) {
    var frame = start(to, OTHER, 0x88B5, length - 14);
    var payload = new byte[length - 14];
    new SplittableRandom(length).nextBytes(payload);
    frame.put(payload);
    return frame.array();
  }

  static byte[] udp4(MacAddress to, MacAddress from, int port, int payload) {
    return ip4(to, from, 17, port, payload);
  }

  static byte[] tcp4(MacAddress to, MacAddress from, int port, int payload) {
    return ip4(to, from, 6, port, payload);
  }

  private static byte[] ip4(MacAddress to, MacAddress from, int protocol, int port, int payload) {
    int transport = (protocol == 6 ? 20 : 8) + payload;
    var frame = start(to, from, 0x0800, 20 + transport);
    frame.put((byte) 0x45).put((byte) 0).putShort((short) (20 + transport));
    frame.putInt(0x1234_4000).put((byte) 64).put((byte) protocol).putShort((short) 0);
    frame.putInt(0xC0A8_0102).putInt(0xC0A8_0103);
    frame.putShort(24, (short) ~sum(frame, 14, 20, 0));
    putTransport(frame, 34, protocol, port, transport);
    long pseudo = sum(frame, 26, 8, protocol + transport);
    frame.putShort(34 + field(protocol), (short) ~sum(frame, 34, transport, pseudo));
    return frame.array();
  }

  static byte[] tcp6(MacAddress to, MacAddress from, int port, int payload) {
    int transport = 20 + payload;
    var frame = start(to, from, 0x86DD, 40 + transport);
    frame.putInt(0x6000_0000).putShort((short) transport).put((byte) 6).put((byte) 64);
    frame.putLong(0xFD00_0000_0000_0000L).putLong(2).putLong(0xFD00_0000_0000_0000L).putLong(3);
    putTransport(frame, 54, 6, port, transport);
    long pseudo = sum(frame, 22, 32, 6 + transport);
    frame.putShort(54 + 16, (short) ~sum(frame, 54, transport, pseudo));
    return frame.array();
  }

  static int field(int protocol) {
    return protocol == 6 ? 16 : 6;
  }

  private static void putTransport(ByteBuffer frame, int at, int protocol, int port, int length) {
    frame.putShort(at, (short) port).putShort(at + 2, (short) 80);
    int header = 8;
    if (protocol == 6) {
      header = 20;
      frame.putInt(at + 4, 1000).putInt(at + 8, 2000).putInt(at + 12, 0x5018_FFFF);
    } else {
      frame.putShort(at + 4, (short) length);
    }
    for (int i = header; i < length; i++) {
      frame.put(at + i, (byte) (i * 7 + port));
    }
  }

  /// The one's complement sum, 16 bits at a time (RFC 1071).
  static int sum(ByteBuffer octets, int from, int length, long initial) {
    long sum = initial;
    for (int i = 0; i < length; i++) {
      sum += (long) (octets.get(from + i) & 0xFF) << ((i & 1) == 0 ? 8 : 0);
    }
    while (sum >> 16 != 0) {
      sum = (sum & 0xFFFF) + (sum >> 16);
    }
    return (int) sum;
  }
}
