package dev.partita.network.nat;

import dev.partita.network.Checksums;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import java.nio.ByteBuffer;

/// Writes frames as a guest's stack does, independently of the code under test but for the
/// checksum's sum.
final class Packets {
  private Packets() {}

  /// An IP packet in a frame from the guest to the gateway, with the checksum of the transport
  /// protocol put at an offset.
  static byte[] ip(IpAddress from, IpAddress to, int protocol, byte[] transport, int checksumAt) {
    boolean v4 = to.isV4();
    int header = v4 ? 20 : 40;
    var b = ByteBuffer.allocate(Frame.HEADER + header + transport.length);
    long gateway = NatSettings.standard().mac().bits();
    b.putShort((short) (gateway >>> 32)).putInt((int) gateway);
    long guest = SimulatedLink.GUEST_MAC.bits();
    b.putShort((short) (guest >>> 32)).putInt((int) guest);
    b.putShort((short) (v4 ? 0x0800 : 0x86dd));
    if (v4) {
      b.putShort((short) 0x4500).putShort((short) (20 + transport.length)).putInt(0x1234_0000);
      b.put((byte) 64).put((byte) protocol).putShort((short) 0);
      b.put(from.octets()).put(to.octets());
      b.putShort(Frame.HEADER + 10, (short) Checksums.of(b, Frame.HEADER, 20));
    } else {
      b.putInt(0x6000_0000).putShort((short) transport.length);
      b.put((byte) protocol).put((byte) 255);
      b.put(from.octets()).put(to.octets());
    }
    int at = b.position();
    b.put(transport);
    if (checksumAt >= 0) {
      b.putShort(at + checksumAt, (short) 0);
      long sum = Checksums.sum(b, at, transport.length);
      if (protocol != Headers.ICMP) {
        sum += Checksums.pseudoHeader(from, to, protocol, transport.length);
      }
      int folded = ~Checksums.fold(sum) & 0xffff;
      b.putShort(at + checksumAt, (short) (folded == 0 ? 0xffff : folded));
    }
    return b.array();
  }

  static byte[] udp(IpAddress from, int fromPort, IpAddress to, int toPort, byte[] payload) {
    var b = ByteBuffer.allocate(8 + payload.length);
    b.putShort((short) fromPort).putShort((short) toPort).putShort((short) (8 + payload.length));
    b.putShort((short) 0).put(payload);
    return ip(from, to, Headers.UDP, b.array(), 6);
  }

  static byte[] tcp(
      IpAddress from,
      int fromPort,
      IpAddress to,
      int toPort,
      int sequence,
      int acknowledgment,
      int flags,
      int window,
      byte[] options,
      byte[] payload) {
    var b = ByteBuffer.allocate(20 + options.length + payload.length);
    b.putShort((short) fromPort).putShort((short) toPort).putInt(sequence).putInt(acknowledgment);
    b.put((byte) ((20 + options.length) / 4 << 4)).put((byte) flags).putShort((short) window);
    b.putInt(0).put(options).put(payload);
    return ip(from, to, Headers.TCP, b.array(), 16);
  }

  /// What a UDP frame carries.
  static byte[] payload(byte[] frame) {
    var headers = Headers.of(Frame.of(frame));
    int at = headers.transport() + 8;
    return java.util.Arrays.copyOfRange(frame, at, headers.packetEnd());
  }
}
