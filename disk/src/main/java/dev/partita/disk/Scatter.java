package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;

/// A request's memory: segments one after the other, seen as one run of bytes.
final class Scatter {
  private final MemorySegment[] segments;
  private final long[] starts;
  private final long length;

  Scatter(List<MemorySegment> list) {
    segments = list.toArray(MemorySegment[]::new);
    starts = new long[segments.length];
    long at = 0;
    for (int i = 0; i < segments.length; i++) {
      starts[i] = at;
      at = Math.addExact(at, segments[i].byteSize());
    }
    length = at;
  }

  long length() {
    return length;
  }

  /// Takes one piece of the memory and where it is in a file.
  @FunctionalInterface
  interface Transfer {
    void move(long fileOffset, MemorySegment piece) throws IOException;
  }

  /// Moves a range piece by piece.
  ///
  /// @param from where the range begins in this memory
  /// @param bytes its length
  /// @param fileOffset where its first byte is in the file
  void each(long from, long bytes, long fileOffset, Transfer transfer) throws IOException {
    int found = Arrays.binarySearch(starts, from);
    // Of segments that begin at the same place all but the last are empty.
    int i = found >= 0 ? found : -found - 2;
    long done = 0;
    while (done < bytes) {
      long within = from + done - starts[i];
      long piece = Math.min(segments[i].byteSize() - within, bytes - done);
      if (piece > 0) {
        transfer.move(fileOffset + done, segments[i].asSlice(within, piece));
        done += piece;
      }
      i++;
    }
  }

  /// Fills a range with zeroes.
  void zero(long from, long bytes) throws IOException {
    each(from, bytes, 0, (_, piece) -> piece.fill((byte) 0));
  }

  /// The range as a memory of its own.
  Scatter slice(long from, long bytes) throws IOException {
    if (from == 0 && bytes == length) {
      return this;
    }
    var pieces = new java.util.ArrayList<MemorySegment>();
    each(from, bytes, 0, (_, piece) -> pieces.add(piece));
    return new Scatter(pieces);
  }
}
