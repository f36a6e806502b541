package dev.partita.synthetic.storage;

import dev.partita.disk.DiskCounters;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import dev.partita.disk.Extent;
import dev.partita.disk.VirtualDisk;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/// A disk in memory that fails, waits and counts as a test wants.
final class FaultyDisk implements VirtualDisk {
  final MemorySegment content;
  final int sectorSize;
  boolean readOnly;
  boolean trims = true;

  /// Thrown by every request.
  volatile @Nullable IOException failure;

  /// A request takes one to go on.
  volatile @Nullable Semaphore gate;

  /// Requests that have begun.
  final Semaphore begun = new Semaphore(0);

  volatile int flushes;
  volatile int writesSinceFlush;
  volatile long trimmed;

  FaultyDisk(int size, int sectorSize) {
    content = MemorySegment.ofArray(new byte[size]);
    this.sectorSize = sectorSize;
  }

  private void begin() throws IOException {
    begun.release();
    var wait = gate;
    if (wait != null) {
      wait.acquireUninterruptibly();
    }
    var thrown = failure;
    if (thrown != null) {
      throw thrown;
    }
  }

  private void check(long offset, long length) {
    if (offset < 0 || length < 0 || offset > size() - length) {
      throw new IllegalArgumentException("not within the disk");
    }
    if (((offset | length) & (sectorSize - 1)) != 0) {
      throw new IllegalArgumentException("not whole sectors");
    }
  }

  private static long length(List<MemorySegment> segments) {
    return segments.stream().mapToLong(MemorySegment::byteSize).sum();
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
    return content.byteSize();
  }

  @Override
  public int logicalSectorSize() {
    return sectorSize;
  }

  @Override
  public int physicalSectorSize() {
    return 4096;
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  @Override
  public boolean trims() {
    return trims && !readOnly;
  }

  @Override
  public String name() {
    return "faulty.raw";
  }

  @Override
  public void read(long offset, List<MemorySegment> to) throws IOException {
    check(offset, length(to));
    begin();
    long at = offset;
    for (var each : to) {
      MemorySegment.copy(content, at, each, 0, each.byteSize());
      at += each.byteSize();
    }
  }

  private void requireWritable() {
    if (readOnly) {
      throw new IllegalStateException("read-only");
    }
  }

  @Override
  public synchronized void write(long offset, List<MemorySegment> from) throws IOException {
    requireWritable();
    check(offset, length(from));
    begin();
    writesSinceFlush++;
    long at = offset;
    for (var each : from) {
      MemorySegment.copy(each, 0, content, at, each.byteSize());
      at += each.byteSize();
    }
  }

  @Override
  public synchronized void writeZeroes(long offset, long length) throws IOException {
    requireWritable();
    check(offset, length);
    begin();
    writesSinceFlush++;
    content.asSlice(offset, length).fill((byte) 0);
  }

  @Override
  public synchronized void trim(long offset, long length) throws IOException {
    requireWritable();
    check(offset, length);
    begin();
    trimmed += length;
    content.asSlice(offset, length).fill((byte) 0);
  }

  @Override
  public synchronized void flush() throws IOException {
    begin();
    flushes++;
    writesSinceFlush = 0;
  }

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
    return new DiskCounters(0, 0, 0, 0, flushes, 0, trimmed, 0);
  }

  @Override
  public void close() {}
}
