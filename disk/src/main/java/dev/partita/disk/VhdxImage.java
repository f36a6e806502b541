package dev.partita.disk;

import java.io.IOException;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// A VHDX disk at work ([MS-VHDX]).
///
/// What a block that is not in the file reads as: of a differencing disk, the parent's content when
/// the block is not present; in every other case zeroes.
final class VhdxImage implements DiskImage {
  /// Blocks that {@link #ownExtent} looks at in one call.
  private static final int MOST_BLOCKS = 4096;

  private final VhdxStructures structures;
  private final VhdxMetadata metadata;
  private final DiskFile file;
  private final VhdxTables tables;
  private final @Nullable DiskImage parent;
  private final BlockLocks locks = new BlockLocks();
  private final int blockSize;
  private final int blockShift;
  private final int sectorSize;

  /// @param parent for a differencing disk, or null while only its own content matters
  VhdxImage(VhdxStructures structures, @Nullable DiskImage parent) {
    this.structures = structures;
    this.metadata = structures.metadata();
    this.file = structures.file();
    this.tables = new VhdxTables(structures);
    this.parent = parent;
    this.blockSize = metadata.blockSize();
    this.blockShift = Integer.numberOfTrailingZeros(blockSize);
    this.sectorSize = metadata.logicalSectorSize();
  }

  VhdxStructures structures() {
    return structures;
  }

  VhdxTables tables() {
    return tables;
  }

  UUID dataWrite() {
    return structures.headers().current().dataWrite();
  }

  @Override
  public DiskFormat format() {
    return DiskFormat.VHDX;
  }

  @Override
  public DiskType type() {
    return metadata.type();
  }

  @Override
  public long size() {
    return metadata.size();
  }

  @Override
  public int logicalSectorSize() {
    return sectorSize;
  }

  @Override
  public int physicalSectorSize() {
    return metadata.physicalSectorSize();
  }

  /// Does something to the part of a block.
  @FunctionalInterface
  private interface Part {
    /// @param within the part's beginning in the block
    /// @param at its beginning in the request
    void act(int block, long within, long at, long length) throws IOException;
  }

  private void eachBlock(long offset, long length, Part part) throws IOException {
    for (long at = 0; at < length; ) {
      int block = (int) (offset + at >>> blockShift);
      long within = offset + at & blockSize - 1;
      long piece = Math.min(blockSize - within, length - at);
      part.act(block, within, at, piece);
      at += piece;
    }
  }

  /// Bytes of a block that are within the disk.
  private long bytesOf(int block) {
    return Math.min(blockSize, metadata.size() - ((long) block << blockShift));
  }

  private static int state(long entry) {
    return (int) (entry & VhdxLayout.STATE_MASK);
  }

  private static long place(long entry) {
    return entry & VhdxLayout.OFFSET_MASK;
  }

  @Override
  public void read(long offset, Scatter to) throws IOException {
    eachBlock(
        offset,
        to.length(),
        (block, within, at, length) -> {
          var lock = locks.of(block).readLock();
          lock.lock();
          try {
            readBlock(block, within, to, at, length);
          } finally {
            lock.unlock();
          }
        });
  }

  private void readBlock(int block, long within, Scatter to, long at, long length)
      throws IOException {
    long entry = tables.payload(block);
    switch (state(entry)) {
      case VhdxLayout.FULLY_PRESENT -> to.each(at, length, place(entry) + within, file::read);
      case VhdxLayout.PARTIALLY_PRESENT -> {
        for (long done = 0; done < length; ) {
          long run =
              tables.run(block, (within + done) / sectorSize, (within + length) / sectorSize);
          long bytes = Math.abs(run) * sectorSize;
          if (run > 0) {
            to.each(at + done, bytes, place(entry) + within + done, file::read);
          } else {
            readParent(block, within + done, to, at + done, bytes);
          }
          done += bytes;
        }
      }
      case VhdxLayout.NOT_PRESENT -> readParent(block, within, to, at, length);
      default -> to.zero(at, length);
    }
  }

  private void readParent(int block, long within, Scatter to, long at, long length)
      throws IOException {
    long offset = ((long) block << blockShift) + within;
    long inherited = parent == null ? 0 : Math.clamp(parent.size() - offset, 0, length);
    if (parent != null && inherited > 0) {
      parent.read(offset, to.slice(at, inherited));
    }
    to.zero(at + inherited, length - inherited);
  }

