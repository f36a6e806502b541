package dev.partita.disk;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.function.Predicate;

/// Sector bitmaps of a differencing disk, read in pages as they are needed. Not thread-safe: its
/// owner's lock guards it.
///
/// A page is clean (as in the file), dirty (changed since the last snapshot), or logged (in a
/// snapshot that is on its way into the file). Only clean pages are forgotten to make room, since
/// only they can be read again.
final class SectorBitmaps {
  private static final long MOST_BYTES = 32 << 20;

  private enum State {
    CLEAN,
    DIRTY,
    LOGGED
  }

  private static final class Page {
    final byte[] bytes;
    State state = State.CLEAN;

    Page(byte[] bytes) {
      this.bytes = bytes;
    }
  }

  private final DiskFile file;
  private final int pageSize;
  private final boolean highBitFirst;
  private final LinkedHashMap<Long, Page> pages = new LinkedHashMap<>(64, 0.75f, true);
  private int dirty;

  /// @param pageSize bytes that are read and written together
  /// @param highBitFirst whether a byte's highest bit is its first sector (VHD) or its lowest
  ///     (VHDX)
  SectorBitmaps(DiskFile file, int pageSize, boolean highBitFirst) {
    this.file = file;
    this.pageSize = pageSize;
    this.highBitFirst = highBitFirst;
  }

  private Page page(long offset) throws IOException {
    var page = pages.get(offset);
    if (page == null) {
      page = new Page(file.bytes(offset, pageSize));
      pages.put(offset, page);
      if ((long) pages.size() * pageSize > MOST_BYTES) {
        forgetOne(page);
      }
    }
    return page;
  }

  private void forgetOne(Page except) {
    for (var each = pages.values().iterator(); each.hasNext(); ) {
      var page = each.next();
      if (page.state == State.CLEAN && page != except) {
        each.remove();
        return;
      }
    }
  }

  private int mask(long bit) {
    int within = (int) (bit & 7);
    return highBitFirst ? 0x80 >>> within : 1 << within;
  }

  /// How many bits from `first` on, below `limit`, are like the first.
  ///
  /// @param bitmap where the bitmap begins in the file, a page's beginning
  /// @return their number when set, its negative when clear
  long run(long bitmap, long first, long limit) throws IOException {
    long bitsPerPage = pageSize * 8L;
    boolean set = false;
    long bit = first;
    while (bit < limit) {
      var page = page(bitmap + bit / bitsPerPage * pageSize);
      long end = Math.min(limit, (bit / bitsPerPage + 1) * bitsPerPage);
      for (; bit < end; bit++) {
        int value = page.bytes[(int) (bit % bitsPerPage >>> 3)];
        if ((bit & 7) == 0 && end - bit >= 8 && bit > first && value == (set ? -1 : 0)) {
          bit += 7;
          continue;
        }
        boolean here = (value & mask(bit)) != 0;
        if (bit == first) {
          set = here;
        } else if (here != set) {
          return set ? bit - first : first - bit;
        }
      }
    }
    return set ? limit - first : first - limit;
  }

  /// Sets or clears bits.
  void set(long bitmap, long first, long count, boolean value) throws IOException {
    long bitsPerPage = pageSize * 8L;
    long bit = first;
    while (bit < first + count) {
      var page = page(bitmap + bit / bitsPerPage * pageSize);
      long end = Math.min(first + count, (bit / bitsPerPage + 1) * bitsPerPage);
      boolean changed = false;
      for (; bit < end; bit++) {
        int at = (int) (bit % bitsPerPage >>> 3);
        byte old = page.bytes[at];
        if ((bit & 7) == 0 && end - bit >= 8) {
          page.bytes[at] = (byte) (value ? -1 : 0);
          bit += 7;
        } else {
          page.bytes[at] = (byte) (value ? old | mask(bit) : old & ~mask(bit));
        }
        changed |= page.bytes[at] != old;
      }
      if (changed && page.state != State.DIRTY) {
        page.state = State.DIRTY;
        dirty++;
      }
    }
  }

  int dirtyPages() {
    return dirty;
  }

  /// A snapshot of a page.
  record Changed(long offset, byte[] bytes) {}

  /// Takes snapshots of the dirty pages, which are logged from now on.
  List<Changed> takeDirty() {
    var changed = new ArrayList<Changed>();
    if (dirty > 0) {
      pages.forEach(
          (offset, page) -> {
            if (page.state == State.DIRTY) {
              page.state = State.LOGGED;
              changed.add(new Changed(offset, page.bytes.clone()));
            }
          });
      dirty = 0;
    }
    return changed;
  }

  /// Logged pages are clean where the file holds them.
  void settle(Predicate<Long> inFile) {
    pages.forEach(
        (offset, page) -> {
          if (page.state == State.LOGGED && inFile.test(offset)) {
            page.state = State.CLEAN;
          }
        });
  }
}
