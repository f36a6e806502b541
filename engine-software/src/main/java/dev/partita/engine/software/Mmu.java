package dev.partita.engine.software;

import dev.partita.hypervisor.GuestMemory;
import java.util.Map;

/// Address translation of one processor: paging, the {@link Tlb}s, and everything that the fast
/// path in
/// {@link Cpu} leaves: misses, accesses that cross a page, MMIO, pages that hold decoded code,
/// dirty
/// logging, locked accesses.
///
/// Paging follows the Intel SDM, volume 3, chapter 4 ("Paging"): 32-bit, PAE and 4-level. PCIDs are
/// accepted and every CR3 write that may keep entries flushes them all the same, which the
/// architecture
/// allows.
final class Mmu {
  // Page-fault error code: SDM volume 3, 4.7.
  private static final int ERROR_PRESENT = 1;
  private static final int ERROR_WRITE = 1 << 1;
  private static final int ERROR_USER = 1 << 2;
  private static final int ERROR_RESERVED = 1 << 3;
  private static final int ERROR_FETCH = 1 << 4;

  // Page-table entries: SDM volume 3, 4.5.
  private static final long PRESENT = 1;
  private static final long WRITABLE = 1 << 1;
  private static final long USER = 1 << 2;
  private static final long ACCESSED = 1 << 5;
  private static final long DIRTY = 1 << 6;
  private static final long LARGE = 1 << 7;
  private static final long GLOBAL = 1 << 8;
  private static final long NO_EXECUTE = 1L << 63;

  /// Bits of a guest-physical address.
  static final int PHYSICAL_BITS = 46;

  private static final long ADDRESS_MASK = (1L << PHYSICAL_BITS) - 1 & ~0xFFFL;
  private static final long RESERVED_HIGH = ((1L << 52) - 1) & -(1L << PHYSICAL_BITS);

  /// Kinds of access.
  static final int READ = 0;

  static final int WRITE = 1;
  static final int FETCH = 2;

  private final Cpu c;
  private final SoftwarePartition partition;
  private final GuestMemory memory;
  private final CodeCache code;
  private final long host;

  // By privilege: user; supervisor with user pages open (no SMAP, or AC set); supervisor kept off
  // user
  // pages.
  private final Tlb user = new Tlb();
  private final Tlb supervisor = new Tlb();
  private final Tlb guarded = new Tlb();
  private Tlb current = supervisor;

  // What the last walk found.
  private boolean pageGlobal;

  /// Bits of a linear address within the page: 12 for a page of 4 KiB.
  private int pageShift;

  /// A walk that met an entry which another processor was changing: no physical address.
  private static final long CHANGED = -1;

  // For statistics.
  private long walks;
  private long readMisses;
  private long writeMisses;
  private long fetchMisses;
  private long crossings;
  private long writesToCode;

  /// What {@link #compareExchange128} found when it did not exchange.
  long oldLow;

  long oldHigh;

  Mmu(Cpu cpu, SoftwarePartition partition) {
    this.c = cpu;
    this.partition = partition;
    this.memory = partition.memory();
    this.code = partition.code();
    this.host = memory.segment().address();
  }

  void count(Map<String, Long> counters) {
    counters.put("page walks", walks);
    counters.put("tlb misses reads", readMisses);
    counters.put("tlb misses writes", writeMisses);
    counters.put("tlb misses code", fetchMisses);
    counters.put("accesses across pages", crossings);
    counters.put("writes to pages with code", writesToCode);
  }

  /// Accesses that the tables did not answer, those to pages with code and to devices among them.
  long misses() {
    return readMisses + writeMisses + fetchMisses;
  }

  Tlb current() {
    return current;
  }

  /// Chooses the tables for the privilege in force; called when CPL, AC, CR0 or CR4 changed.
  void select() {
    use(
        c.cpl == 3
            ? user
            : (c.cr4 & Cpu.CR4_SMAP) != 0 && (c.systemFlags & Cpu.AC) == 0 ? guarded : supervisor);
  }

  private void use(Tlb tables) {
    current = tables;
    c.readTlb = tables.read;
    c.writeTlb = tables.write;
  }

