package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// An open virtual disk. Offsets and lengths are bytes and multiples of the logical sector size.
///
/// Any number of threads may call at once. Requests that overlap in time and in sectors have no
/// order among them; each sector then holds what one of them brought. Threads that call must not be
/// interrupted: the JDK closes a file under an interrupted thread, and every later request fails.
///
/// A write is on the disk's medium for good when a {@link #flush} that began after it has
/// returned; until then a power cut may lose it, in any order with others.
public interface VirtualDisk extends AutoCloseable {
  /// The file's format.
  DiskFormat format();

  /// Whether the file is fixed, dynamic or differencing.
  DiskType type();

  /// Bytes of the virtual disk.
  long size();

  /// Bytes of a sector as addressed: 512 or 4096.
  int logicalSectorSize();

  /// Bytes of a sector as stored, to which a guest had better align: 512 or 4096.
  int physicalSectorSize();

  /// Whether it was opened for reading only.
  boolean readOnly();

  /// Whether {@link #trim} can give room back, in this file and on this host.
  boolean trims();

  /// The disk's own id, which stays when it is written to and which its differencing children share
  /// (VHDX: virtual disk id; VHD: unique id); null where the format has none.
  default @Nullable UUID id() {
    return null;
  }

  /// A name for messages: the file's.
  String name();

  /// Reads sectors into the segments, one after the other.
  ///
  /// @param offset where to begin, in bytes
  /// @param to where to; their sizes together are the length
  /// @throws IOException when the file cannot be read; the segments' content is then undefined
  /// @throws IllegalArgumentException when the range is not within the disk or not of whole sectors
  void read(long offset, List<MemorySegment> to) throws IOException;

  /// Writes sectors from the segments, one after the other.
  ///
  /// @param offset where to begin, in bytes
  /// @param from what to write; their sizes together are the length
  /// @throws IOException when the file cannot be written; the sectors then hold old or new content
  /// @throws IllegalArgumentException when the range is not within the disk or not of whole sectors
  /// @throws IllegalStateException when the disk is read-only
  void write(long offset, List<MemorySegment> from) throws IOException;

  /// Reads sectors into one segment.
  default void read(long offset, MemorySegment to) throws IOException {
    read(offset, List.of(to));
  }

  /// Writes sectors from one segment.
  default void write(long offset, MemorySegment from) throws IOException {
    write(offset, List.of(from));
  }

  /// Makes a range read as zeroes, without taking room where the format can say so.
  void writeZeroes(long offset, long length) throws IOException;

  /// Says that a range's content is no longer needed. It then reads as zeroes or as before, each
  /// sector for itself; room is given back where it can be.
  void trim(long offset, long length) throws IOException;

  /// Returns when all that was written before is on the medium. After a flush that failed the
  /// disk takes no more writes: what the medium holds is then unknown.
  void flush() throws IOException;

  /// The run of sectors at an offset that are held the same way, through the whole chain of
  /// parents: `DATA` or `ZERO`.
  Extent extent(long offset) throws IOException;

  /// The run at an offset in this file alone: `PARENT` where a differencing disk says nothing.
  Extent ownExtent(long offset) throws IOException;

  /// What was done since it was opened.
  DiskCounters counters();

  /// Flushes and closes the file and its parents. A second time does nothing.
  @Override
  void close() throws IOException;
}
