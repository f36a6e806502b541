package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/// A virtual disk as its users hold it: checks every request, counts it, and hands it to the
/// format. Owns its parent.
final class OpenDisk implements VirtualDisk {
  private final DiskImage image;
  private final DiskFile file;
  private final @Nullable OpenDisk parent;
  private final @Nullable UUID identity;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final LongAdder reads = new LongAdder();
  private final LongAdder bytesRead = new LongAdder();
  private final LongAdder writes = new LongAdder();
  private final LongAdder bytesWritten = new LongAdder();
  private final LongAdder flushes = new LongAdder();
  private final LongAdder trims = new LongAdder();
  private final LongAdder bytesTrimmed = new LongAdder();
  private final LongAdder errors = new LongAdder();

  /// @param identity by which children know it: as it was when it was opened; null for a raw disk
  OpenDisk(DiskImage image, DiskFile file, @Nullable OpenDisk parent, @Nullable UUID identity) {
    this.image = image;
    this.file = file;
    this.parent = parent;
    this.identity = identity;
  }

  @Nullable UUID identity() {
    return identity;
  }

  DiskImage image() {
    return image;
  }

  DiskFile file() {
    return file;
  }

  @Nullable OpenDisk parent() {
    return parent;
  }

  @Override
  public DiskFormat format() {
    return image.format();
  }

  @Override
  public DiskType type() {
    return image.type();
  }

  @Override
  public long size() {
    return image.size();
  }

  @Override
  public int logicalSectorSize() {
    return image.logicalSectorSize();
  }

  @Override
  public int physicalSectorSize() {
    return image.physicalSectorSize();
  }

  @Override
  public boolean readOnly() {
    return file.readOnly();
  }

  @Override
  public boolean trims() {
    return !readOnly() && image.trims();
  }

  @Override
  public @Nullable UUID id() {
    return switch (image) {
      case VhdxImage vhdx -> vhdx.structures().metadata().id();
      case VhdImage vhd -> vhd.structures().footer().id();
      case FlatImage _ -> identity;
    };
  }

  @Override
  public String name() {
    return file.name();
  }

  @Override
  public void read(long offset, List<MemorySegment> to) throws IOException {
    var memory = new Scatter(to);
    check(offset, memory.length());
    counted(() -> image.read(offset, memory));
    reads.increment();
    bytesRead.add(memory.length());
  }

  @Override
  public void write(long offset, List<MemorySegment> from) throws IOException {
    var memory = new Scatter(from);
    checkWritable();
    check(offset, memory.length());
    counted(() -> image.write(offset, memory));
    writes.increment();
    bytesWritten.add(memory.length());
  }

  @Override
  public void writeZeroes(long offset, long length) throws IOException {
    checkWritable();
    check(offset, length);
    counted(() -> image.writeZeroes(offset, length));
    writes.increment();
    bytesWritten.add(length);
  }

  @Override
  public void trim(long offset, long length) throws IOException {
    checkWritable();
    check(offset, length);
    counted(() -> image.trim(offset, length));
    trims.increment();
    bytesTrimmed.add(length);
  }

  @Override
  public void flush() throws IOException {
    checkOpen();
    if (!readOnly()) {
      counted(image::flush);
    }
    flushes.increment();
  }

  @Override
  public Extent extent(long offset) throws IOException {
    var own = ownExtent(offset);
    if (own.kind() != Extent.Kind.PARENT) {
      return own;
    }
    // A child may be larger than its parent: what the parent lacks is zeroes.
    if (parent == null || offset >= parent.size()) {
      return new Extent(offset, own.length(), Extent.Kind.ZERO);
    }
    var inherited = parent.extent(offset);
    return new Extent(offset, Math.min(own.length(), inherited.length()), inherited.kind());
  }

  @Override
  public Extent ownExtent(long offset) throws IOException {
    check(offset, logicalSectorSize());
    return image.ownExtent(offset);
  }

  @Override
  public DiskCounters counters() {
    return new DiskCounters(
        reads.sum(),
        bytesRead.sum(),
        writes.sum(),
        bytesWritten.sum(),
        flushes.sum(),
        trims.sum(),
        bytesTrimmed.sum(),
        errors.sum());
  }

  @Override
  public void close() throws IOException {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    try (var above = parent;
        var own = file) {
      image.close();
    }
  }

  /// Closes the files as they are, without bringing the format to rest: after an error, and in
  /// tests that stop at once.
  void abandon() throws IOException {
    if (closed.compareAndSet(false, true)) {
      try (var above = parent) {
        file.close();
      }
    }
  }

  @FunctionalInterface
  private interface Request {
    void run() throws IOException;
  }

  private void counted(Request request) throws IOException {
    try {
      request.run();
    } catch (IOException | RuntimeException e) {
      errors.increment();
      throw e;
    }
  }

  private void checkOpen() throws IOException {
    if (closed.get()) {
      throw new DiskException(name() + ": the disk is closed");
    }
  }

  private void checkWritable() {
    if (readOnly()) {
      throw new IllegalStateException(name() + " is open for reading only");
    }
  }

  private void check(long offset, long length) throws IOException {
    checkOpen();
    long size = image.size();
    if (offset < 0 || length < 0 || offset > size || length > size - offset) {
      throw new IllegalArgumentException(
          "%s: %d bytes at %#x are not within the disk of %d bytes"
              .formatted(name(), length, offset, size));
    }
    if (((offset | length) & (image.logicalSectorSize() - 1)) != 0) {
      throw new IllegalArgumentException(
          "%s: %d bytes at %#x are not whole sectors of %d bytes"
              .formatted(name(), length, offset, image.logicalSectorSize()));
    }
  }
}