  // ---- Flushes
  // --------------------------------------------------------------------------------------

  /// Forgets all translations: CR0.PG, CR4 or EFER changed, INVPCID.
  void flush() {
    user.flush();
    supervisor.flush();
    guarded.flush();
    c.owner.translationsChanged();
  }

  /// Forgets what is not global: CR3 was written.
  void flushNonGlobal() {
    if ((c.cr4 & Cpu.CR4_PGE) == 0) {
      flush();
      return;
    }
    user.flushNonGlobal();
    supervisor.flushNonGlobal();
    guarded.flushNonGlobal();
    c.owner.translationsChanged();
  }

  /// Forgets one page, of whatever size: INVLPG.
  void flushPage(long address) {
    user.flushPage(address);
    supervisor.flushPage(address);
    guarded.flushPage(address);
    c.owner.translationsChanged();
  }

  /// Forgets direct write access to a page of RAM; called while no processor runs.
  void flushWritesTo(long offset) {
    user.flushWritesTo(host + offset);
    supervisor.flushWritesTo(host + offset);
    guarded.flushWritesTo(host + offset);
  }

  /// Forgets all direct write access; called while no processor runs.
  void flushWrites() {
    user.flushWrites();
    supervisor.flushWrites();
    guarded.flushWrites();
  }

  // ---- Translation
  // ----------------------------------------------------------------------------------

  /// The guest-physical address for an access of the privilege in force; sets accessed and dirty
  /// bits.
  ///
  /// @param access {@link #READ}, {@link #WRITE} or {@link #FETCH}
  /// @throws GuestFault a page fault (or general protection for an address that is not canonical)
  long translate(long address, int access) {
    return translate(address, access, current == user);
  }

  private long translate(long address, int access, boolean userAccess) {
    walks++;
    if ((c.cr0 & Cpu.CR0_PG) == 0) {
      pageGlobal = false;
      pageShift = 12;
      return address & 0xFFFF_FFFFL;
    }
    if (c.longMode() && !Cpu.canonical(address)) {
      throw c.generalProtection(0);
    }
    long physical;
    do {
      if ((c.cr4 & Cpu.CR4_PAE) == 0) {
        physical = walk32(address & 0xFFFF_FFFFL, access, userAccess);
      } else if ((c.efer & Cpu.EFER_LMA) == 0) {
        physical = walkPae(address & 0xFFFF_FFFFL, access, userAccess);
      } else {
        physical = walk64(address, access, userAccess);
      }
    } while (physical == CHANGED);
    return physical;
  }

  private long walk64(long address, int access, boolean userAccess) {
    long rights = WRITABLE | USER;
    long noExecute = 0;
    long entryAddress = (c.cr3 & ADDRESS_MASK) + (address >>> 36 & 0xFF8);
    for (int level = 4; ; level--) {
      long entry = readEntry(entryAddress);
      if ((entry & PRESENT) == 0) {
        throw fault(address, access, userAccess, 0);
      }
      boolean last = level == 1 || (level <= 3 && (entry & LARGE) != 0);
      long reserved = RESERVED_HIGH;
      if ((c.efer & Cpu.EFER_NXE) == 0) {
        reserved |= NO_EXECUTE;
      }
      if (level == 4) {
        reserved |= LARGE;
      } else if (last && level == 3) {
        reserved |= 0x3FFF_E000L;
      } else if (last && level == 2) {
        reserved |= 0x1F_E000L;
      }
      if ((entry & reserved) != 0) {
        throw fault(address, access, userAccess, ERROR_PRESENT | ERROR_RESERVED);
      }
      rights &= entry;
      noExecute |= entry & NO_EXECUTE;
      if (last) {
        checkRights(address, access, userAccess, rights, noExecute != 0);
        if (!setAccessed(entryAddress, entry, access == WRITE, 8)) {
          return CHANGED;
        }
        pageShift = 12 + 9 * (level - 1);
        long sizeMask = (1L << pageShift) - 1;
        pageGlobal = (entry & GLOBAL) != 0;
        return entry & ADDRESS_MASK & ~sizeMask | address & sizeMask;
      }
      if (!setAccessed(entryAddress, entry, false, 8)) {
        return CHANGED;
      }
      entryAddress = (entry & ADDRESS_MASK) + (address >>> 12 + 9 * (level - 2) & 0x1FF) * 8;
    }
  }

