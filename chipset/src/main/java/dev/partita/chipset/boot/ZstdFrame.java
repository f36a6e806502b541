package dev.partita.chipset.boot;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/// Unpacks a Zstandard frame (RFC 8878) into an array that holds all of its content, so that
/// windows of any size work: the kernel's build uses 128 MiB.
final class ZstdFrame {
  private static final int MAX_BLOCK = 128 << 10;

  /// Bit positions are ints.
  private static final int MAX_INPUT = 1 << 27;

  private static final int MAX_HUFFMAN_BITS = 11;
  private static final int MAX_WEIGHT_LOG = 6;

  /// Literal length codes: what to add, and the number of further bits (section 3.1.1.3.2.1.1).
  private static final int[] LITERAL_BASE = new int[36];

  private static final int[] LITERAL_BITS = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11,
    12, 13, 14, 15, 16
  };

  /// Match length codes, likewise.
  private static final int[] MATCH_BASE = new int[53];

  private static final int[] MATCH_BITS = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16
  };

  // Default distributions (section 3.1.1.3.2.2).
  private static final FseTable LITERAL_DEFAULT =
      FseTable.of(
          6,
          new int[] {
            4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1,
            1, 1, 1, -1, -1, -1, -1
          });
  private static final FseTable MATCH_DEFAULT =
      FseTable.of(
          6,
          new int[] {
            1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1
          });
  private static final FseTable OFFSET_DEFAULT =
      FseTable.of(
          5,
          new int[] {
            1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1,
            -1
          });

  private static final int MAX_OFFSET_CODE = 31;

  static {
    for (int i = 1, base = 0; i < LITERAL_BASE.length; i++) {
      base += 1 << LITERAL_BITS[i - 1];
      LITERAL_BASE[i] = base;
    }
    for (int i = 0, base = 3; i < MATCH_BASE.length; i++) {
      MATCH_BASE[i] = base;
      base += 1 << MATCH_BITS[i];
    }
  }

  private final byte[] in;
  private final int limit;
  private final byte[] out;
  private int at;
  private int done;

  private final byte[] literals = new byte[MAX_BLOCK];
  private int literalCount;
  private short[] huffman = {};
  private int huffmanBits;

  private FseTable literalTable = LITERAL_DEFAULT;
  private FseTable offsetTable = OFFSET_DEFAULT;
  private FseTable matchTable = MATCH_DEFAULT;
  private boolean tablesSet;
  private int repeat1 = 1;
  private int repeat2 = 4;
  private int repeat3 = 8;

  private ZstdFrame(byte[] in, int limit, byte[] out) {
    this.in = in;
    this.limit = limit;
    this.out = out;
  }

  /// Unpacks one frame; what follows it is not looked at.
  ///
  /// @throws IOException if it is damaged, or its size is not `out.length`
  /// @throws IndexOutOfBoundsException if it is damaged
  static void unpack(byte[] file, int start, int end, byte[] out) throws IOException {
    if (end - start > MAX_INPUT) {
      throw new IOException("more than 128 MiB");
    }
    // Eight more bytes let any bit be had with one load.
    var in = Arrays.copyOf(Arrays.copyOfRange(file, start, end), end - start + 8);
    new ZstdFrame(in, end - start, out).frame();
  }

  private long take(int count) throws IOException {
    need(count);
    long value = 0;
    for (int i = 0; i < count; i++) {
      value |= (in[at + i] & 0xFFL) << (8 * i);
    }
    at += count;
    return value;
  }

  private void need(int count) throws IOException {
    if (count < 0 || count > limit - at) {
      throw new IOException("cut off");
    }
  }

  private void frame() throws IOException {
    at = 4;
    int descriptor = (int) take(1);
    boolean singleSegment = (descriptor & 0x20) != 0;
    if ((descriptor & 0x08) != 0) {
      throw new IOException("a reserved bit is set");
    }
    if (!singleSegment) {
      take(1); // window size: the whole output is the window
    }
    int dictionarySize = new int[] {0, 1, 2, 4}[descriptor & 3];
    if (take(dictionarySize) != 0) {
      throw new IOException("a dictionary is needed");
    }
    int contentSize = new int[] {singleSegment ? 1 : 0, 2, 4, 8}[descriptor >> 6];
    long content = take(contentSize) + (contentSize == 2 ? 256 : 0);
    if (contentSize != 0 && content != out.length) {
      throw new IOException("%d bytes, not %d".formatted(content, out.length));
    }
    boolean last;
    do {
      int header = (int) take(3);
      last = (header & 1) != 0;
      int size = header >> 3;
      switch (header >> 1 & 3) {
        case 0 -> {
          need(size);
          room(size);
          System.arraycopy(in, at, out, done, size);
          at += size;
          done += size;
        }
        case 1 -> {
          byte value = (byte) take(1);
          room(size);
          Arrays.fill(out, done, done + size, value);
          done += size;
        }
        case 2 -> {
          need(size);
          block(at + size);
        }
        default -> throw new IOException("a block of reserved type");
      }
    } while (!last);
    if (done != out.length) {
      throw new IOException("only %d of %d bytes".formatted(done, out.length));
    }
    if ((descriptor & 4) != 0 && (int) take(4) != (int) xxHash64(out)) {
      throw new IOException("checksum does not match");
    }
  }

  private void room(int size) throws IOException {
    if (size > out.length - done) {
      throw new IOException("more than the %d bytes announced".formatted(out.length));
    }
  }

  private void block(int end) throws IOException {
    literalsSection(end);
    sequencesSection(end);
    at = end;
  }

  /// Section 3.1.1.3.1.
  private void literalsSection(int end) throws IOException {
    int first = in[at] & 0xFF;
    int type = first & 3;
    int format = first >> 2 & 3;
    if (type < 2) {
      int headerSize = (format & 1) == 0 ? 1 : format == 1 ? 2 : 3;
      int size = (int) take(headerSize) >> (headerSize == 1 ? 3 : 4);
      literalCount = size;
      int stored = type == 0 ? size : 1;
      if (size > MAX_BLOCK || stored > end - at) {
        throw new IOException("literals do not fit");
      }
      if (type == 0) {
        System.arraycopy(in, at, literals, 0, size);
      } else {
        Arrays.fill(literals, 0, size, in[at]);
      }
      at += stored;
      return;
    }
    int headerSize = format < 2 ? 3 : format + 2;
    int width = format < 2 ? 10 : format == 2 ? 14 : 18;
    long header = take(headerSize) >> 4;
    int size = (int) (header & ((1 << width) - 1));
    int packed = (int) (header >> width);
    if (size > MAX_BLOCK || packed > end - at) {
      throw new IOException("literals do not fit");
    }
    int streamsEnd = at + packed;
    if (type == 2) {
      huffmanTable(streamsEnd);
    } else if (huffmanBits == 0) {
      throw new IOException("literals without a Huffman table");
    }
    literalCount = size;
    if (format == 0) {
      new BackwardBits(in, at, streamsEnd).huffman(huffman, huffmanBits, literals, 0, size);
    } else {
      int from = at + 6;
      int each = (size + 3) / 4;
      if (from > streamsEnd || 3 * each > size) {
        throw new IOException("literal streams do not fit");
      }
      for (int i = 0; i < 4; i++) {
        int to = streamsEnd;
        if (i < 3) {
          to = from + (int) take(2);
        }
        if (to > streamsEnd) {
          throw new IOException("literal streams do not fit");
        }
        int upTo = i < 3 ? (i + 1) * each : size;
        new BackwardBits(in, from, to).huffman(huffman, huffmanBits, literals, i * each, upTo);
        from = to;
      }
    }
    at = streamsEnd;
  }

  /// Section 4.2.1.
  private void huffmanTable(int end) throws IOException {
    var weights = new byte[256];
    int header = (int) take(1);
    int count;
    if (header >= 128) {
      count = header - 127;
      need((count + 1) / 2);
      for (int i = 0; i < count; i++) {
        int pair = in[at + i / 2];
        weights[i] = (byte) ((i & 1) == 0 ? pair >> 4 & 15 : pair & 15);
      }
      at += (count + 1) / 2;
    } else {
      if (header > end - at) {
        throw new IOException("a Huffman table is cut off");
      }
      count = weights(weights, at + header);
      at += header;
    }
    int sum = 0;
    for (int i = 0; i < count; i++) {
      if (weights[i] > MAX_HUFFMAN_BITS) {
        throw new IOException("a Huffman code is too long");
      }
      sum += 1 << weights[i] >> 1;
    }
    int bits = 32 - Integer.numberOfLeadingZeros(sum);
    int rest = (1 << bits) - sum;
    if (sum == 0 || bits > MAX_HUFFMAN_BITS || Integer.bitCount(rest) != 1) {
      throw new IOException("a Huffman table is damaged");
    }
    weights[count++] = (byte) (32 - Integer.numberOfLeadingZeros(rest));
    var table = new short[1 << bits];
    int cell = 0;
    for (int weight = 1; weight <= bits; weight++) {
      for (int symbol = 0; symbol < count; symbol++) {
        if (weights[symbol] == weight) {
          int length = 1 << (weight - 1);
          Arrays.fill(table, cell, cell + length, (short) (symbol | (bits + 1 - weight) << 8));
          cell += length;
        }
      }
    }
    huffman = table;
    huffmanBits = bits;
  }

  /// Weights packed with FSE: two states take turns until the bits are used up.
  private int weights(byte[] weights, int end) throws IOException {
    var read = FseTable.read(in, at, end, MAX_WEIGHT_LOG, 255);
    var cells = read.table().cells();
    int log = read.table().log();
    var bits = new BackwardBits(in, read.end(), end);
    int one = cells[bits.read(log)];
    int other = cells[bits.read(log)];
    int count = 0;
    while (true) {
      if (count >= 254) {
        throw new IOException("a Huffman table is too long");
      }
      weights[count++] = (byte) FseTable.symbol(one);
      int next = FseTable.base(one) + bits.readPadded(FseTable.bits(one));
      if (bits.overrun()) {
        weights[count++] = (byte) FseTable.symbol(other);
        return count;
      }
      one = other;
      other = cells[next];
    }
  }

  /// Section 3.1.1.3.2.
  private void sequencesSection(int end) throws IOException {
    need(1);
    int count = (int) take(1);
    if (count >= 255) {
      count = (int) take(2) + 0x7F00;
    } else if (count >= 128) {
      count = (count - 128 << 8) + (int) take(1);
    }
    int literal = 0;
    if (count > 0) {
      int modes = (int) take(1);
      if ((modes & 3) != 0) {
        throw new IOException("a reserved bit is set");
      }
      literalTable = table(modes >> 6 & 3, end, literalTable, LITERAL_DEFAULT, 9, 35);
      offsetTable = table(modes >> 4 & 3, end, offsetTable, OFFSET_DEFAULT, 8, MAX_OFFSET_CODE);
      matchTable = table(modes >> 2 & 3, end, matchTable, MATCH_DEFAULT, 9, 52);
      tablesSet = true;
      literal = sequences(count, end);
    }
    int rest = literalCount - literal;
    room(rest);
    System.arraycopy(literals, literal, out, done, rest);
    done += rest;
  }

  private FseTable table(
      int mode, int end, FseTable previous, FseTable predefined, int maxLog, int maxSymbol)
      throws IOException {
    return switch (mode) {
      case 0 -> predefined;
      case 1 -> {
        int symbol = (int) take(1);
        if (symbol > maxSymbol) {
          throw new IOException("an impossible symbol");
        }
        yield FseTable.of(symbol);
      }
      case 2 -> {
        var read = FseTable.read(in, at, end, maxLog, maxSymbol);
        at = read.end();
        yield read.table();
      }
      default -> {
        if (!tablesSet) {
          throw new IOException("a table is to be repeated and there is none");
        }
        yield previous;
      }
    };
  }

  /// Decodes and executes the sequences (sections 3.1.1.3.2.1.2, 3.1.1.4 and 3.1.1.5).
  ///
  /// @return the number of literals used
  private int sequences(int count, int end) throws IOException {
    var bits = new BackwardBits(in, at, end);
    int[] literalCells = literalTable.cells();
    int[] offsetCells = offsetTable.cells();
    int[] matchCells = matchTable.cells();
    int literalCell = literalCells[bits.read(literalTable.log())];
    int offsetCell = offsetCells[bits.read(offsetTable.log())];
    int matchCell = matchCells[bits.read(matchTable.log())];
    int used = 0;
    int to = done;
    for (int i = 1; ; i++) {
      int offsetCode = FseTable.symbol(offsetCell);
      long value = (1L << offsetCode) + (bits.read(offsetCode) & 0xFFFF_FFFFL);
      int matchCode = FseTable.symbol(matchCell);
      int match = MATCH_BASE[matchCode] + bits.read(MATCH_BITS[matchCode]);
      int literalCode = FseTable.symbol(literalCell);
      int length = LITERAL_BASE[literalCode] + bits.read(LITERAL_BITS[literalCode]);
      int distance = distance(value, length == 0);
      if (length > literalCount - used
          || length > out.length - to
          || match > out.length - to - length) {
        throw new IOException("a sequence does not fit");
      }
      if (length < 16) {
        for (int j = 0; j < length; j++) {
          out[to + j] = literals[used + j];
        }
      } else {
        System.arraycopy(literals, used, out, to, length);
      }
      used += length;
      to += length;
      if (distance <= 0 || distance > to) {
        throw new IOException("a match reaches before the start");
      }
      to = Lz4Legacy.copyMatch(out, to, distance, match);
      if (i == count) {
        break;
      }
      literalCell =
          literalCells[FseTable.base(literalCell) + bits.read(FseTable.bits(literalCell))];
      matchCell = matchCells[FseTable.base(matchCell) + bits.read(FseTable.bits(matchCell))];
      offsetCell = offsetCells[FseTable.base(offsetCell) + bits.read(FseTable.bits(offsetCell))];
    }
    bits.finish();
    done = to;
    return used;
  }

  /// Turns an offset value into a distance and keeps the last three.
  private int distance(long value, boolean noLiterals) {
    if (value > 3) {
      repeat3 = repeat2;
      repeat2 = repeat1;
      repeat1 = (int) Math.min(value - 3, Integer.MAX_VALUE);
      return repeat1;
    }
    int which = (int) value - 1 + (noLiterals ? 1 : 0);
    int distance =
        switch (which) {
          case 0 -> repeat1;
          case 1 -> repeat2;
          case 2 -> repeat3;
          default -> repeat1 - 1;
        };
    if (which > 1) {
      repeat3 = repeat2;
    }
    if (which > 0) {
      repeat2 = repeat1;
      repeat1 = distance;
    }
    return distance;
  }

  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  // xxHash, `doc/xxhash_spec.md`, section "XXH64 Algorithm Description".
  private static final long PRIME_1 = 0x9E3779B185EBCA87L;
  private static final long PRIME_2 = 0xC2B2AE3D27D4EB4FL;
  private static final long PRIME_3 = 0x165667B19E3779F9L;
  private static final long PRIME_4 = 0x85EBCA77C2B2AE63L;
  private static final long PRIME_5 = 0x27D4EB2F165667C5L;

  /// The XXH64 hash with seed 0.
  static long xxHash64(byte[] data) {
    int i = 0;
    long hash;
    if (data.length >= 32) {
      long b = PRIME_2;
      long a = PRIME_1 + b; // wraps

      long c = 0;
      long d = -PRIME_1;
      for (; i <= data.length - 32; i += 32) {
        a = round(a, (long) LONG.get(data, i));
        b = round(b, (long) LONG.get(data, i + 8));
        c = round(c, (long) LONG.get(data, i + 16));
        d = round(d, (long) LONG.get(data, i + 24));
      }
      hash =
          Long.rotateLeft(a, 1)
              + Long.rotateLeft(b, 7)
              + Long.rotateLeft(c, 12)
              + Long.rotateLeft(d, 18);
      hash = merge(merge(merge(merge(hash, a), b), c), d);
    } else {
      hash = PRIME_5;
    }
    hash += data.length;
    for (; i <= data.length - 8; i += 8) {
      hash ^= round(0, (long) LONG.get(data, i));
      hash = Long.rotateLeft(hash, 27) * PRIME_1 + PRIME_4;
    }
    if (i <= data.length - 4) {
      long four =
          (data[i] & 0xFFL)
              | (data[i + 1] & 0xFFL) << 8
              | (data[i + 2] & 0xFFL) << 16
              | (data[i + 3] & 0xFFL) << 24;
      hash ^= four * PRIME_1;
      hash = Long.rotateLeft(hash, 23) * PRIME_2 + PRIME_3;
      i += 4;
    }
    for (; i < data.length; i++) {
      hash ^= (data[i] & 0xFF) * PRIME_5;
      hash = Long.rotateLeft(hash, 11) * PRIME_1;
    }
    hash ^= hash >>> 33;
    hash *= PRIME_2;
    hash ^= hash >>> 29;
    hash *= PRIME_3;
    return hash ^ hash >>> 32;
  }

  private static long round(long accumulator, long lane) {
    return Long.rotateLeft(accumulator + lane * PRIME_2, 31) * PRIME_1;
  }

  private static long merge(long hash, long accumulator) {
    return (hash ^ round(0, accumulator)) * PRIME_1 + PRIME_4;
  }
}
