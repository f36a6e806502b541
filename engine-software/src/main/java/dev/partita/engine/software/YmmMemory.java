package dev.partita.engine.software;

/// Vector operands in memory, of any size: loaded to and stored from {@link Cpu#xmm}. Nothing is
/// changed if an access faults.
final class YmmMemory {
  private YmmMemory() {}

  /// Loads an operand, zero-extended to at least 16 bytes.
  ///
  /// @param size 1, 2, 4, 8, 16 or 32 bytes
  /// @param at index in {@link Cpu#xmm} of the first 8 bytes
  static void load(Cpu c, MemoryOperand m, int size, int at) {
    if (size == 32) {
      load32(c, m, m.readAddress(c, 32), at);
    } else if (size == 16) {
      load16(c, m, m.readAddress(c, 16), at);
    } else {
      c.xmm[at] = loadPart(c, m, size);
      c.xmm[at + 1] = 0;
    }
  }

  private static long loadPart(Cpu c, MemoryOperand m, int size) {
    return switch (size) {
      case 1 -> m.load8(c);
      case 2 -> m.load16(c);
      case 4 -> m.load32(c) & 0xFFFF_FFFFL;
      default -> m.load64(c);
    };
  }

  static void load32(Cpu c, MemoryOperand m, long address, int at) {
    long[] t = c.readTlb;
    int slot = Tlb.slot(address);
    if (t[slot] == (address + 31 & Tlb.PAGE_MASK)) {
      long host = address + t[slot + 1];
      long[] x = c.xmm;
      x[at] = Raw.getLong(host);
      x[at + 1] = Raw.getLong(host + 8);
      x[at + 2] = Raw.getLong(host + 16);
      x[at + 3] = Raw.getLong(host + 24);
    } else {
      loadSlowly32(c, m, address, at);
    }
  }

  private static void loadSlowly32(Cpu c, MemoryOperand m, long address, int at) {
    long mask = m.linearMask();
    long a0 = c.load64(address);
    long a1 = c.load64(address + 8 & mask);
    long a2 = c.load64(address + 16 & mask);
    long a3 = c.load64(address + 24 & mask);
    long[] x = c.xmm;
    x[at] = a0;
    x[at + 1] = a1;
    x[at + 2] = a2;
    x[at + 3] = a3;
  }

  static void load16(Cpu c, MemoryOperand m, long address, int at) {
    long[] t = c.readTlb;
    int slot = Tlb.slot(address);
    if (t[slot] == (address + 15 & Tlb.PAGE_MASK)) {
      long host = address + t[slot + 1];
      long[] x = c.xmm;
      x[at] = Raw.getLong(host);
      x[at + 1] = Raw.getLong(host + 8);
    } else {
      loadSlowly16(c, m, address, at);
    }
  }

  private static void loadSlowly16(Cpu c, MemoryOperand m, long address, int at) {
    long a0 = c.load64(address);
    long a1 = c.load64(address + 8 & m.linearMask());
    c.xmm[at] = a0;
    c.xmm[at + 1] = a1;
  }

  /// @throws GuestFault a general-protection fault if the address is not a multiple of the size
  static long aligned(Cpu c, long address, int size) {
    if ((address & size - 1) != 0) {
      throw c.generalProtection(0);
    }
    return address;
  }

  static void store32(Cpu c, MemoryOperand m, long address, int from) {
    long[] x = c.xmm;
    long[] t = c.writeTlb;
    int slot = Tlb.slot(address);
    if (t[slot] == (address + 31 & Tlb.PAGE_MASK)) {
      long host = address + t[slot + 1];
      Raw.setLong(host, x[from]);
      Raw.setLong(host + 8, x[from + 1]);
      Raw.setLong(host + 16, x[from + 2]);
      Raw.setLong(host + 24, x[from + 3]);
    } else {
      storeSlowly32(c, m, address, from);
    }
  }

  private static void storeSlowly32(Cpu c, MemoryOperand m, long address, int from) {
    if ((address & 0xFFF) > 0x1000 - 32) {
      // The second page may fault: then nothing must be written.
      c.mmu.probeWrite(address, 32);
    }
    long mask = m.linearMask();
    long[] x = c.xmm;
    c.store64(address, x[from]);
    c.store64(address + 8 & mask, x[from + 1]);
    c.store64(address + 16 & mask, x[from + 2]);
    c.store64(address + 24 & mask, x[from + 3]);
  }

  static void store16(Cpu c, MemoryOperand m, long address, int from) {
    long[] x = c.xmm;
    long[] t = c.writeTlb;
    int slot = Tlb.slot(address);
    if (t[slot] == (address + 15 & Tlb.PAGE_MASK)) {
      long host = address + t[slot + 1];
      Raw.setLong(host, x[from]);
      Raw.setLong(host + 8, x[from + 1]);
    } else {
      storeSlowly16(c, m, address, from);
    }
  }

  private static void storeSlowly16(Cpu c, MemoryOperand m, long address, int from) {
    if ((address & 0xFFF) > 0x1000 - 16) {
      c.mmu.probeWrite(address, 16);
    }
    c.store64(address, c.xmm[from]);
    c.store64(address + 8 & m.linearMask(), c.xmm[from + 1]);
  }
}
