package dev.partita.chipset.boot;

import java.io.IOException;
import java.util.zip.Adler32;
import java.util.zip.CRC32;
import java.util.zip.Checksum;

/// A file of `lzop`: a header, then blocks packed with LZO1X. The file format is that of lzop
/// 1.04; the block format is described in Linux, `Documentation/staging/lzo.rst`.
final class LzopFile {
  private static final int MAGIC_SIZE = 9;

  // Header flags.
  private static final int ADLER32_OF_DATA = 0x1;
  private static final int ADLER32_OF_PACKED = 0x2;
  private static final int EXTRA_FIELD = 0x40;
  private static final int CRC32_OF_DATA = 0x100;
  private static final int CRC32_OF_PACKED = 0x200;
  private static final int FILTER = 0x800;

  private LzopFile() {}

  /// Unpacks a whole file.
  ///
  /// @throws IOException if it is damaged, or its size is not `out.length`
  /// @throws IndexOutOfBoundsException if it is damaged
  static void unpack(byte[] in, int start, int end, byte[] out) throws IOException {
    int at = start + MAGIC_SIZE;
    int version = u16(in, at);
    at += 4; // version, and that of the library
    if (version >= 0x940) {
      at += 2; // version needed to extract
    }
    at += 1; // method
    if (version >= 0x940) {
      at += 1; // level
    }
    int flags = u32(in, at);
    at += 4;
    if ((flags & FILTER) != 0) {
      throw new IOException("filters are not supported");
    }
    at += 4 + 4; // mode, low time
    if (version >= 0x940) {
      at += 4; // high time
    }
    at += 1 + (in[at] & 0xFF); // name
    at += 4; // header checksum
    if ((flags & EXTRA_FIELD) != 0) {
      int extra = u32(in, at);
      if (extra < 0 || extra > end - at - 8) {
        throw new IOException("the extra field is cut off");
      }
      at += 4 + extra + 4;
    }
    blocks(in, at, end, out, flags);
  }

  private static void blocks(byte[] in, int start, int end, byte[] out, int flags)
      throws IOException {
    int at = start;
    int to = 0;
    while (true) {
      if (end - at < 4) {
        throw new IOException("the last block is missing");
      }
      int size = u32(in, at);
      at += 4;
      if (size == 0) {
        break;
      }
      int packed = u32(in, at);
      at += 4;
      int adler = 0;
      int crc = 0;
      if ((flags & ADLER32_OF_DATA) != 0) {
        adler = u32(in, at);
        at += 4;
      }
      if ((flags & CRC32_OF_DATA) != 0) {
        crc = u32(in, at);
        at += 4;
      }
      if (packed != size) {
        // The checksums of the packed form are there only if it is not stored as it is.
        at += (flags & ADLER32_OF_PACKED) != 0 ? 4 : 0;
        at += (flags & CRC32_OF_PACKED) != 0 ? 4 : 0;
      }
      if (size < 0 || size > out.length - to || packed <= 0 || packed > end - at || packed > size) {
        throw new IOException("a block of %d bytes does not fit".formatted(size));
      }
      if (packed == size) {
        System.arraycopy(in, at, out, to, size);
      } else if (lzo1x(in, at, at + packed, out, to, to + size) != to + size) {
        throw new IOException("a block is too short");
      }
      if ((flags & ADLER32_OF_DATA) != 0) {
        check(new Adler32(), out, to, size, adler);
      }
      if ((flags & CRC32_OF_DATA) != 0) {
        check(new CRC32(), out, to, size, crc);
      }
      at += packed;
      to += size;
    }
    if (to != out.length) {
      throw new IOException("only %d of %d bytes".formatted(to, out.length));
    }
  }

  private static void check(Checksum sum, byte[] out, int from, int size, int expected)
      throws IOException {
    sum.update(out, from, size);
    if ((int) sum.getValue() != expected) {
      throw new IOException("checksum does not match");
    }
  }

  /// Instruction, what follows it, and how it depends on `state`: the number of literals that came
  /// with the instruction before (4 for a long run).
  ///
  /// @return where the output ends
  private static int lzo1x(byte[] in, int start, int end, byte[] out, int first, int limit)
      throws IOException {
    int s = start;
    int d = first;
    int state = 0;
    int initial = in[s] & 0xFF;
    if (initial > 17) {
      s++;
      int literals = initial - 17;
      d = literals(in, s, end, out, d, limit, literals);
      s += literals;
      state = Math.min(literals, 4);
    }
    while (true) {
      int instruction = in[s++] & 0xFF;
      int length;
      int distance;
      if (instruction >= 64) {
        length = (instruction >> 5) + 1;
        distance = ((in[s++] & 0xFF) << 3) + (instruction >> 2 & 7) + 1;
        state = instruction & 3;
      } else if (instruction >= 16) {
        int mask = instruction >= 32 ? 31 : 7;
        length = instruction & mask;
        if (length == 0) {
          int zeros = zeros(in, s);
          s += zeros;
          length = mask + 255 * zeros + (in[s++] & 0xFF);
        }
        length += 2;
        int low = (in[s] & 0xFF) | (in[s + 1] & 0xFF) << 8;
        s += 2;
        distance = low >> 2;
        state = low & 3;
        if (instruction >= 32) {
          distance += 1;
        } else {
          distance += (instruction & 8) << 11;
          if (distance == 0) {
            if (length != 3 || s != end) {
              throw new IOException("a block's end is damaged");
            }
            return d;
          }
          distance += 0x4000;
        }
      } else if (state == 0) {
        int literals = instruction;
        if (literals == 0) {
          int zeros = zeros(in, s);
          s += zeros;
          literals = 15 + 255 * zeros + (in[s++] & 0xFF);
        }
        literals += 3;
        d = literals(in, s, end, out, d, limit, literals);
        s += literals;
        state = 4;
        continue;
      } else {
        distance = ((in[s++] & 0xFF) << 2) + (instruction >> 2) + (state == 4 ? 2049 : 1);
        length = state == 4 ? 3 : 2;
        state = instruction & 3;
      }
      if (distance > d - first || length > limit - d) {
        throw new IOException("a match reaches outside of its block");
      }
      d = Lz4Legacy.copyMatch(out, d, distance, length);
      d = literals(in, s, end, out, d, limit, state);
      s += state;
    }
  }

  /// Zero bytes at a place: each lengthens by 255. So many that a length would overflow cannot be
  /// in a block.
  private static int zeros(byte[] in, int at) throws IOException {
    int i = at;
    while (in[i] == 0) {
      i++;
    }
    if (i - at > 1 << 22) {
      throw new IOException("a length is impossible");
    }
    return i - at;
  }

  private static int literals(
      byte[] in, int from, int end, byte[] out, int to, int limit, int count) throws IOException {
    if (count > end - from || count > limit - to) {
      throw new IOException("literals reach past the end");
    }
    if (count < 8) {
      for (int i = 0; i < count; i++) {
        out[to + i] = in[from + i];
      }
    } else {
      System.arraycopy(in, from, out, to, count);
    }
    return to + count;
  }

  private static int u16(byte[] in, int at) {
    return (in[at] & 0xFF) << 8 | (in[at + 1] & 0xFF);
  }

  private static int u32(byte[] in, int at) {
    return u16(in, at) << 16 | u16(in, at + 2);
  }
}
