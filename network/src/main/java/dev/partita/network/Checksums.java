package dev.partita.network;

import java.nio.ByteBuffer;

/// The Internet checksum (RFC 1071): the one's complement sum of 16-bit words.
public final class Checksums {
  private Checksums() {}

  /// The sum of octets, not folded; add several parts of even length and {@link #fold} them.
  ///
  /// @param bytes in network byte order
  public static long sum(ByteBuffer bytes, int start, int length) {
    // Words of 32 bits added in 64 never overflow for frames, and fold to the same sum as words of
    // 16 because 2^16 = 1 modulo 2^16 - 1.
    long sum = 0;
    int at = start;
    int end = start + length;
    for (; at <= end - 8; at += 8) {
      long word = bytes.getLong(at);
      sum += (word >>> 32) + (word & 0xffff_ffffL);
    }
    for (; at <= end - 2; at += 2) {
      sum += bytes.getShort(at) & 0xffff;
    }
    if (at < end) {
      sum += (bytes.get(at) & 0xff) << 8;
    }
    return sum;
  }

  /// A sum in 16 bits.
  public static int fold(long sum) {
    long s = (sum >>> 32) + (sum & 0xffff_ffffL);
    s = (s >>> 16) + (s & 0xffff);
    s = (s >>> 16) + (s & 0xffff);
    return (int) ((s >>> 16) + (s & 0xffff));
  }

  /// The checksum of octets.
  public static int of(ByteBuffer bytes, int start, int length) {
    return ~fold(sum(bytes, start, length)) & 0xffff;
  }

  /// The sum of the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1).
  ///
  /// @param length octets of the transport header and its payload
  public static long pseudoHeader(
      IpAddress source, IpAddress destination, int protocol, int length) {
    return part(source) + part(destination) + protocol + length;
  }

  private static long part(IpAddress address) {
    if (address.isV4()) {
      return Integer.toUnsignedLong(address.v4Bits());
    }
    return (address.high() >>> 32)
        + (address.high() & 0xffff_ffffL)
        + (address.low() >>> 32)
        + (address.low() & 0xffff_ffffL);
  }

  /// Completes a partial checksum, if there is one.
  public static void complete(Frame frame) {
    if (frame.checksum() != Frame.Checksum.PARTIAL) {
      return;
    }
    int start = frame.checksumStart();
    int sum = of(frame.bytes(), frame.start() + start, frame.length() - start);
    // Zero means "none" in UDP (RFC 768) and its other form is the same number to everybody else.
    frame.put16(start + frame.checksumOffset(), sum == 0 ? 0xffff : sum);
    frame.verified(true);
  }
}