  private long walkPae(long address, int access, boolean userAccess) {
    long pointer = readEntry((c.cr3 & 0xFFFF_FFE0L) + (address >>> 30) * 8);
    if ((pointer & PRESENT) == 0) {
      throw fault(address, access, userAccess, 0);
    }
    long rights = WRITABLE | USER;
    long noExecute = 0;
    long entryAddress = (pointer & ADDRESS_MASK) + (address >>> 21 & 0x1FF) * 8;
    for (int level = 2; ; level--) {
      long entry = readEntry(entryAddress);
      if ((entry & PRESENT) == 0) {
        throw fault(address, access, userAccess, 0);
      }
      boolean last = level == 1 || (entry & LARGE) != 0;
      long reserved = RESERVED_HIGH | 0x7FF0_0000_0000_0000L;
      if ((c.efer & Cpu.EFER_NXE) == 0) {
        reserved |= NO_EXECUTE;
      }
      if (last && level == 2) {
        reserved |= 0x1F_E000L;
      }
      if ((entry & reserved) != 0) {
        throw fault(address, access, userAccess, ERROR_PRESENT | ERROR_RESERVED);
      }
      rights &= entry;
      noExecute |= entry & NO_EXECUTE;
      if (last) {
        checkRights(address, access, userAccess, rights, noExecute != 0);
        if (!setAccessed(entryAddress, entry, access == WRITE, 8)) {
          return CHANGED;
        }
        pageShift = level == 2 ? 21 : 12;
        long sizeMask = (1L << pageShift) - 1;
        pageGlobal = (entry & GLOBAL) != 0;
        return entry & ADDRESS_MASK & ~sizeMask | address & sizeMask;
      }
      if (!setAccessed(entryAddress, entry, false, 8)) {
        return CHANGED;
      }
      entryAddress = (entry & ADDRESS_MASK) + (address >>> 12 & 0x1FF) * 8;
    }
  }

  private long walk32(long address, int access, boolean userAccess) {
    long directoryAddress = (c.cr3 & 0xFFFF_F000L) + (address >>> 22) * 4;
    long directory = readEntry32(directoryAddress);
    if ((directory & PRESENT) == 0) {
      throw fault(address, access, userAccess, 0);
    }
    if ((directory & LARGE) != 0 && (c.cr4 & Cpu.CR4_PSE) != 0) {
      // PSE-36: bits 20:13 of the entry are bits 39:32 of the address; bit 21 is reserved.
      if ((directory & 1 << 21) != 0) {
        throw fault(address, access, userAccess, ERROR_PRESENT | ERROR_RESERVED);
      }
      checkRights(address, access, userAccess, directory, false);
      if (!setAccessed(directoryAddress, directory, access == WRITE, 4)) {
        return CHANGED;
      }
      pageGlobal = (directory & GLOBAL) != 0;
      pageShift = 22;
      return directory & 0xFFC0_0000L | (directory >>> 13 & 0xFF) << 32 | address & 0x3F_FFFF;
    }
    if (!setAccessed(directoryAddress, directory, false, 4)) {
      return CHANGED;
    }
    long entryAddress = (directory & 0xFFFF_F000L) + (address >>> 12 & 0x3FF) * 4;
    long entry = readEntry32(entryAddress);
    if ((entry & PRESENT) == 0) {
      throw fault(address, access, userAccess, 0);
    }
    checkRights(address, access, userAccess, directory & entry, false);
    if (!setAccessed(entryAddress, entry, access == WRITE, 4)) {
      return CHANGED;
    }
    pageGlobal = (entry & GLOBAL) != 0;
    pageShift = 12;
    return entry & 0xFFFF_F000L | address & 0xFFF;
  }

