package dev.partita.image.archive;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;

/// Passes zstd frames on to their decompressor, after a look at how much memory each one asks for:
/// the decompressor itself has no limit.
///
/// It walks from frame to frame by the sizes in the headers (RFC 8878, 3.1.1 and 3.1.2); what is
/// no frame it leaves to the decompressor to refuse.
final class ZstdWindowCheck extends FilterInputStream {
  private static final int MAGIC = 0xfd2fb528;
  private static final int BLOCK_RLE = 1;

  private enum Part {
    MAGIC,
    DESCRIPTOR,
    REST_OF_HEADER,
    BLOCK_HEADER,
    OTHER
  }

  private final long limit;
  private final byte[] field = new byte[13]; // the longest: window 1, dictionary 4, size 8
  private Part part = Part.MAGIC;
  private int needed = 4;
  private int have;
  private long skip;
  private int descriptor;

  /// @param limit bytes that a frame's window may have
  ZstdWindowCheck(InputStream in, long limit) {
    super(in);
    this.limit = limit;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] buffer, int offset, int length) throws IOException {
    int count = in.read(buffer, offset, length);
    int at = offset;
    int end = offset + Math.max(0, count);
    while (at < end && part != Part.OTHER) {
      if (skip > 0) {
        int step = (int) Math.min(skip, end - at);
        skip -= step;
        at += step;
      } else {
        field[have++] = buffer[at++];
        if (have == needed) {
          have = 0;
          advance();
        }
      }
    }
    return count;
  }

  private void advance() throws MalformedArchiveException {
    switch (part) {
      case MAGIC -> {
        if ((int) number(0, 4) == MAGIC) {
          expect(Part.DESCRIPTOR, 1);
        } else {
          part = Part.OTHER;
        }
      }
      case DESCRIPTOR -> {
        descriptor = field[0] & 0xff;
        expect(Part.REST_OF_HEADER, windowBytes() + dictionaryBytes() + contentSizeBytes());
      }
      case REST_OF_HEADER -> {
        long window = windowSize();
        if (window < 0 || window > limit) {
          throw new MalformedArchiveException(
              "a zstd frame that takes more than %d bytes of memory".formatted(limit));
        }
        expect(Part.BLOCK_HEADER, 3);
      }
      case BLOCK_HEADER -> {
        int header = (int) number(0, 3);
        skip = (header >> 1 & 3) == BLOCK_RLE ? 1 : header >> 3;
        if ((header & 1) != 0) { // the last one
          skip += (descriptor & 4) != 0 ? 4 : 0; // a check sum
          expect(Part.MAGIC, 4);
        }
      }
      case OTHER -> {}
    }
  }

  private void expect(Part next, int bytes) {
    part = next;
    needed = bytes;
  }

  private boolean isSingleSegment() {
    return (descriptor & 0x20) != 0;
  }

  private int windowBytes() {
    return isSingleSegment() ? 0 : 1;
  }

  private int dictionaryBytes() {
    return new int[] {0, 1, 2, 4}[descriptor & 3];
  }

  private int contentSizeBytes() {
    return new int[] {isSingleSegment() ? 1 : 0, 2, 4, 8}[descriptor >> 6];
  }

  private long windowSize() {
    if (isSingleSegment()) {
      return number(dictionaryBytes(), contentSizeBytes());
    }
    long base = 1L << (10 + ((field[0] & 0xff) >> 3));
    return base + base / 8 * (field[0] & 7);
  }

  private long number(int offset, int bytes) {
    long value = 0;
    for (int i = offset + bytes - 1; i >= offset; i--) {
      value = value << 8 | field[i] & 0xff;
    }
    return value;
  }
}
