package dev.partita.network;

import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;

/// An IPv4 or IPv6 address. An IPv4 address is held as its IPv4-mapped form, `::ffff:a.b.c.d` (RFC
/// 4291, 2.5.5.2); that form itself has no place in an IPv6 packet.
///
/// @param high the first eight octets
/// @param low the last eight octets
public record IpAddress(long high, long low) implements Comparable<IpAddress> {
  private static final long MAPPED = 0xffffL << 32;

  /// `0.0.0.0`.
  public static final IpAddress ANY4 = v4(0);

  /// `::`.
  public static final IpAddress ANY6 = new IpAddress(0, 0);

  /// `127.0.0.1`.
  public static final IpAddress LOOPBACK4 = v4(0x7f00_0001);

  /// `::1`.
  public static final IpAddress LOOPBACK6 = new IpAddress(0, 1);

  /// `255.255.255.255`.
  public static final IpAddress BROADCAST4 = v4(-1);

  /// An IPv4 address from its 32 bits.
  public static IpAddress v4(int bits) {
    return new IpAddress(0, MAPPED | Integer.toUnsignedLong(bits));
  }

  /// From the JDK's form; a scope is dropped.
  public static IpAddress of(InetAddress address) {
    var octets = ByteBuffer.wrap(address.getAddress());
    return octets.remaining() == 4
        ? v4(octets.getInt())
        : new IpAddress(octets.getLong(), octets.getLong());
  }

  /// Reads a literal; names are not looked up.
  ///
  /// @throws IllegalArgumentException if it is no address
  public static IpAddress parse(String text) {
    try {
      return of(InetAddress.ofLiteral(text));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("not an IP address: '%s'".formatted(text), e);
    }
  }

  /// Whether this is an IPv4 address.
  public boolean isV4() {
    return high == 0 && low >>> 32 == 0xffff;
  }

  /// The 32 bits of an IPv4 address.
  public int v4Bits() {
    return (int) low;
  }

  /// `0.0.0.0` or `::`.
  public boolean isUnspecified() {
    return isV4() ? v4Bits() == 0 : high == 0 && low == 0;
  }

  /// 127.0.0.0/8 (RFC 1122, 3.2.1.3) or `::1`.
  public boolean isLoopback() {
    return isV4() ? v4Bits() >>> 24 == 127 : high == 0 && low == 1;
  }

  /// 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291, 2.5.6).
  public boolean isLinkLocal() {
    return isV4() ? v4Bits() >>> 16 == 0xa9fe : high >>> 54 == 0xfe80 >>> 6;
  }

  /// 224.0.0.0/4 (RFC 1112) or ff00::/8.
  public boolean isMulticast() {
    return isV4() ? v4Bits() >>> 28 == 14 : high >>> 56 == 0xff;
  }

  /// Whether packets for it may leave the link as unicast through a router: neither unspecified nor
  /// loopback, link-local, multicast, nor reserved (0.0.0.0/8 and 240.0.0.0/4, RFC 6890;
  /// IPv4-mapped and IPv4-compatible forms).
  public boolean isRoutable() {
    if (isUnspecified() || isLoopback() || isLinkLocal() || isMulticast()) {
      return false;
    }
    return isV4()
        ? v4Bits() >>> 24 != 0 && v4Bits() >>> 28 != 15
        : high != 0 || low >>> 32 != 0 && low >>> 32 != 0xffff;
  }

  /// Octets in network order: 4 or 16.
  public byte[] octets() {
    return isV4()
        ? ByteBuffer.allocate(4).putInt(v4Bits()).array()
        : ByteBuffer.allocate(16).putLong(high).putLong(low).array();
  }

  /// The JDK's form: an {@link Inet4Address} or {@link Inet6Address}.
  public InetAddress toInetAddress() {
    try {
      return InetAddress.getByAddress(octets());
    } catch (UnknownHostException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public int compareTo(IpAddress other) {
    int byHigh = Long.compareUnsigned(high, other.high);
    return byHigh != 0 ? byHigh : Long.compareUnsigned(low, other.low);
  }

  @Override
  public String toString() {
    return toInetAddress().getHostAddress();
  }
}
