package dev.partita.chipset.apic;

/// A set of interrupt vectors 0 to 255: one of the APIC's 256-bit registers.
final class VectorSet {
  private final long[] words = new long[4];

  void add(int vector) {
    words[vector >> 6] |= 1L << vector;
  }

  void remove(int vector) {
    words[vector >> 6] &= ~(1L << vector);
  }

  boolean contains(int vector) {
    return (words[vector >> 6] & 1L << vector) != 0;
  }

  void clear() {
    words[0] = 0;
    words[1] = 0;
    words[2] = 0;
    words[3] = 0;
  }

  /// The highest vector, or -1 if there is none.
  int highest() {
    for (int i = 3; i >= 0; i--) {
      if (words[i] != 0) {
        return (i << 6) + 63 - Long.numberOfLeadingZeros(words[i]);
      }
    }
    return -1;
  }

  /// Vectors 32 n to 32 n + 31.
  int word32(int n) {
    return (int) (words[n >> 1] >>> ((n & 1) << 5));
  }

  void setWord32(int n, int bits) {
    int shift = (n & 1) << 5;
    words[n >> 1] = words[n >> 1] & ~(0xFFFF_FFFFL << shift) | (bits & 0xFFFF_FFFFL) << shift;
  }
}
