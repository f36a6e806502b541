package dev.partita.disk;

import java.io.IOException;
import java.util.ArrayList;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// The changing metadata of an open VHDX file (the BAT and the sector bitmaps) and how they come
/// onto the medium.
///
/// In memory a change counts at once. {@link #commit} takes a snapshot of all changes, forces the
/// file, and only then logs the snapshot. So an entry reaches the medium after everything that was
/// written before the change: whoever allocates a block writes its data first and publishes the
/// entry then. Room that a change gave back is free only when that change is on the medium, for
/// until then a crash would bring the old entry back.
///
/// Two locks, taken in this order: `committing`, held over the I/O of a commit; `changing`, held
/// for moments, which guards the tables in memory.
final class VhdxTables {
  /// Changed pages that make a commit due without a flush, so that memory stays bounded and a
  /// commit is mostly one log entry.
  private static final int MOST_DIRTY = 100;

  private record Given(long offset, long length) {}

  private final DiskFile file;
  private final VhdxHeaders headers;
  private final VhdxMetadata metadata;
  private final VhdxBat bat;
  private final VhdxSpace space;
  private final SectorBitmaps bitmaps;
  private final VhdxLog log;
  private final ReentrantLock committing = new ReentrantLock();
  private final ReentrantLock changing = new ReentrantLock();
  private final long sectorsPerBlock;

  private ArrayList<Given> given = new ArrayList<>();
  private volatile boolean unforced;
  private volatile boolean started;
  private volatile @Nullable IOException failure;
  private @Nullable UUID nextDataWrite;

  VhdxTables(VhdxStructures structures) {
    file = structures.file();
    headers = structures.headers();
    metadata = structures.metadata();
    bat = structures.bat();
    space = structures.space();
    bitmaps = new SectorBitmaps(file, VhdxLayout.LOG_SECTOR, false);
    log = new VhdxLog(file, headers);
    sectorsPerBlock = metadata.blockSize() / metadata.logicalSectorSize();
  }

  /// Chooses the data write GUID that the first write will give, for a merge.
  void chooseDataWrite(UUID guid) {
    nextDataWrite = guid;
  }

  /// To be called before anything is written: the first time it gives the file its new write GUIDs
  /// ([MS-VHDX] 2.2.2).
  void beginWriting() throws IOException {
    check();
    if (started) {
      return;
    }
    committing.lock();
    try {
      if (!started) {
        var dataWrite = nextDataWrite == null ? UUID.randomUUID() : nextDataWrite;
        headers.update(header -> header.withWrites(UUID.randomUUID(), dataWrite));
        started = true;
      }
    } catch (IOException e) {
      failure = e;
      throw e;
    } finally {
      committing.unlock();
    }
  }

  private void check() throws DiskException {
    var earlier = failure;
    if (earlier != null) {
      throw new DiskException(
          file.name() + ": takes no more writes after an error: " + earlier.getMessage(), earlier);
    }
  }

  /// To be called after data were written.
  void wrote() {
    unforced = true;
  }

  /// A payload block's entry. The caller holds the block's lock.
  long payload(int block) {
    return bat.get(bat.payloadIndex(block));
  }

  /// Room for a payload block.
  VhdxSpace.Room allocateBlock() throws IOException {
    return space.allocate(metadata.blockSize());
  }

  /// Gives back room that no entry has pointed to yet.
  void abandonBlock(VhdxSpace.Room room) {
    space.release(room.offset(), metadata.blockSize());
  }

  /// Changes a payload block's entry. The caller holds the block's lock alone; the data are
  /// written.
  void set(int block, int state, long place) {
    changing.lock();
    try {
      int index = bat.payloadIndex(block);
      long old = bat.get(index);
      if (old == (place | state)) {
        return;
      }
      long oldPlace = old & VhdxLayout.OFFSET_MASK;
      int oldState = (int) (old & VhdxLayout.STATE_MASK);
      bat.set(index, state, place);
      if (oldPlace != 0 && oldPlace != place && oldState >= VhdxLayout.FULLY_PRESENT) {
        given.add(new Given(oldPlace, metadata.blockSize()));
      }
    } finally {
      changing.unlock();
    }
  }

