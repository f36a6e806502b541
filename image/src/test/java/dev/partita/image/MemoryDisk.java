package dev.partita.image;

import dev.partita.disk.DiskCounters;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import dev.partita.disk.Extent;
import dev.partita.disk.VirtualDisk;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.zip.GZIPInputStream;

/// A disk in an array, as strict about requests as a real one.
public final class MemoryDisk implements VirtualDisk {
  private final byte[] bytes;
  private final int sector;
  private long read;

  public MemoryDisk(byte[] bytes, int sector) {
    this.bytes = bytes;
    this.sector = sector;
  }

  /// The content of a compressed file among the tests' resources.
  public static byte[] fixture(String name) {
    try (InputStream file = MemoryDisk.class.getResourceAsStream("filesystem/" + name + ".gz")) {
      if (file == null) {
        throw new IllegalArgumentException("no fixture " + name);
      }
      return new GZIPInputStream(file).readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static MemoryDisk of(byte[] bytes) {
    return new MemoryDisk(bytes, 512);
  }

  /// Bytes read so far.
  public long bytesRead() {
    return read;
  }

  @Override
  public void read(long offset, List<MemorySegment> to) {
    long at = offset;
    for (MemorySegment segment : to) {
      check(at, segment.byteSize());
      MemorySegment.copy(MemorySegment.ofArray(bytes), at, segment, 0, segment.byteSize());
      at += segment.byteSize();
    }
    read += at - offset;
  }

  @Override
  public void write(long offset, List<MemorySegment> from) {
    long at = offset;
    for (MemorySegment segment : from) {
      check(at, segment.byteSize());
      MemorySegment.copy(segment, 0, MemorySegment.ofArray(bytes), at, segment.byteSize());
      at += segment.byteSize();
    }
  }

  private void check(long offset, long length) {
    if (offset < 0
        || length < 0
        || offset + length > bytes.length
        || offset % sector != 0
        || length % sector != 0) {
      throw new IllegalArgumentException("%d bytes at %#x".formatted(length, offset));
    }
  }

  @Override
  public DiskFormat format() {
    return DiskFormat.RAW;
  }

  @Override
  public DiskType type() {
    return DiskType.FIXED;
  }

  @Override
  public long size() {
    return bytes.length;
  }

  @Override
  public int logicalSectorSize() {
    return sector;
  }

  @Override
  public int physicalSectorSize() {
    return sector;
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  @Override
  public boolean trims() {
    return false;
  }

  @Override
  public String name() {
    return "memory.raw";
  }

  @Override
  public void writeZeroes(long offset, long length) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void trim(long offset, long length) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void flush() {}

  @Override
  public Extent extent(long offset) {
    throw new UnsupportedOperationException();
  }

  @Override
  public Extent ownExtent(long offset) {
    throw new UnsupportedOperationException();
  }

  @Override
  public DiskCounters counters() {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
