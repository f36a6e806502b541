package dev.partita.chipset.boot;

import java.io.IOException;

/// A decoding table of Finite State Entropy (RFC 8878, section 4.1.1).
///
/// @param log size of the table, as a power of two
/// @param cells by state: symbol in bits 7:0, bits to read for the next state in 15:8, and what to
///     add to them in 31:16
record FseTable(int log, int[] cells) {
  /// A table with one symbol that takes no bits.
  static FseTable of(int symbol) {
    return new FseTable(0, new int[] {symbol});
  }

  /// @param probabilities by symbol, summing up to the table's size; -1 means "less than one"
  static FseTable of(int log, int[] probabilities) {
    int size = 1 << log;
    var symbols = new byte[size];
    var next = new int[probabilities.length];
    int high = size - 1;
    for (int s = 0; s < probabilities.length; s++) {
      if (probabilities[s] == -1) {
        symbols[high--] = (byte) s;
        next[s] = 1;
      } else {
        next[s] = probabilities[s];
      }
    }
    int step = (size >> 1) + (size >> 3) + 3;
    int position = 0;
    for (int s = 0; s < probabilities.length; s++) {
      for (int i = 0; i < probabilities[s]; i++) {
        symbols[position] = (byte) s;
        do {
          position = (position + step) & (size - 1);
        } while (position > high);
      }
    }
    var cells = new int[size];
    for (int i = 0; i < size; i++) {
      int symbol = symbols[i] & 0xFF;
      int x = next[symbol]++;
      int bits = log - (31 - Integer.numberOfLeadingZeros(x));
      cells[i] = symbol | bits << 8 | ((x << bits) - size) << 16;
    }
    return new FseTable(log, cells);
  }

  static int symbol(int cell) {
    return cell & 0xFF;
  }

  static int bits(int cell) {
    return cell >> 8 & 0xFF;
  }

  static int base(int cell) {
    return cell >>> 16;
  }

  /// A table description that was read.
  ///
  /// @param end index past its last byte
  record Read(FseTable table, int end) {}

  /// Reads a table description.
  ///
  /// @param to index past the last byte it may have
  static Read read(byte[] in, int from, int to, int maxLog, int maxSymbol) throws IOException {
    var bits = new ForwardBits(in, from, to);
    int log = bits.read(4) + 5;
    if (log > maxLog) {
      throw new IOException("an entropy table is too large");
    }
    var probabilities = new int[maxSymbol + 1];
    int symbol = 0;
    int remaining = 1 << log;
    while (remaining > 0) {
      if (symbol > maxSymbol) {
        throw new IOException("an entropy table has too many symbols");
      }
      int most = remaining + 1;
      int width = 32 - Integer.numberOfLeadingZeros(most);
      int shorter = (1 << width) - 1 - most;
      int value = bits.peek(width - 1);
      if (value < shorter) {
        bits.skip(width - 1);
      } else {
        value = bits.read(width);
        if (value >= 1 << (width - 1)) {
          value -= shorter;
        }
      }
      int probability = value - 1;
      probabilities[symbol++] = probability;
      remaining -= Math.abs(probability);
      if (probability == 0) {
        int zeros;
        do {
          zeros = bits.read(2);
          symbol += zeros;
        } while (zeros == 3 && symbol <= maxSymbol);
      }
    }
    if (remaining < 0) {
      throw new IOException("an entropy table is damaged");
    }
    return new Read(of(log, probabilities), bits.end());
  }

  /// A bit stream read from its start.
  private static final class ForwardBits {
    private final byte[] in;
    private final int limit;
    private int position;

    ForwardBits(byte[] in, int from, int to) {
      this.in = in;
      this.position = from << 3;
      this.limit = to << 3;
    }

    /// The next bits, zero past the end.
    int peek(int count) {
      int value = 0;
      for (int i = 0; i < count; i++) {
        int p = position + i;
        if (p < limit) {
          value |= (in[p >> 3] >> (p & 7) & 1) << i;
        }
      }
      return value;
    }

    void skip(int count) throws IOException {
      position += count;
      if (position > limit) {
        throw new IOException("an entropy table is cut off");
      }
    }

    int read(int count) throws IOException {
      int value = peek(count);
      skip(count);
      return value;
    }

    int end() {
      return (position + 7) >> 3;
    }
  }
}