  /// Makes a block partially present, with some sectors that are written.
  void becomePartial(int block, long place, long firstSector, long sectors) throws IOException {
    changing.lock();
    try {
      long bitmap = bitmapOf(block);
      if (bitmap == 0) {
        var room = space.allocate(VhdxLayout.MIB);
        if (room.stale() > 0) {
          file.zero(room.offset(), room.stale());
        }
        bitmap = room.offset();
        bat.set(bat.bitmapIndex(block), VhdxLayout.BITMAP_PRESENT, bitmap);
      }
      long first = firstBit(block);
      bitmaps.set(bitmap, first, sectorsPerBlock, false);
      bitmaps.set(bitmap, first + firstSector, sectors, true);
      bat.set(bat.payloadIndex(block), VhdxLayout.PARTIALLY_PRESENT, place);
    } finally {
      changing.unlock();
    }
  }

  /// Marks written sectors of a partially present block.
  void markPresent(int block, long firstSector, long sectors) throws IOException {
    changing.lock();
    try {
      bitmaps.set(bitmapOf(block), firstBit(block) + firstSector, sectors, true);
    } finally {
      changing.unlock();
    }
  }

  /// How many sectors of a partially present block, from `first` and below `limit`, are here
  /// (positive) or in the parent (negative).
  long run(int block, long first, long limit) throws IOException {
    changing.lock();
    try {
      long base = firstBit(block);
      return bitmaps.run(bitmapOf(block), base + first, base + limit);
    } finally {
      changing.unlock();
    }
  }

  private long bitmapOf(int block) {
    return bat.get(bat.bitmapIndex(block)) & VhdxLayout.OFFSET_MASK;
  }

  private long firstBit(int block) {
    return block % metadata.chunkRatio() * sectorsPerBlock;
  }

  /// Commits when much has changed since the last time.
  void commitIfLarge() throws IOException {
    changing.lock();
    boolean due;
    try {
      due = bat.dirtyPages() + bitmaps.dirtyPages() > MOST_DIRTY;
    } finally {
      changing.unlock();
    }
    if (due) {
      commit();
    }
  }

  /// Brings all that was written and changed before onto the medium.
  void commit() throws IOException {
    committing.lock();
    try {
      check();
      if (started) {
        commitLocked();
      }
    } catch (IOException e) {
      failure = e;
      throw e;
    } finally {
      committing.unlock();
    }
  }

  private void commitLocked() throws IOException {
    var pages = new ArrayList<VhdxLog.Page>();
    ArrayList<Given> freed;
    long last;
    // Cleared before the snapshot: a write that ends from here on sets it again.
    boolean force = unforced;
    unforced = false;
    changing.lock();
    try {
      // Bitmaps first, for a commit that takes several entries: bits count only once the BAT calls
      // their block partially present, and must be right by then.
      for (var changed : bitmaps.takeDirty()) {
        pages.add(new VhdxLog.Page(changed.offset(), changed.bytes()));
      }
      bat.takeDirty(pages);
      freed = given;
      given = new ArrayList<>();
      last = space.end();
    } finally {
      changing.unlock();
    }
    if (!force && pages.isEmpty()) {
      return;
    }
    long size = file.size();
    file.force();
    if (!pages.isEmpty()) {
      log.append(pages, size, last);
      changing.lock();
      try {
        bitmaps.settle(offset -> !log.holds(offset));
      } finally {
        changing.unlock();
      }
      freed.forEach(room -> space.release(room.offset(), room.length()));
    }
  }

  /// Changes a page of the metadata region through the log, and brings the file to rest.
  void changeMetadata(java.util.List<VhdxLog.Page> pages) throws IOException {
    committing.lock();
    try {
      check();
      commitLocked();
      log.append(pages, file.size(), space.end());
      log.drain();
    } catch (IOException e) {
      failure = e;
      throw e;
    } finally {
      committing.unlock();
    }
  }

  /// Brings the file to rest: everything in its place, no log, nothing after what is used.
  void rest() throws IOException {
    committing.lock();
    try {
      if (failure != null || !started) {
        return;
      }
      commitLocked();
      log.drain();
      if (!metadata.leaveAllocated() && file.size() > space.end()) {
        file.resize(space.end());
        file.force();
      }
    } catch (IOException e) {
      failure = e;
      throw e;
    } finally {
      committing.unlock();
    }
  }
}
