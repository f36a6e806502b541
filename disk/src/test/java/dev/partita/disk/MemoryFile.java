package dev.partita.disk;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/// A file in memory that keeps every change and flush in order, and can say what a power cut would
/// have left of it.
final class MemoryFile implements DiskFile {
  static final int PAGE = 4096;
  private static final int SECTOR = 512;

  /// What was done to the file.
  sealed interface Change {
    record Write(long offset, byte[] bytes) implements Change {}

    record Resize(long size) implements Change {}

    record Punch(long offset, long length) implements Change {}

    record Force() implements Change {}
  }

  private final Map<Long, byte[]> pages;
  private final List<Change> changes = new ArrayList<>();
  private final boolean readOnly;
  private long size;

  MemoryFile() {
    this(new HashMap<>(), 0, false);
  }

  private MemoryFile(Map<Long, byte[]> pages, long size, boolean readOnly) {
    this.pages = pages;
    this.size = size;
    this.readOnly = readOnly;
  }

  static MemoryFile of(byte[] content) {
    var file = new MemoryFile();
    file.write(0, content);
    file.changes.clear();
    return file;
  }

  /// The file as it is, with nothing recorded. Pages are never changed in place, so this is cheap.
  synchronized MemoryFile copy(boolean forReading) {
    return new MemoryFile(new HashMap<>(pages), size, forReading);
  }

  synchronized List<Change> changes() {
    return List.copyOf(changes);
  }

  synchronized int count() {
    return changes.size();
  }

  /// Applies a change as the medium sees it.
  synchronized void apply(Change change) {
    switch (change) {
      case Change.Write(var offset, var bytes) -> put(offset, bytes, 0, bytes.length);
      case Change.Resize(var newSize) -> setSize(newSize);
      case Change.Punch(var offset, var length) -> clear(offset, length);
      case Change.Force() -> {}
    }
  }

  /// Applies a change of which a power cut left something: nothing, all, or of a write any of its
  /// sectors.
  synchronized void applyTorn(Change change, Random random) {
    int kind = random.nextInt(3);
    if (kind == 0) {
      return;
    }
    if (kind == 2 && change instanceof Change.Write(var offset, var bytes)) {
      for (long at = offset; at < offset + bytes.length; ) {
        long end = Math.min((at / SECTOR + 1) * SECTOR, offset + bytes.length);
        if (random.nextBoolean()) {
          put(at, bytes, (int) (at - offset), (int) (end - at));
        }
        at = end;
      }
      return;
    }
    apply(change);
  }

  private void put(long offset, byte[] bytes, int from, int length) {
    for (int done = 0; done < length; ) {
      long page = (offset + done) & -PAGE;
      int within = (int) (offset + done - page);
      int piece = Math.min(PAGE - within, length - done);
      var old = pages.get(page);
      var content = old == null ? new byte[PAGE] : old.clone();
      System.arraycopy(bytes, from + done, content, within, piece);
      pages.put(page, content);
      done += piece;
    }
    size = Math.max(size, offset + length);
  }

  private void clear(long offset, long length) {
    long end = Math.min(size, offset + length);
    for (long page = offset & -PAGE; page < end; page += PAGE) {
      var old = pages.get(page);
      if (old != null) {
        if (page >= offset && page + PAGE <= end) {
          pages.remove(page);
        } else {
          var content = old.clone();
          java.util.Arrays.fill(
              content,
              (int) (Math.max(page, offset) - page),
              (int) (Math.min(page + PAGE, end) - page),
              (byte) 0);
          pages.put(page, content);
        }
      }
    }
  }

  private void setSize(long newSize) {
    if (newSize < size) {
      long old = size;
      clear(newSize, old - newSize);
    }
    size = newSize;
  }

  @Override
  public String name() {
    return "memory.disk";
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  @Override
  public synchronized long size() {
    return size;
  }

  @Override
  public synchronized void read(long offset, MemorySegment to) throws DiskException {
    if (offset < 0 || offset > size || to.byteSize() > size - offset) {
      throw new DiskException(
          "%s: ends within what must be there (offset %#x, file %#x)"
              .formatted(name(), offset, size));
    }
    for (long done = 0; done < to.byteSize(); ) {
      long page = (offset + done) & -PAGE;
      long within = offset + done - page;
      long piece = Math.min(PAGE - within, to.byteSize() - done);
      var content = pages.get(page);
      if (content == null) {
        to.asSlice(done, piece).fill((byte) 0);
      } else {
        MemorySegment.copy(MemorySegment.ofArray(content), within, to, done, piece);
      }
      done += piece;
    }
  }

  @Override
  public void write(long offset, byte[] bytes) {
    write(offset, MemorySegment.ofArray(bytes));
  }

  @Override
  public void write(long offset, MemorySegment from) {
    change(new Change.Write(offset, from.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE)));
  }

  @Override
  public void resize(long newSize) {
    change(new Change.Resize(newSize));
  }

  @Override
  public void force() {
    change(new Change.Force());
  }

  @Override
  public boolean punch(long offset, long length) {
    change(new Change.Punch(offset, length));
    return true;
  }

  private synchronized void change(Change change) {
    if (readOnly) {
      throw new IllegalStateException("a change of a file that is open for reading");
    }
    changes.add(change);
    apply(change);
  }

  @Override
  public void reserve(long offset, long length) {}

  @Override
  public boolean punches() {
    return true;
  }

  @Override
  public long nextData(long offset) {
    return offset;
  }

  @Override
  public synchronized long nextHole(long offset) {
    return size;
  }

  @Override
  public void close() {}
}