  private void checkRights(
      long address, int access, boolean userAccess, long rights, boolean noExecute) {
    boolean userPage = (rights & USER) != 0;
    boolean writable = (rights & WRITABLE) != 0;
    boolean allowed;
    if (access == FETCH) {
      allowed = !noExecute && (userAccess ? userPage : !userPage || (c.cr4 & Cpu.CR4_SMEP) == 0);
    } else if (userAccess) {
      allowed = userPage && (access == READ || writable);
    } else {
      boolean mayTouch = !userPage || current != guarded;
      allowed = mayTouch && (access == READ || writable || (c.cr0 & Cpu.CR0_WP) == 0);
    }
    if (!allowed) {
      throw fault(address, access, userAccess, ERROR_PRESENT);
    }
  }

  private GuestFault fault(long address, int access, boolean userAccess, int error) {
    if (access == WRITE) {
      error |= ERROR_WRITE;
    } else if (access == FETCH
        && (((c.cr4 & Cpu.CR4_PAE) != 0 && (c.efer & Cpu.EFER_NXE) != 0)
            || (c.cr4 & Cpu.CR4_SMEP) != 0)) {
      error |= ERROR_FETCH;
    }
    if (userAccess) {
      error |= ERROR_USER;
    }
    return c.pageFault(address, error);
  }

  private long readEntry(long address) {
    long offset = memory.offset(address);
    // An entry beyond RAM reads as all ones would on a bus with nobody there; take it as not
    // present.
    return offset < 0 ? 0 : Raw.getLong(host + offset);
  }

  private long readEntry32(long address) {
    long offset = memory.offset(address);
    return offset < 0 ? 0 : Raw.getInt(host + offset) & 0xFFFF_FFFFL;
  }

  /// Sets the accessed bit, and the dirty bit, of an entry that was read.
  ///
  /// A processor that takes an entry away with an exchange learns from it whether the page was
  /// written, so none may use an entry to write whose dirty bit it could not set (SDM volume 3,
  /// 4.8: it is set with a locked update).
  ///
  /// @return false if the entry has changed since: the walk begins again
  private boolean setAccessed(long entryAddress, long entry, boolean dirty, int size) {
    long wanted = entry | ACCESSED | (dirty ? DIRTY : 0);
    if (wanted == entry) {
      return true;
    }
    long at = host + memory.offset(entryAddress);
    boolean done =
        size == 8
            ? Raw.compareAndSetLong(at, entry, wanted)
            : Raw.compareAndSetInt(at, (int) entry, (int) wanted);
    if (done) {
      memory.markDirty(entryAddress, size);
    }
    return done;
  }

  /// Notes a translation in the tables, if the page is RAM.
  private void enter(long address, long physical, int access) {
    long offset = memory.offset(physical & ~0xFFFL);
    if (offset < 0) {
      return;
    }
    long hostPage = host + offset;
    if (access == FETCH) {
      current.enter(current.fetch, address, hostPage, pageGlobal, pageShift);
      return;
    }
    current.enter(current.read, address, hostPage, pageGlobal, pageShift);
    if (access != WRITE) {
      return;
    }
    if (!code.allowDirectWrites(offset)) {
      writesToCode++;
    } else {
      if (memory.tracking()) {
        memory.markDirty(physical & ~0xFFFL, 1);
      }
      current.enter(current.write, address, hostPage, pageGlobal, pageShift);
    }
  }

  /// The address of a byte of code as an offset in RAM.
  ///
  /// @return -1 if the code is not in RAM
  long fetchOffset(long address) {
    Tlb t = current;
    int slot = Tlb.slot(address);
    if (t.fetch[slot] == (address & Tlb.PAGE_MASK)) {
      return address + t.fetch[slot + 1] - host;
    }
    fetchMisses++;
    long physical = translate(address, FETCH);
    enter(address, physical, FETCH);
    return memory.offset(physical);
  }

  /// Like {@link #fetchOffset}, but only if it is known already.
  ///
  /// @return -1 if it is not
  long peekFetch(long address) {
    Tlb t = current;
    int slot = Tlb.slot(address);
    return t.fetch[slot] == (address & Tlb.PAGE_MASK) ? address + t.fetch[slot + 1] - host : -1;
  }

