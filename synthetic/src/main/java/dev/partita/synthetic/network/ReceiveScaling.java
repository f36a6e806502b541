package dev.partita.synthetic.network;

import dev.partita.network.Headers;
import java.util.Arrays;

/// How received flows are spread over queues: the Toeplitz hash of addresses and ports, and a table
/// that gives each hash its queue. Immutable.
///
/// The hash is the sum (exclusive or) of the key's 32-bit words that begin at the input's set bits.
/// It is linear in the input, so that the sum for each value of each input octet is kept.
final class ReceiveScaling {
  /// Octets of the key: those of the longest input, and a word's, less a bit.
  static final int KEY_SIZE = 40;

  /// Entries of the table at most, as Hyper-V has.
  static final int MOST_ENTRIES = 128;

  // What is hashed (NDIS, NDIS_HASH_IPV4 and the like).
  static final int FUNCTION_TOEPLITZ = 1;
  static final int FUNCTION_MASK = 0xFF;
  static final int IPV4 = 1 << 8;
  static final int TCP_IPV4 = 1 << 9;
  static final int IPV6 = 1 << 10;
  static final int TCP_IPV6 = 1 << 12;
  static final int UDP_IPV4 = 1 << 14;
  static final int UDP_IPV6 = 1 << 15;

  /// Two IPv6 addresses and two ports.
  private static final int LONGEST_INPUT = 36;

  private final int hashes;
  private final byte[] key;
  private final byte[] table;
  private final int[] sums = new int[LONGEST_INPUT * 256];

  /// @param hashes the function and what is hashed
  /// @param key {@link #KEY_SIZE} octets
  /// @param table queues by the hash's last bits; a power of two of entries
  ReceiveScaling(int hashes, byte[] key, byte[] table) {
    if (key.length != KEY_SIZE
        || table.length > MOST_ENTRIES
        || Integer.bitCount(table.length) != 1) {
      throw new IllegalArgumentException(
          "a key of %d octets, a table of %d entries".formatted(key.length, table.length));
    }
    this.hashes = hashes;
    this.key = key.clone();
    this.table = table.clone();
    for (int octet = 0; octet < LONGEST_INPUT; octet++) {
      for (int bit = 0; bit < 8; bit++) {
        int word = word(octet * 8 + bit);
        int value = 0x80 >> bit;
        for (int i = 0; i < 256; i++) {
          if ((i & value) != 0) {
            sums[octet << 8 | i] ^= word;
          }
        }
      }
    }
  }

  /// The key's 32 bits that begin at a bit.
  private int word(int bit) {
    long bits = 0;
    for (int i = 0; i < 5; i++) {
      int at = (bit >> 3) + i;
      bits = bits << 8 | (at < KEY_SIZE ? key[at] & 0xFF : 0);
    }
    return (int) (bits >> 8 - (bit & 7));
  }

  int hashes() {
    return hashes;
  }

  byte[] key() {
    return key.clone();
  }

  byte[] table() {
    return table.clone();
  }

  /// A frame's hash.
  ///
  /// @return 0 if nothing of it is to be hashed
  int hash(Headers headers) {
    var frame = headers.frame();
    switch (headers.kind()) {
      case IPV4 -> {
        boolean ports = hasPorts(headers, TCP_IPV4, UDP_IPV4);
        if (!ports && (hashes & IPV4) == 0) {
          return 0;
        }
        int hash = sum(0, frame.i64(26), 8);
        return ports ? hash ^ sum(8, (long) frame.i32(headers.transport()) << 32, 4) : hash;
      }
      case IPV6 -> {
        boolean ports = hasPorts(headers, TCP_IPV6, UDP_IPV6);
        if (!ports && (hashes & IPV6) == 0) {
          return 0;
        }
        int hash =
            sum(0, frame.i64(22), 8)
                ^ sum(8, frame.i64(30), 8)
                ^ sum(16, frame.i64(38), 8)
                ^ sum(24, frame.i64(46), 8);
        return ports ? hash ^ sum(32, (long) frame.i32(headers.transport()) << 32, 4) : hash;
      }
      default -> {
        return 0;
      }
    }
  }

  private boolean hasPorts(Headers headers, int tcp, int udp) {
    int needed =
        switch (headers.protocol()) {
          case Headers.TCP -> tcp;
          case Headers.UDP -> udp;
          default -> 0;
        };
    return (hashes & needed) != 0 && !headers.isFragment() && headers.hasPorts();
  }

  /// @param octets from the most significant one on
  private int sum(int at, long octets, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
      sum ^= sums[at + i << 8 | (int) (octets >>> 56 - 8 * i) & 0xFF];
    }
    return sum;
  }

  /// The queue of a hash.
  int queue(int hash) {
    return table[hash & table.length - 1];
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ReceiveScaling o
        && hashes == o.hashes
        && Arrays.equals(key, o.key)
        && Arrays.equals(table, o.table);
  }

  @Override
  public int hashCode() {
    return hashes * 31 + Arrays.hashCode(table);
  }
}
