package dev.partita.disk;

import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// A dynamic or differencing VHD disk at work: Virtual Hard Disk Image Format Specification 1.0.
///
/// VHD has no log. What keeps it whole over a crash is order, and that a sector is written whole:
///
/// - A new block goes to the file's end, behind it a new footer; until the BAT points to the block
///   on the medium, nothing does, and the footer's copy at the file's beginning serves whatever has
///   become of the end.
/// - A flush forces all data first and then writes the changed sectors of bitmaps and BAT.
///
/// In a dynamic disk the sector bitmaps are set when a block is made and not read: a sector never
/// written holds zeroes. In a differencing disk they tell which sectors are the parent's.
final class VhdImage implements DiskImage {
  private static final int MOST_DIRTY = 1024;
  private static final int MOST_BLOCKS = 4096;
  private static final int ALIGNMENT = 4096;
  private static final int SECTOR = VhdFooter.SECTOR;
  private static final int ENTRIES_PER_SECTOR = SECTOR / 4;

  private final DiskFile file;
  private final VhdStructures structures;
  private final VhdFooter footer;
  private final VhdHeader header;
  private final @Nullable DiskImage parent;
  private final boolean differencing;
  private final int blockSize;
  private final int blockShift;
  private final int bitmapSize;
  private final int[] table;
  private final BlockLocks locks = new BlockLocks();
  private final SectorBitmaps bitmaps;

  /// Taken in this order: `committing`, held over the I/O of a flush; `changing`, which guards the
  /// bitmaps, the dirty sectors of the table and the end.
  private final ReentrantLock committing = new ReentrantLock();

  private final ReentrantLock changing = new ReentrantLock();
  private final BitSet dirty = new BitSet();
  private long end;
  private volatile boolean unforced;
  private volatile @Nullable IOException failure;

  /// @param parent for a differencing disk, or null while only its own content matters
  VhdImage(VhdStructures structures, @Nullable DiskImage parent) throws IOException {
    this.structures = structures;
    this.file = structures.file();
    this.footer = structures.footer();
    this.header = Objects.requireNonNull(structures.header());
    this.parent = parent;
    this.differencing = footer.type() == DiskType.DIFFERENCING;
    this.blockSize = header.blockSize();
    this.blockShift = Integer.numberOfTrailingZeros(blockSize);
    this.bitmapSize = VhdStructures.bitmapSize(blockSize);
    this.table = structures.table();
    this.end = structures.end();
    this.bitmaps = new SectorBitmaps(file, SECTOR, true);
    if (!file.readOnly() && !structures.footerAtEnd()) {
      // A crash left the end in disorder. Nothing points there.
      file.resize(end);
      file.write(end, footer.encode());
      file.force();
    }
  }

  VhdStructures structures() {
    return structures;
  }

  @Override
  public DiskFormat format() {
    return DiskFormat.VHD;
  }

  @Override
  public DiskType type() {
    return footer.type();
  }

  @Override
  public long size() {
    return footer.size();
  }

  @Override
  public int logicalSectorSize() {
    return SECTOR;
  }