  /// Like {@link #fetchOffset}, for code that the guest may never get to.
  ///
  /// @return -1 if it cannot be fetched, or is not in RAM
  long tryFetch(long address) {
    long known = peekFetch(address);
    if (known >= 0) {
      return known;
    }
    try {
      return fetchOffset(address);
    } catch (GuestFault e) {
      return -1;
    }
  }

  // ---- Slow accesses
  // --------------------------------------------------------------------------------

  /// Reads 1, 2, 4 or 8 bytes at a linear address; zero-extended.
  long load(long address, int size) {
    if ((address & 0xFFF) + size > 4096) {
      return loadCrossing(address, size);
    }
    readMisses++;
    long physical = translate(address, READ);
    enter(address, physical, READ);
    return loadPhysical(physical, size);
  }

  private long loadCrossing(long address, int size) {
    crossings++;
    int first = 4096 - (int) (address & 0xFFF);
    long next = nextPage(address);
    long low = translate(address, READ);
    long high = translate(next, READ);
    long value = 0;
    for (int i = 0; i < size; i++) {
      long physical = i < first ? low + i : high + i - first;
      value |= loadPhysical(physical, 1) << 8 * i;
    }
    return value;
  }

  private long nextPage(long address) {
    long next = (address | 0xFFF) + 1;
    return c.is64() ? next : next & 0xFFFF_FFFFL;
  }

  /// Reads guest-physical memory: RAM, the local APIC's page, or a device.
  long loadPhysical(long physical, int size) {
    long offset = memory.offset(physical);
    if (offset >= 0) {
      long at = host + offset;
      return switch (size) {
        case 1 -> Raw.getByte(at);
        case 2 -> Raw.getShort(at);
        case 4 -> Raw.getInt(at) & 0xFFFF_FFFFL;
        default -> Raw.getLong(at);
      };
    }
    if (c.owner.isApicPage(physical)) {
      // Registers are 32 bits wide at 16-byte steps; other sizes are undefined: give the bytes.
      int register = c.apic.readMmio((int) physical & 0xFF0);
      return register >>> 8 * (physical & 3) & (size >= 8 ? -1L : (1L << 8 * size) - 1);
    }
    var intercept = c.mmioRead.prepare(physical, size);
    c.owner.intercept(intercept);
    return size == 8 ? intercept.value : intercept.value & (1L << 8 * size) - 1;
  }

  /// Writes 1, 2, 4 or 8 bytes at a linear address.
  void store(long address, int size, long value) {
    if ((address & 0xFFF) + size > 4096) {
      storeCrossing(address, size, value);
      return;
    }
    writeMisses++;
    long physical = translate(address, WRITE);
    enter(address, physical, WRITE);
    storePhysical(physical, size, value);
  }

  private void storeCrossing(long address, int size, long value) {
    crossings++;
    int first = 4096 - (int) (address & 0xFFF);
    long next = nextPage(address);
    long low = translate(address, WRITE);
    long high = translate(next, WRITE);
    aboutToWrite(low, first);
    aboutToWrite(high, size - first);
    for (int i = 0; i < size; i++) {
      long physical = i < first ? low + i : high + i - first;
      storePhysical(physical, 1, value >>> 8 * i);
    }
  }

  /// Before RAM is written by other means than a table hit: drops decoded code there, notes the
  /// page.
  ///
  /// @throws ExecutionStop if that is the running block
  void aboutToWrite(long physical, int size) {
    long offset = memory.offset(physical);
    if (offset >= 0 && size > 0) {
      code.aboutToWrite(offset, size, c.owner);
      memory.markDirty(physical, size);
    }
  }

