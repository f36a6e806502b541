package dev.partita.engine.software;

import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/// The decoded blocks of a partition, by page of RAM, and the guard that keeps them true to the
/// bytes they
/// were decoded from.
///
/// A page that holds code has no entry in any processor's write table, so every write to it comes
/// through
/// {@link #aboutToWrite}, which looks at 64-byte granules and drops only blocks that overlap. When
/// a page
/// gets its first code while some processor may write it directly, all processors are stopped for a
/// moment
/// and those entries are taken away.
///
/// Thread-safe: one lock a page.
final class CodeCache {
  private static final int HASH_SIZE = 64;

  private final AtomicReferenceArray<@Nullable Page> pages;

  /// Per page: whether any processor may have a direct write entry. Only set without the
  /// rendezvous, only
  /// cleared in it.
  private final byte[] directlyWritable;

  private final SoftwarePartition partition;

  /// Blocks dropped because their code was written, for statistics.
  long invalidated;

  CodeCache(SoftwarePartition partition, long ramSize) {
    this.partition = partition;
    pages = new AtomicReferenceArray<>((int) (ramSize >>> 12));
    directlyWritable = new byte[(int) (ramSize >>> 12)];
  }

  private static final class Page {
    final @Nullable Block[] heads = new @Nullable Block[HASH_SIZE];

    /// Blocks that begin in the page before and end in this one.
    final List<Block> tails = new ArrayList<>();

    /// Bit n: some block covers bytes 64 n to 64 n + 63. Written under the lock, read without.
    volatile long granules;

    /// Taken out of {@link #pages}: nothing may be added any more.
    boolean dead;
  }

  private static int hash(long address) {
    return (int) (address ^ address >>> 6) & HASH_SIZE - 1;
  }

  /// The block at an address for a mode, or null.
  ///
  /// @param address offset in RAM
  @Nullable Block find(long address, int mode) {
    var page = pages.get((int) (address >>> 12));
    if (page == null) {
      return null;
    }
    synchronized (page) {
      for (var b = page.heads[hash(address)]; b != null; b = b.nextInPage) {
        if (b.address == address && b.mode == mode && b.valid) {
          return b;
        }
      }
    }
    return null;
  }

  /// Before a block is decoded from a page: from here on every write to the page takes the slow
  /// path.
  void guard(long address, SoftwareProcessor self) {
    int index = (int) (address >>> 12);
    if (pages.get(index) != null || !pages.compareAndSet(index, null, new Page())) {
      return;
    }
    // The page stands in the array; now whoever has a direct entry loses it. See allowDirectWrites.
    if (directlyWritable[index] != 0) {
      try (var ignored = partition.rendezvous().exclusive(self)) {
        directlyWritable[index] = 0;
        for (var processor : partition.softwareProcessors()) {
          processor.cpu().mmu.flushWritesTo(address & ~0xFFFL);
        }
      }
    }
  }

  /// Adds a block decoded from guarded pages. If another processor wrote there meanwhile, the
  /// caller finds
  /// out by comparing the bytes again after this, and then drops the block: together with the check
  /// after
  /// each write ({@link #wrote}), one of the two always notices.
  void add(Block block) {
    int offset = (int) block.address & 0xFFF;
    int inFirst = Math.min(block.length, 4096 - offset);
    var page = pages.get((int) (block.address >>> 12));
    boolean added = false;
    if (page != null) {
      synchronized (page) {
        if (!page.dead) {
          int h = hash(block.address);
          block.nextInPage = page.heads[h];
          page.heads[h] = block;
          page.granules |= granules(offset, inFirst);
          added = true;
        }
      }
    }
    if (added && block.secondPage >= 0) {
      added = addTail(block, block.length - inFirst);
    }
    if (!added) {
      // A page lost its last block between guard and add: this block serves once, unshared.
      block.invalidate(DropReason.WRITTEN_MEANWHILE);
    }
    VarHandle.fullFence();
  }

  private boolean addTail(Block block, int size) {
    var page = pages.get((int) (block.secondPage >>> 12));
    if (page == null) {
      return false;
    }
    synchronized (page) {
      if (page.dead) {
        return false;
      }
      page.tails.add(block);
      page.granules |= granules(0, size);
      return true;
    }
  }

