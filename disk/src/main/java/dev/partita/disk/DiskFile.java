package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// The file beneath a format: bytes at offsets, a size, and a flush. Formats know files through
/// this alone, so that tests can record, cut and reorder what reaches the medium. Thread-safe.
interface DiskFile extends AutoCloseable {
  /// A name for messages.
  String name();

  boolean readOnly();

  /// Bytes in the file now.
  long size() throws IOException;

  /// Fills the segment.
  ///
  /// @throws DiskException when the file ends before it is full
  void read(long offset, MemorySegment to) throws IOException;

  /// Writes the whole segment; the file grows as needed, with zeroes in between.
  void write(long offset, MemorySegment from) throws IOException;

  /// Makes the file this long: cut off, or grown with zeroes.
  void resize(long size) throws IOException;

  /// Returns when every write, size and punched hole before is on the medium.
  void force() throws IOException;

  /// Makes a range within the file read as zeroes and gives its room back to the file system.
  ///
  /// @return false when the host cannot; the range is then as it was
  boolean punch(long offset, long length) throws IOException;

  /// Takes room from the file system for a range, which reads as before. Does nothing where the
  /// host cannot.
  void reserve(long offset, long length) throws IOException;

  /// Whether {@link #punch} works here.
  boolean punches();

  /// Where the next data begin at or after an offset, as far as the file system knows; the file's
  /// size when there are none.
  long nextData(long offset) throws IOException;

  /// Where the next hole begins at or after an offset within the file; at most its size.
  long nextHole(long offset) throws IOException;

  @Override
  void close() throws IOException;

  /// Reads bytes.
  default byte[] bytes(long offset, int length) throws IOException {
    var bytes = new byte[length];
    read(offset, MemorySegment.ofArray(bytes));
    return bytes;
  }

  /// Writes bytes.
  default void write(long offset, byte[] bytes) throws IOException {
    write(offset, MemorySegment.ofArray(bytes));
  }

  /// Makes a range read as zeroes, with a hole if the host has holes.
  default void zero(long offset, long length) throws IOException {
    long within = Math.min(length, size() - offset);
    if (within > 0 && !punch(offset, within)) {
      var zeroes = Zeroes.SEGMENT;
      for (long at = 0; at < within; at += zeroes.byteSize()) {
        write(offset + at, zeroes.asSlice(0, Math.min(zeroes.byteSize(), within - at)));
      }
    }
    if (within < length && size() < offset + length) {
      resize(offset + length);
    }
  }
}
