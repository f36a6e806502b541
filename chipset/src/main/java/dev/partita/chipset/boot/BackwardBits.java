package dev.partita.chipset.boot;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// A Zstandard bit stream, read from its end to its start (RFC 8878, section 4.1 and 4.2.2). The
/// highest set bit of the last byte marks the end.
///
/// The array must go on for eight more bytes after the stream, so that any bit can be had with one
/// load.
final class BackwardBits {
  /// Most bits in one read.
  static final int MOST = 57;

  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private final byte[] in;
  private final int start;
  private int position;

  /// @param from index of the first byte
  /// @param to index past the last byte
  BackwardBits(byte[] in, int from, int to) throws IOException {
    if (to <= from || in[to - 1] == 0) {
      throw new IOException("a bit stream has no end mark");
    }
    this.in = in;
    this.start = from << 3;
    this.position = ((to - 1) << 3) + 31 - Integer.numberOfLeadingZeros(in[to - 1] & 0xFF);
  }

  private static long at(byte[] in, int bit) {
    return (long) LONG.get(in, bit >>> 3) >>> (bit & 7);
  }

  /// Reads some bits.
  ///
  /// @param count 0 to {@link #MOST}
  int read(int count) throws IOException {
    int p = position - count;
    if (p < start) {
      throw new IOException("a bit stream is too short");
    }
    position = p;
    return (int) (at(in, p) & ((1L << count) - 1));
  }

  /// Reads some bits; those before the start are zero.
  ///
  /// @param count 0 to 31
  int readPadded(int count) {
    int value = peekPadded(count);
    position -= count;
    return value;
  }

  private int peekPadded(int count) {
    int p = position - count;
    if (p >= start) {
      return (int) (at(in, p) & ((1L << count) - 1));
    }
    int available = position - start;
    if (available <= 0) {
      return 0;
    }
    return (int) ((at(in, start) & ((1L << available) - 1)) << (count - available));
  }

  /// Whether more was read than there was.
  boolean overrun() {
    return position < start;
  }

  /// @throws IOException if not exactly everything was read
  void finish() throws IOException {
    if (position != start) {
      throw new IOException("a bit stream has bits left over");
    }
  }

  /// Decodes Huffman symbols until the stream ends.
  ///
  /// @param table symbol in bits 7:0 and its length in bits 15:8, by the next `bits` bits
  /// @param bits at most 11
  void huffman(short[] table, int bits, byte[] out, int from, int to) throws IOException {
    int mask = (1 << bits) - 1;
    int p = position;
    int d = from;
    // Four symbols have at most 44 bits, which one load gives.
    while (to - d >= 4 && p - 44 >= start) {
      long word = at(in, p - 44);
      int left = 44;
      for (int end = d + 4; d < end; d++) {
        int entry = table[(int) (word >>> (left - bits)) & mask];
        out[d] = (byte) entry;
        left -= entry >> 8;
      }
      p -= 44 - left;
    }
    position = p;
    for (; d < to; d++) {
      int entry = table[peekPadded(bits)];
      out[d] = (byte) entry;
      position -= entry >> 8;
    }
    finish();
  }
}
