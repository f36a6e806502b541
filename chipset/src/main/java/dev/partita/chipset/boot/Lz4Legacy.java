package dev.partita.chipset.boot;

import java.io.IOException;
import java.util.Arrays;

/// The "legacy" LZ4 frame (lz4, `doc/lz4_Frame_format.md`, section "Legacy frame"): a magic, then
/// blocks of 8 MiB unpacked, each with its packed size before it; and the blocks inside
/// (`doc/lz4_Block_format.md`).
///
/// Copies are plain loops when short and array copies when long: this runs once, while the JVM is
/// cold, and that form was the fastest there.
final class Lz4Legacy {
  private static final int BLOCK = 8 << 20;
  private static final int LEAST_MATCH = 4;
  private static final int LONG_COPY = 16;

  private Lz4Legacy() {}

  /// Unpacks a whole frame.
  ///
  /// @throws IOException if it is damaged, or its size is not `out.length`
  /// @throws IndexOutOfBoundsException if it is damaged
  static void unpack(byte[] in, int start, int end, byte[] out) throws IOException {
    var bytes = new Bytes(in, "lz4");
    int from = start + 4;
    int to = 0;
    while (from < end) {
      long packed = bytes.u32(from);
      from += 4;
      if (packed > end - from) {
        throw new IOException("a block of %d bytes is cut off".formatted(packed));
      }
      int next = from + (int) packed;
      to = block(in, from, next, out, to, (int) Math.min(out.length, (long) to + BLOCK));
      from = next;
    }
    if (to != out.length) {
      throw new IOException("only %d of %d bytes".formatted(to, out.length));
    }
  }

  /// Unpacks a block; matches do not reach before its start.
  ///
  /// @return where its output ends
  static int block(byte[] in, int start, int end, byte[] out, int first, int limit)
      throws IOException {
    int s = start;
    int d = first;
    while (s < end) {
      int token = in[s++] & 0xFF;
      int literals = token >>> 4;
      if (literals == 15) {
        int more;
        do {
          more = in[s++] & 0xFF;
          literals += more;
        } while (more == 255 && literals >= 0);
      }
      if (literals < 0 || literals > end - s || literals > limit - d) {
        throw new IOException("literals reach past the end");
      }
      if (literals < LONG_COPY) {
        for (int i = literals; i > 0; i--) {
          out[d++] = in[s++];
        }
      } else {
        System.arraycopy(in, s, out, d, literals);
        s += literals;
        d += literals;
      }
      if (s == end) {
        return d;
      }
      int distance = (in[s] & 0xFF) | (in[s + 1] & 0xFF) << 8;
      s += 2;
      int length = token & 15;
      if (length == 15) {
        int more;
        do {
          more = in[s++] & 0xFF;
          length += more;
        } while (more == 255 && length >= 0);
      }
      length += LEAST_MATCH;
      if (distance == 0 || distance > d - first || length < 0 || length > limit - d) {
        throw new IOException("a match reaches outside of its block");
      }
      d = copyMatch(out, d, distance, length);
    }
    throw new IOException("a block has no end");
  }

  /// Copies from some bytes before; the stretches may overlap, as in a run. The caller checked the
  /// bounds.
  ///
  /// @return where the copy ends
  static int copyMatch(byte[] out, int at, int distance, int length) {
    int d = at;
    int m = at - distance;
    if (length >= LONG_COPY && distance >= length) {
      System.arraycopy(out, m, out, d, length);
      return d + length;
    }
    if (length >= LONG_COPY && distance == 1) {
      Arrays.fill(out, d, d + length, out[m]);
      return d + length;
    }
    for (int end = d + length; d < end; ) {
      out[d++] = out[m++];
    }
    return d;
  }
}
