package dev.partita.network;

import java.util.Locale;

/// An Ethernet address: 48 bits, the first octet on the wire in bits 47 to 40.
///
/// @param bits 0 to 2^48 - 1
public record MacAddress(long bits) {
  private static final long LARGEST = (1L << 48) - 1;

  /// The group bit (IEEE 802.3, 3.2.3): multicast and broadcast.
  private static final long GROUP = 1L << 40;

  /// All stations.
  public static final MacAddress BROADCAST = new MacAddress(LARGEST);

  public MacAddress {
    if (bits < 0 || bits > LARGEST) {
      throw new IllegalArgumentException("not a 48-bit address: " + Long.toHexString(bits));
    }
  }

  /// Reads `00:15:5d:01:02:03`, with colons or hyphens, or `00155d010203` as Hyper-V writes it.
  ///
  /// @throws IllegalArgumentException if it is none of these
  public static MacAddress parse(String text) {
    if (!text.matches("[0-9a-fA-F]{2}([:-]?)([0-9a-fA-F]{2}\\1){4}[0-9a-fA-F]{2}")) {
      throw new IllegalArgumentException(
          "not an Ethernet address: '%s' (an example: 00:15:5d:01:02:03)".formatted(text));
    }
    return new MacAddress(Long.parseLong(text.replaceAll("[:-]", ""), 16));
  }

  /// Multicast or broadcast.
  public boolean isGroup() {
    return isGroup(bits);
  }

  /// Multicast or broadcast.
  public static boolean isGroup(long bits) {
    return (bits & GROUP) != 0;
  }

  @Override
  public String toString() {
    var text = new StringBuilder(17);
    for (int shift = 40; shift >= 0; shift -= 8) {
      text.append(String.format(Locale.ROOT, shift == 0 ? "%02x" : "%02x:", bits >> shift & 0xff));
    }
    return text.toString();
  }
}
