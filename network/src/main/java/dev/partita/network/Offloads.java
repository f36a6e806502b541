package dev.partita.network;

/// What an endpoint takes as it is; the switch does the rest before it delivers.
///
/// @param mtu octets of the largest IP packet that is not a large segment, 576 to 65535
/// @param checksum takes frames whose transport checksum is partial
/// @param largestSegment largest frame, in octets, that stands for several TCP segments; 0 if it
///     takes none
public record Offloads(int mtu, boolean checksum, int largestSegment) {
  /// An endpoint that does nothing itself, on an Ethernet of the usual size.
  public static final Offloads NONE = new Offloads(1500, false, 0);

  /// Everything.
  public static final Offloads ALL = new Offloads(1500, true, Frame.MAX_LENGTH);

  /// The smallest MTU of an IPv4 host (RFC 1122, 3.3.3).
  public static final int SMALLEST_MTU = 576;

  public Offloads {
    if (mtu < SMALLEST_MTU || mtu > 65535) {
      throw new IllegalArgumentException("an MTU of %d is not in 576 to 65535".formatted(mtu));
    }
  }

  /// The same with another MTU.
  public Offloads withMtu(int mtu) {
    return new Offloads(mtu, checksum, largestSegment);
  }
}
