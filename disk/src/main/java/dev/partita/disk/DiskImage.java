package dev.partita.disk;

import java.io.IOException;

/// A format at work on its file. Ranges were checked by {@link OpenDisk}. Thread-safe.
sealed interface DiskImage permits FlatImage, VhdImage, VhdxImage {
  DiskFormat format();

  DiskType type();

  long size();

  int logicalSectorSize();

  int physicalSectorSize();

  /// Reads into a range of memory.
  void read(long offset, Scatter to) throws IOException;

  void write(long offset, Scatter from) throws IOException;

  void writeZeroes(long offset, long length) throws IOException;

  void trim(long offset, long length) throws IOException;

  boolean trims();

  void flush() throws IOException;

  /// The run at an offset in this file alone.
  Extent ownExtent(long offset) throws IOException;

  /// Brings the file into its state of rest and closes it.
  void close() throws IOException;
}
