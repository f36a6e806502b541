package dev.partita.engine.software;

import java.util.Arrays;

/// A direct-mapped translation cache for one way of access (privilege, SMAP): pages of RAM that can
/// be
/// read, written or fetched without any further check.
///
/// Each table holds pairs: the linear address of a page (the tag), and what to add to a linear
/// address in
/// that page to get the host's address. A tag of {@link #EMPTY} matches nothing. A lookup compares
/// {@code
/// (address + size - 1) & PAGE_MASK} with the tag at the index of `address`, so an access that
/// crosses
/// into the next page misses as well.
final class Tlb {
  /// Pages in each table; a power of two. Two pages with one slot that a loop touches in turn make
  /// it several times as slow, for a region is left at each miss. With 25 pages in use this
  /// happens in one of four guests if there are 1,024 slots, in one of fourteen if 4,096.
  static final int ENTRIES = 4096;

  static final int INDEX_MASK = ENTRIES - 1;
  static final long PAGE_MASK = ~0xFFFL;

  /// Not a multiple of the page size, hence equal to no tag.
  static final long EMPTY = 1;

  final long[] read = new long[2 * ENTRIES];
  final long[] write = new long[2 * ENTRIES];
  final long[] fetch = new long[2 * ENTRIES];

  /// Whether the entry at an index, in any table, may be of a global page.
  private final boolean[] global = new boolean[ENTRIES];

  /// Slots that got an entry that is not global, since all such were forgotten.
  private final int[] passing = new int[PASSING];

  /// How many; beyond {@link #PASSING} they are not all noted.
  private int passed;

  private static final int PASSING = 256;

  /// By index: the bits of an address within the largest page that an entry there, in any table, is
  /// a part of. 12 for pages of 4 KiB.
  private final byte[] pageShift = new byte[ENTRIES];

  private boolean anyLarge;
  private boolean anyGlobal;
  private boolean used = true;

  Tlb() {
    flush();
  }

  static int slot(long address) {
    return ((int) (address >>> 12) & INDEX_MASK) << 1;
  }

  /// Notes a translation.
  ///
  /// @param shift bits of an address within the page that the page tables name: 12 or more
  void enter(long[] table, long address, long hostPage, boolean isGlobal, int shift) {
    used = true;
    int slot = slot(address);
    if (shift > 12) {
      anyLarge = true;
    }
    if (anyLarge) {
      // Another's shift may stay: then more is forgotten than must be.
      pageShift[slot >> 1] = (byte) Math.max(pageShift[slot >> 1], shift);
    }
    table[slot] = address & PAGE_MASK;
    table[slot + 1] = hostPage - (address & PAGE_MASK);
    // One bit serves three tables: it only tells whether a flush may spare the slot.
    int index = slot >> 1;
    if (isGlobal) {
      boolean others =
          sameOrEmpty(read, slot, address)
              && sameOrEmpty(write, slot, address)
              && sameOrEmpty(fetch, slot, address);
      global[index] = others;
      anyGlobal |= others;
    } else {
      global[index] = false;
    }
    if (!global[index]) {
      pass(index);
    }
  }

  private void pass(int index) {
    int n = passed;
    if (n > 0 && n <= PASSING && passing[n - 1] == index) {
      return;
    }
    if (n < PASSING) {
      passing[n] = index;
    }
    passed = Math.min(n + 1, PASSING + 1);
  }

  private static boolean sameOrEmpty(long[] table, int slot, long address) {
    return table[slot] == EMPTY || table[slot] == (address & PAGE_MASK);
  }

  /// Forgets everything.
  void flush() {
    if (!used) {
      return;
    }
    Arrays.fill(read, EMPTY);
    Arrays.fill(write, EMPTY);
    Arrays.fill(fetch, EMPTY);
    Arrays.fill(global, false);
    Arrays.fill(pageShift, (byte) 0);
    anyLarge = false;
    anyGlobal = false;
    passed = 0;
    used = false;
  }

  /// Forgets all but global pages.
  void flushNonGlobal() {
    if (passed <= PASSING) {
      for (int i = 0; i < passed; i++) {
        forget(passing[i]);
      }
    } else if (anyGlobal) {
      for (int i = 0; i < ENTRIES; i++) {
        forget(i);
      }
    } else {
      flush();
    }
    passed = 0;
  }

  private void forget(int index) {
    if (!global[index]) {
      int slot = 2 * index;
      read[slot] = EMPTY;
      write[slot] = EMPTY;
      fetch[slot] = EMPTY;
    }
  }

  /// Forgets one page, and when it is a large one, all its parts (SDM volume 3, 4.10.2.3: a
  /// processor may keep a large page as several smaller ones, and INVLPG forgets them all).
  void flushPage(long address) {
    if (anyLarge) {
      for (int i = 0; i < ENTRIES; i++) {
        int shift = pageShift[i];
        if (shift > 12) {
          forget(read, 2 * i, address, shift);
          forget(write, 2 * i, address, shift);
          forget(fetch, 2 * i, address, shift);
        }
      }
    }
    int slot = slot(address);
    long tag = address & PAGE_MASK;
    if (read[slot] == tag) {
      read[slot] = EMPTY;
    }
    if (write[slot] == tag) {
      write[slot] = EMPTY;
    }
    if (fetch[slot] == tag) {
      fetch[slot] = EMPTY;
    }
  }

  private static void forget(long[] table, int slot, long address, int shift) {
    if (table[slot] != EMPTY && (table[slot] ^ address) >>> shift == 0) {
      table[slot] = EMPTY;
    }
  }

  /// Forgets what may be written directly.
  void flushWrites() {
    Arrays.fill(write, EMPTY);
  }

  /// Forgets write entries of one page of the host's.
  void flushWritesTo(long hostPage) {
    for (int slot = 0; slot < write.length; slot += 2) {
      long tag = write[slot];
      if (tag != EMPTY && tag + write[slot + 1] == hostPage) {
        write[slot] = EMPTY;
      }
    }
  }
}