  /// The granules that a stretch of a page touches.
  private static long granules(int offset, int size) {
    int first = offset >> 6;
    int last = offset + size - 1 >> 6;
    return (last == 63 ? -1L : (1L << last + 1) - 1) & -(1L << first);
  }

  /// Whether a page may get a direct write entry: it holds no code. If so, that is noted.
  boolean allowDirectWrites(long offset) {
    int index = (int) (offset >>> 12);
    if (pages.get(index) != null) {
      return false;
    }
    // A note that stands is only taken away while all processors are stopped, with the entries.
    if (directlyWritable[index] == 0) {
      directlyWritable[index] = 1;
      // Note first, then look: guard() puts the page first, then looks at the note.
      VarHandle.fullFence();
    }
    return pages.get(index) == null;
  }

  /// Before a write through the slow path.
  ///
  /// @param offset in RAM
  /// @param size bytes, within one page
  /// @throws ExecutionStop if the writer's own running block or region is hit
  void aboutToWrite(long offset, int size, SoftwareProcessor writer) {
    var page = pages.get((int) (offset >>> 12));
    if (page == null || (page.granules & granules((int) offset & 0xFFF, size)) == 0) {
      return;
    }
    drop(page, offset, size, DropReason.WRITTEN_BY_PROCESSOR);
    var region = writer.runningRegion();
    if (region != null && !region.valid) {
      throw ExecutionStop.OWN_CODE_WRITTEN;
    }
    var running = writer.runningBlock();
    if (running != null && running.instructions > 1 && running.overlaps(offset, offset + size)) {
      throw ExecutionStop.OWN_CODE_WRITTEN;
    }
  }

  /// After a write through the slow path: drops what was decoded while it was under way.
  void wrote(long offset, int size) {
    var page = pages.get((int) (offset >>> 12));
    if (page != null) {
      VarHandle.fullFence();
      if ((page.granules & granules((int) offset & 0xFFF, size)) != 0) {
        drop(page, offset, size, DropReason.WRITTEN_BY_PROCESSOR);
      }
    }
  }

  /// Drops the blocks that overlap a stretch of RAM within one page.
  private void drop(Page page, long offset, int size, DropReason reason) {
    long to = offset + size;
    synchronized (page) {
      long granules = 0;
      for (int h = 0; h < HASH_SIZE; h++) {
        Block kept = null;
        for (var b = page.heads[h]; b != null; ) {
          var next = b.nextInPage;
          if (!b.valid || b.overlaps(offset, to)) {
            b.invalidate(reason);
            invalidated++;
          } else {
            b.nextInPage = kept;
            kept = b;
            int at = (int) b.address & 0xFFF;
            granules |= granules(at, Math.min(b.length, 4096 - at));
          }
          b = next;
        }
        page.heads[h] = kept;
      }
      for (var i = page.tails.iterator(); i.hasNext(); ) {
        var b = i.next();
        if (!b.valid || b.overlaps(offset, to)) {
          b.invalidate(reason);
          i.remove();
        } else {
          granules |= granules(0, b.length - (4096 - ((int) b.address & 0xFFF)));
        }
      }
      page.granules = granules;
      if (granules == 0) {
        page.dead = true;
        pages.compareAndSet((int) (offset >>> 12), page, null);
      }
    }
  }

  /// Drops everything decoded from a stretch of RAM that a device or the loader wrote.
  void written(long offset, long length) {
    written(offset, length, DropReason.WRITTEN_BY_DEVICE);
  }

  private void written(long offset, long length, DropReason reason) {
    for (long at = offset; at < offset + length; at = (at | 0xFFF) + 1) {
      var page = pages.get((int) (at >>> 12));
      if (page != null) {
        drop(page, at, (int) Math.min(offset + length - at, 4096 - (at & 0xFFF)), reason);
      }
    }
  }

  /// Drops one block.
  void drop(Block block, DropReason reason) {
    block.invalidate(reason);
    written(block.address, 1, reason);
  }
}