  /// Writes guest-physical memory: RAM, the local APIC's page, or a device.
  void storePhysical(long physical, int size, long value) {
    long offset = memory.offset(physical);
    if (offset >= 0) {
      aboutToWrite(physical, size);
      long at = host + offset;
      switch (size) {
        case 1 -> Raw.setByte(at, (int) value);
        case 2 -> Raw.setShort(at, (int) value);
        case 4 -> Raw.setInt(at, (int) value);
        default -> Raw.setLong(at, value);
      }
      code.wrote(offset, size);
    } else if (c.owner.isApicPage(physical)) {
      if ((physical & 0xF) == 0) {
        c.apic.writeMmio((int) physical & 0xFF0, (int) value);
      }
    } else {
      long written = size == 8 ? value : value & (1L << 8 * size) - 1;
      c.owner.intercept(c.mmioWrite.prepare(physical, size, written));
    }
  }

  /// Faults as a write would, and drops code that is about to be written, without writing.
  void probeWrite(long address, int size) {
    long physical = translate(address, WRITE);
    if ((address & 0xFFF) + size > 4096) {
      int first = 4096 - (int) (address & 0xFFF);
      long high = translate(nextPage(address), WRITE);
      aboutToWrite(physical, first);
      aboutToWrite(high, size - first);
    } else {
      enter(address, physical, WRITE);
      aboutToWrite(physical, size);
    }
  }

  // ---- System accesses: as supervisor, whatever the privilege
  // ---------------------------------------

  /// Reads a system structure (descriptor, TSS field, IDT gate): 1, 2, 4 or 8 bytes, zero-extended.
  long loadSystem(long address, int size) {
    var own = current;
    use(system());
    try {
      return switch (size) {
        case 1 -> c.load8(address) & 0xFF;
        case 2 -> c.load16(address) & 0xFFFF;
        case 4 -> c.load32(address) & 0xFFFF_FFFFL;
        default -> c.load64(address);
      };
    } finally {
      use(own);
    }
  }

  /// Writes a system structure.
  void storeSystem(long address, int size, long value) {
    var own = current;
    use(system());
    try {
      switch (size) {
        case 1 -> c.store8(address, (int) value);
        case 2 -> c.store16(address, (int) value);
        case 4 -> c.store32(address, (int) value);
        default -> c.store64(address, value);
      }
    } finally {
      use(own);
    }
  }

  /// The tables of an implicit supervisor access, to which SMAP applies without regard to AC (SDM
  /// volume 3, 4.6.1).
  private Tlb system() {
    return (c.cr4 & Cpu.CR4_SMAP) != 0 ? guarded : supervisor;
  }

  // ---- Locked accesses
  // ------------------------------------------------------------------------------

  /// See {@link Cpu#compareExchange}.
  long compareExchange(long address, int size, long expected, long value) {
    if ((address & 0xFFF) + size > 4096) {
      return compareExchangeCrossing(address, size, expected, value);
    }
    int slot = Tlb.slot(address);
    if (c.writeTlb[slot] == (address & Tlb.PAGE_MASK)) {
      return compareExchangeRam(address + c.writeTlb[slot + 1], size, expected, value);
    }
    long physical = translate(address, WRITE);
    enter(address, physical, WRITE);
    long offset = memory.offset(physical);
    if (offset < 0) {
      // A locked access to a device: no other processor is kept out.
      long old = loadPhysical(physical, size);
      if (old == expected) {
        storePhysical(physical, size, value);
      }
      return old;
    }
    aboutToWrite(physical, size);
    long old = compareExchangeRam(host + offset, size, expected, value);
    code.wrote(offset, size);
    return old;
  }

  private long compareExchangeCrossing(long address, int size, long expected, long value) {
    probeWrite(address, size);
    int first = 4096 - (int) (address & 0xFFF);
    long low;
    long high;
    try (var ignored = partition.rendezvous().exclusive(c.owner)) {
      // Looked up here: it may have changed while the others were brought to a stand.
      low = translate(address, WRITE);
      high = translate(nextPage(address), WRITE);
      if (memory.offset(low) >= 0 && memory.offset(high) >= 0) {
        return exchangeParts(low, high, first, size, expected, value);
      }
    }
    // A device: no other processor is kept out. Its handler must not run while all stand still.
    return exchangeParts(low, high, first, size, expected, value);
  }