  @Override
  public void write(long offset, Scatter from) throws IOException {
    if (from.length() == 0) {
      return;
    }
    tables.beginWriting();
    eachBlock(
        offset,
        from.length(),
        (block, within, at, length) -> writePart(block, within, from, at, length));
    tables.wrote();
    tables.commitIfLarge();
  }

  private void writePart(int block, long within, Scatter from, long at, long length)
      throws IOException {
    var lock = locks.of(block);
    lock.readLock().lock();
    try {
      if (writePresent(block, within, from, at, length)) {
        return;
      }
    } finally {
      lock.readLock().unlock();
    }
    lock.writeLock().lock();
    try {
      if (!writePresent(block, within, from, at, length)) {
        writeNew(block, within, from, at, length);
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  /// Writes into a block that has its room; false when it has none.
  private boolean writePresent(int block, long within, Scatter from, long at, long length)
      throws IOException {
    long entry = tables.payload(block);
    int state = state(entry);
    if (state < VhdxLayout.FULLY_PRESENT) {
      return false;
    }
    from.each(at, length, place(entry) + within, file::write);
    if (state == VhdxLayout.PARTIALLY_PRESENT) {
      // Only now: a commit that sees the bits must find the data written.
      tables.markPresent(block, within / sectorSize, length / sectorSize);
    }
    return true;
  }

  /// Gives a block its room. The lock is held alone.
  private void writeNew(int block, long within, Scatter from, long at, long length)
      throws IOException {
    boolean inherits =
        metadata.hasParent() && state(tables.payload(block)) == VhdxLayout.NOT_PRESENT;
    boolean whole = within == 0 && length == bytesOf(block);
    var room = tables.allocateBlock();
    boolean published = false;
    try {
      if (!inherits || whole) {
        // What the write does not cover reads as zeroes, also after the disk was made larger.
        zeroStale(room, within, length);
      }
      from.each(at, length, room.offset() + within, file::write);
      if (inherits && !whole) {
        tables.becomePartial(block, room.offset(), within / sectorSize, length / sectorSize);
      } else {
        tables.set(block, VhdxLayout.FULLY_PRESENT, room.offset());
      }
      published = true;
    } finally {
      if (!published) {
        tables.abandonBlock(room);
      }
    }
  }

  /// Clears what room may hold from an earlier use, outside of what is about to be written.
  private void zeroStale(VhdxSpace.Room room, long within, long length) throws IOException {
    long before = Math.min(room.stale(), within);
    if (before > 0) {
      file.zero(room.offset(), before);
    }
    if (room.stale() > within + length) {
      file.zero(room.offset() + within + length, room.stale() - within - length);
    }
  }

  @Override
  public void writeZeroes(long offset, long length) throws IOException {
    clear(offset, length, this::zeroPart);
  }

  @Override
  public void trim(long offset, long length) throws IOException {
    clear(offset, length, this::trimPart);
  }

  private void clear(long offset, long length, Part part) throws IOException {
    if (length == 0) {
      return;
    }
    tables.beginWriting();
    eachBlock(
        offset,
        length,
        (block, within, at, piece) -> {
          var lock = locks.of(block).writeLock();
          lock.lock();
          try {
            part.act(block, within, at, piece);
          } finally {
            lock.unlock();
          }
        });
    tables.wrote();
    tables.commitIfLarge();
  }

  private void zeroPart(int block, long within, long at, long length) throws IOException {
    long entry = tables.payload(block);
    int state = state(entry);
    boolean whole = within == 0 && length == bytesOf(block);
    boolean inherits = metadata.hasParent() && state == VhdxLayout.NOT_PRESENT;
    if (whole && !metadata.leaveAllocated()) {
      if (inherits || state >= VhdxLayout.FULLY_PRESENT) {
        tables.set(block, VhdxLayout.ZERO, 0);
      }
    } else if (state >= VhdxLayout.FULLY_PRESENT) {
      file.zero(place(entry) + within, length);
      if (state == VhdxLayout.PARTIALLY_PRESENT) {
        tables.markPresent(block, within / sectorSize, length / sectorSize);
      }
    } else if (inherits) {
      var zeroes = zeroes(length);
      writeNew(block, within, zeroes, 0, length);
    }
  }

  private static Scatter zeroes(long length) {
    var list = new java.util.ArrayList<java.lang.foreign.MemorySegment>();
    long piece = Zeroes.SEGMENT.byteSize();
    for (long at = 0; at < length; at += piece) {
      list.add(Zeroes.SEGMENT.asSlice(0, Math.min(piece, length - at)));
    }
    return new Scatter(list);
  }

  private void trimPart(int block, long within, long at, long length) throws IOException {
    if (metadata.leaveAllocated()) {
      return;
    }
    long entry = tables.payload(block);
    int state = state(entry);
    if (within == 0 && length == bytesOf(block)) {
      if (state >= VhdxLayout.FULLY_PRESENT || metadata.hasParent() && state == 0) {
        tables.set(block, VhdxLayout.UNMAPPED, 0);
      }
    } else if (state == VhdxLayout.FULLY_PRESENT) {
      file.punch(place(entry) + within, length);
    } else if (state == VhdxLayout.PARTIALLY_PRESENT) {
      // Sectors that are the parent's stay so; a hole where nothing is stored harms nothing.
      file.punch(place(entry) + within, length);
    }
  }

  /// Gives every block that has none its room: a fixed disk that has grown.
  void allocateAll() throws IOException {
    tables.beginWriting();
    for (int block = 0; block < metadata.payloadBlocks(); block++) {
      var lock = locks.of(block).writeLock();
      lock.lock();
      try {
        if (state(tables.payload(block)) < VhdxLayout.FULLY_PRESENT) {
          writeNew(block, 0, new Scatter(java.util.List.of()), 0, 0);
        }
      } finally {
        lock.unlock();
      }
    }
    tables.wrote();
    tables.commit();
  }

  /// Gives back all blocks beyond a new, smaller size, and clears what is beyond in the last one.
  void cutOff(long size) throws IOException {
    int first = (int) (size + blockSize - 1 >>> blockShift);
    if ((size & blockSize - 1) != 0) {
      long blockEnd = Math.min(metadata.size(), (long) first << blockShift);
      writeZeroes(size, blockEnd - size);
    }
    for (int block = first; block < metadata.payloadBlocks(); block++) {
      tables.set(block, VhdxLayout.NOT_PRESENT, 0);
    }
    tables.wrote();
    tables.commit();
  }

  @Override
  public boolean trims() {
    return !metadata.leaveAllocated();
  }

  @Override
  public void flush() throws IOException {
    tables.commit();
  }

  @Override
  public Extent ownExtent(long offset) throws IOException {
    long end = offset;
    Extent.Kind kind = null;
    for (int i = 0; i < MOST_BLOCKS && end < metadata.size(); i++) {
      int block = (int) (end >>> blockShift);
      Extent next;
      var lock = locks.of(block).readLock();
      lock.lock();
      try {
        next = extentOf(block, end);
      } finally {
        lock.unlock();
      }
      if (kind != null && next.kind() != kind) {
        break;
      }
      kind = next.kind();
      end = next.end();
    }
    return new Extent(offset, end - offset, kind == null ? Extent.Kind.ZERO : kind);
  }

  private Extent extentOf(int block, long offset) throws IOException {
    long within = offset & blockSize - 1;
    long rest = bytesOf(block) - within;
    long entry = tables.payload(block);
    return switch (state(entry)) {
      case VhdxLayout.FULLY_PRESENT -> {
        long from = place(entry) + within;
        long data = file.nextData(from) / sectorSize * sectorSize;
        if (data > from) {
          yield new Extent(offset, Math.min(rest, data - from), Extent.Kind.ZERO);
        }
        long hole = (file.nextHole(from) + sectorSize - 1) & -sectorSize;
        yield new Extent(offset, Math.clamp(hole - from, sectorSize, rest), Extent.Kind.DATA);
      }
      case VhdxLayout.PARTIALLY_PRESENT -> {
        long run = tables.run(block, within / sectorSize, (within + rest) / sectorSize);
        yield new Extent(
            offset, Math.abs(run) * sectorSize, run > 0 ? Extent.Kind.DATA : Extent.Kind.PARENT);
      }
      case VhdxLayout.NOT_PRESENT ->
          new Extent(offset, rest, metadata.hasParent() ? Extent.Kind.PARENT : Extent.Kind.ZERO);
      default -> new Extent(offset, rest, Extent.Kind.ZERO);
    };
  }

  @Override
  public void close() throws IOException {
    if (!file.readOnly()) {
      tables.rest();
    }
  }
}
