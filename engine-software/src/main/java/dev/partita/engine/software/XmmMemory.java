package dev.partita.engine.software;

/// Memory operands of 16 bytes: two halves, low first.
final class XmmMemory {
  private XmmMemory() {}

  /// The linear address of an operand that must be a multiple of 16.
  ///
  /// @throws GuestFault a general-protection fault if it is not
  static long alignedRead(Cpu c, MemoryOperand m) {
    long address = m.readAddress(c, 16);
    if ((address & 15) != 0) {
      throw c.generalProtection(0);
    }
    return address;
  }

  static long loadHigh(Cpu c, MemoryOperand m, long address) {
    return c.load64(address + 8 & m.linearMask());
  }

  static void storeAligned(Cpu c, MemoryOperand m, long low, long high) {
    long address = m.writeAddress(c, 16);
    if ((address & 15) != 0) {
      throw c.generalProtection(0);
    }
    c.store64(address, low);
    c.store64(address + 8, high);
  }

  static void store(Cpu c, MemoryOperand m, long low, long high) {
    long address = m.writeAddress(c, 16);
    if ((address & 0xFFF) > 0xFF0) {
      // The second page may fault: then nothing must be written.
      c.mmu.probeWrite(address, 16);
    }
    c.store64(address, low);
    c.store64(address + 8 & m.linearMask(), high);
  }
}