  /// Compares and exchanges in two pieces of guest-physical memory.
  ///
  /// @param first bytes in the first piece
  private long exchangeParts(long low, long high, int first, int size, long expected, long value) {
    long old = 0;
    for (int i = 0; i < size; i++) {
      old |= loadPhysical(i < first ? low + i : high + i - first, 1) << 8 * i;
    }
    if (old == expected) {
      for (int i = 0; i < size; i++) {
        storePhysical(i < first ? low + i : high + i - first, 1, value >>> 8 * i);
      }
    }
    return old;
  }

  private long compareExchangeRam(long at, int size, long expected, long value) {
    if (size == 8 && (at & 7) == 0) {
      while (true) {
        long now = Raw.getLong(at);
        if (now != expected || Raw.compareAndSetLong(at, expected, value)) {
          return now;
        }
      }
    }
    if (size == 4 && (at & 3) == 0) {
      while (true) {
        int now = Raw.getInt(at);
        if (now != (int) expected || Raw.compareAndSetInt(at, now, (int) value)) {
          return now & 0xFFFF_FFFFL;
        }
      }
    }
    int in = (int) (at & 7);
    if (in + size <= 8) {
      long mask = ((1L << 8 * size) - 1) << 8 * in;
      long word = at - in;
      while (true) {
        long now = Raw.getLong(word);
        long part = (now & mask) >>> 8 * in;
        if (part != expected) {
          return part;
        }
        if (Raw.compareAndSetLong(word, now, now & ~mask | value << 8 * in & mask)) {
          return part;
        }
      }
    }
    // Across two words: stop the other processors.
    try (var ignored = partition.rendezvous().exclusive(c.owner)) {
      long old =
          switch (size) {
            case 2 -> Raw.getShort(at);
            case 4 -> Raw.getInt(at) & 0xFFFF_FFFFL;
            default -> Raw.getLong(at);
          };
      if (old == expected) {
        switch (size) {
          case 2 -> Raw.setShort(at, (int) value);
          case 4 -> Raw.setInt(at, (int) value);
          default -> Raw.setLong(at, value);
        }
      }
      return old;
    }
  }

  /// See {@link Cpu#compareExchange128}.
  boolean compareExchange128(long address, long expectLow, long expectHigh, long low, long high) {
    probeWrite(address, 16);
    long physical;
    try (var ignored = partition.rendezvous().exclusive(c.owner)) {
      // Looked up here: it may have changed while the others were brought to a stand.
      if (c.writeTlb[Tlb.slot(address)] == (address & Tlb.PAGE_MASK)) {
        return exchange128(address, expectLow, expectHigh, low, high);
      }
      physical = translate(address, WRITE);
      if (memory.offset(physical) >= 0) {
        return exchangePhysical(physical, expectLow, expectHigh, low, high);
      }
    }
    // A device, as in compareExchangeCrossing.
    return exchangePhysical(physical, expectLow, expectHigh, low, high);
  }

  /// See {@link Cpu#exchange128}.
  boolean exchange128(long address, long expectLow, long expectHigh, long low, long high) {
    int slot = Tlb.slot(address);
    if (c.writeTlb[slot] != (address & Tlb.PAGE_MASK)) {
      probeWrite(address, 16);
      return exchangePhysical(translate(address, WRITE), expectLow, expectHigh, low, high);
    }
    long at = address + c.writeTlb[slot + 1];
    oldLow = Raw.getLong(at);
    oldHigh = Raw.getLong(at + 8);
    if (oldLow != expectLow || oldHigh != expectHigh) {
      return false;
    }
    Raw.setLong(at, low);
    Raw.setLong(at + 8, high);
    return true;
  }

  private boolean exchangePhysical(
      long physical, long expectLow, long expectHigh, long low, long high) {
    oldLow = loadPhysical(physical, 8);
    oldHigh = loadPhysical(physical + 8, 8);
    if (oldLow != expectLow || oldHigh != expectHigh) {
      return false;
    }
    storePhysical(physical, 8, low);
    storePhysical(physical + 8, 8, high);
    return true;
  }
}
