package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/// A file to read as if some of its pages had been replaced and it had been made longer: a VHDX
/// file whose log is not replayed because it is open for reading only.
final class OverlaidFile implements DiskFile {
  private static final int PAGE = 4096;

  private final DiskFile file;
  private final long size;
  private final Map<Long, byte[]> pages;

  OverlaidFile(DiskFile file, long size, Map<Long, byte[]> pages) {
    this.file = file;
    this.size = size;
    this.pages = Map.copyOf(pages);
  }

  @Override
  public String name() {
    return file.name();
  }

  @Override
  public boolean readOnly() {
    return true;
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public void read(long offset, MemorySegment to) throws IOException {
    long length = to.byteSize();
    if (offset > size || length > size - offset) {
      throw new DiskException(
          "%s: ends within what must be there (offset %#x, file %#x)"
              .formatted(name(), offset, size));
    }
    long stored = Math.clamp(file.size() - offset, 0, length);
    file.read(offset, to.asSlice(0, stored));
    to.asSlice(stored).fill((byte) 0);
    for (long page = offset & -PAGE; page < offset + length; page += PAGE) {
      var replaced = pages.get(page);
      if (replaced != null) {
        long from = Math.max(page, offset);
        long end = Math.min(page + PAGE, offset + length);
        MemorySegment.copy(
            MemorySegment.ofArray(replaced), from - page, to, from - offset, end - from);
      }
    }
  }

  @Override
  public void write(long offset, MemorySegment from) {
    throw readingOnly();
  }

  @Override
  public void resize(long newSize) {
    throw readingOnly();
  }

  @Override
  public void force() {}

  @Override
  public boolean punch(long offset, long length) {
    throw readingOnly();
  }

  @Override
  public void reserve(long offset, long length) {
    throw readingOnly();
  }

  private IllegalStateException readingOnly() {
    return new IllegalStateException(name() + " is open for reading only");
  }

  @Override
  public boolean punches() {
    return false;
  }

  @Override
  public long nextData(long offset) {
    return offset;
  }

  @Override
  public long nextHole(long offset) {
    return size;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