  @Override
  public int physicalSectorSize() {
    return SECTOR;
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

  /// Where a block begins in the file, its bitmap first; -1 when it has no room.
  private long place(int block) {
    int entry = table[block];
    return entry == VhdStructures.UNUSED ? -1 : Integer.toUnsignedLong(entry) * SECTOR;
  }

  private long run(long place, long first, long limit) throws IOException {
    changing.lock();
    try {
      return bitmaps.run(place, first, limit);
    } finally {
      changing.unlock();
    }
  }

  private void markPresent(long place, long within, long length) throws IOException {
    if (differencing) {
      changing.lock();
      try {
        bitmaps.set(place, within / SECTOR, length / SECTOR, true);
      } finally {
        changing.unlock();
      }
    }
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
    long place = place(block);
    if (place < 0) {
      readParent(block, within, to, at, length);
    } else if (!differencing) {
      to.each(at, length, place + bitmapSize + within, file::read);
    } else {
      for (long done = 0; done < length; ) {
        long run = run(place, (within + done) / SECTOR, (within + length) / SECTOR);
        long bytes = Math.abs(run) * SECTOR;
        if (run > 0) {
          to.each(at + done, bytes, place + bitmapSize + within + done, file::read);
        } else {
          readParent(block, within + done, to, at + done, bytes);
        }
        done += bytes;
      }
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
    check();
    eachBlock(
        offset,
        from.length(),
        (block, within, at, length) -> writePart(block, within, from, at, length));
    unforced = true;
    commitIfLarge();
  }

  /// Writes part of a block, zeroes when `from` is null.
  private void writePart(int block, long within, @Nullable Scatter from, long at, long length)
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

  private boolean writePresent(int block, long within, @Nullable Scatter from, long at, long length)
      throws IOException {
    long place = place(block);
    if (place < 0) {
      return false;
    }
    long data = place + bitmapSize + within;
    if (from == null) {
      file.zero(data, length);
    } else {
      from.each(at, length, data, file::write);
    }
    markPresent(place, within, length);
    return true;
  }

  /// Gives a block its room. The lock is held alone.
  private void writeNew(int block, long within, @Nullable Scatter from, long at, long length)
      throws IOException {
    long place = allocate();
    if (from != null) {
      from.each(at, length, place + bitmapSize + within, file::write);
    }
    changing.lock();
    try {
      if (differencing) {
        bitmaps.set(place, within / SECTOR, length / SECTOR, true);
      }
      table[block] = (int) (place / SECTOR);
      dirty.set(block / ENTRIES_PER_SECTOR);
    } finally {
      changing.unlock();
    }
  }

  /// Room for a block at the file's end, its data zeroes, its bitmap as a new block has it.
  private long allocate() throws IOException {
    changing.lock();
    try {
      // The data begin at a page of the host's, whatever the bitmap takes.
      long place = ((end + bitmapSize + ALIGNMENT - 1) & -ALIGNMENT) - bitmapSize;
      long newEnd = place + bitmapSize + blockSize;
      if (place / SECTOR >= 0xFFFF_FFFFL) {
        throw new DiskException(file.name() + ": a VHD file cannot grow beyond 2 TiB");
      }
      // The footer first: it makes the file longer, with zeroes before it.
      file.write(newEnd, footer.encode());
      var bitmap = new byte[bitmapSize];
      if (!differencing) {
        int bits = blockSize / SECTOR;
        java.util.Arrays.fill(bitmap, 0, bits / 8, (byte) 0xFF);
        if (bits % 8 != 0) {
          bitmap[bits / 8] = (byte) (0xFF00 >> bits % 8);
        }
      }
      file.write(place, bitmap);
      end = newEnd;
      return place;
    } finally {
      changing.unlock();
    }
  }

  @Override
  public void writeZeroes(long offset, long length) throws IOException {
    check();
    eachBlock(
        offset,
        length,
        (block, within, at, piece) -> {
          if (differencing) {
            writePart(block, within, null, at, piece);
          } else {
            var lock = locks.of(block).readLock();
            lock.lock();
            try {
              writePresent(block, within, null, at, piece);
            } finally {
              lock.unlock();
            }
          }
        });
    unforced = true;
    commitIfLarge();
  }

  /// Holes in the file: VHD has no state for a block whose content is not needed.
  @Override
  public void trim(long offset, long length) throws IOException {
    check();
    eachBlock(
        offset,
        length,
        (block, within, at, piece) -> {
          var lock = locks.of(block).readLock();
          lock.lock();
          try {
            long place = place(block);
            if (place >= 0) {
              file.punch(place + bitmapSize + within, piece);
            }
          } finally {
            lock.unlock();
          }
        });
    unforced = true;
  }

  @Override
  public boolean trims() {
    return file.punches();
  }

  private void check() throws DiskException {
    var earlier = failure;
    if (earlier != null) {
      throw new DiskException(
          file.name() + ": takes no more writes after an error: " + earlier.getMessage(), earlier);
    }
  }

  private void commitIfLarge() throws IOException {
    changing.lock();
    boolean due;
    try {
      due = bitmaps.dirtyPages() > MOST_DIRTY;
    } finally {
      changing.unlock();
    }
    if (due) {
      flush();
    }
  }

  @Override
  public void flush() throws IOException {
    committing.lock();
    try {
      check();
      commit();
    } catch (IOException e) {
      failure = e;
      throw e;
    } finally {
      committing.unlock();
    }
  }

  private void commit() throws IOException {
    List<SectorBitmaps.Changed> changed;
    var sectors = new ArrayList<SectorBitmaps.Changed>();
    boolean force = unforced;
    unforced = false;
    changing.lock();
    try {
      changed = bitmaps.takeDirty();
      dirty.stream().forEach(sector -> sectors.add(tableSector(sector)));
      dirty.clear();
    } finally {
      changing.unlock();
    }
    if (!force && changed.isEmpty() && sectors.isEmpty()) {
      return;
    }
    file.force();
    for (var bitmap : changed) {
      file.write(bitmap.offset(), bitmap.bytes());
    }
    for (var sector : sectors) {
      file.write(sector.offset(), sector.bytes());
    }
    if (!changed.isEmpty() || !sectors.isEmpty()) {
      file.force();
      changing.lock();
      try {
        bitmaps.settle(_ -> true);
      } finally {
        changing.unlock();
      }
    }
  }

  private SectorBitmaps.Changed tableSector(int sector) {
    var bytes = new byte[SECTOR];
    for (int i = 0; i < ENTRIES_PER_SECTOR; i++) {
      int block = sector * ENTRIES_PER_SECTOR + i;
      Bytes.putBigInt(bytes, i * 4, block < table.length ? table[block] : VhdStructures.UNUSED);
    }
    return new SectorBitmaps.Changed(header.tableOffset() + (long) sector * SECTOR, bytes);
  }

  @Override
  public Extent ownExtent(long offset) throws IOException {
    long last = offset;
    Extent.Kind kind = null;
    for (int i = 0; i < MOST_BLOCKS && last < size(); i++) {
      int block = (int) (last >>> blockShift);
      Extent next;
      var lock = locks.of(block).readLock();
      lock.lock();
      try {
        next = extentOf(block, last);
      } finally {
        lock.unlock();
      }
      if (kind != null && next.kind() != kind) {
        break;
      }
      kind = next.kind();
      last = next.end();
    }
    return new Extent(offset, last - offset, kind == null ? Extent.Kind.ZERO : kind);
  }

  private Extent extentOf(int block, long offset) throws IOException {
    long within = offset & blockSize - 1;
    long rest = Math.min(blockSize - within, size() - offset);
    long place = place(block);
    if (place < 0) {
      return new Extent(offset, rest, differencing ? Extent.Kind.PARENT : Extent.Kind.ZERO);
    }
    if (differencing) {
      long run = run(place, within / SECTOR, (within + rest) / SECTOR);
      return new Extent(
          offset, Math.abs(run) * SECTOR, run > 0 ? Extent.Kind.DATA : Extent.Kind.PARENT);
    }
    long from = place + bitmapSize + within;
    long data = file.nextData(from) / SECTOR * SECTOR;
    if (data > from) {
      return new Extent(offset, Math.min(rest, data - from), Extent.Kind.ZERO);
    }
    long hole = (file.nextHole(from) + SECTOR - 1) & -SECTOR;
    return new Extent(offset, Math.clamp(hole - from, SECTOR, rest), Extent.Kind.DATA);
  }

  @Override
  public void close() throws IOException {
    if (!file.readOnly() && failure == null) {
      flush();
    }
  }
}
