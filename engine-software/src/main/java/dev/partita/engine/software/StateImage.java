package dev.partita.engine.software;

/// The legacy region of FXSAVE and XSAVE images in guest memory, and the AVX component: Intel SDM
/// volume 1, 10.5, 13.4.1 and 13.5.3.
final class StateImage {
  /// Bytes of the legacy region.
  static final int LEGACY_SIZE = 512;

  /// The bits of MXCSR that exist: what is stored at byte 28.
  static final int MXCSR_MASK = 0xFFFF;

  private static final int MXCSR = 24;
  private static final int REGISTERS = 32;
  private static final int XMM = 160;

  private StateImage() {}

  /// Faults as a write of all bytes would, with nothing written.
  ///
  /// @param size bytes, at most 4096
  static void prepareWrite(Cpu c, long address, int size) {
    probe(c, address);
    probe(c, address + size - 1);
  }

  private static void probe(Cpu c, long address) {
    if (c.writeTlb[Tlb.slot(address)] != (address & Tlb.PAGE_MASK)) {
      c.mmu.probeWrite(address, 1);
    }
  }

  /// Faults as a read of all bytes would.
  static void prepareRead(Cpu c, long address, int size) {
    c.load8(address);
    c.load8(address + size - 1);
  }

  /// Writes the x87 part.
  ///
  /// @param wide pointers of 64 bits (REX.W), else of 32
  static void storeX87(Cpu c, long at, boolean wide) {
    var x = c.x87;
    long mask = wide ? -1L : 0xFFFF_FFFFL;
    c.store64(
        at, x.control | (long) x.statusWord() << 16 | (long) x.valid << 32 | (long) x.opcode << 48);
    c.store64(at + 8, x.instructionPointer & mask);
    c.store64(at + 16, x.dataPointer & mask);
    for (int i = 0; i < 8; i++) {
      int register = x.top + i & 7;
      c.store64(at + REGISTERS + 16 * i, x.significand[register]);
      c.store64(at + REGISTERS + 8 + 16 * i, x.exponent[register]);
    }
  }

  static void loadX87(Cpu c, long at, boolean wide) {
    var x = c.x87;
    long mask = wide ? -1L : 0xFFFF_FFFFL;
    long words = c.load64(at);
    x.setControl((int) words & 0xFFFF);
    x.setStatusWord((int) (words >>> 16) & 0xFFFF);
    x.valid = (int) (words >>> 32) & 0xFF;
    x.opcode = (int) (words >>> 48) & 0x7FF;
    x.instructionPointer = canonical(c.load64(at + 8) & mask);
    x.dataPointer = canonical(c.load64(at + 16) & mask);
    for (int i = 0; i < 8; i++) {
      int register = x.top + i & 7;
      x.significand[register] = c.load64(at + REGISTERS + 16 * i);
      x.exponent[register] = c.load16(at + REGISTERS + 8 + 16 * i);
    }
  }

  /// An address that is not canonical becomes so: the unit keeps 48 bits.
  private static long canonical(long address) {
    return address << 16 >> 16;
  }

  static void storeMxcsr(Cpu c, long at) {
    c.store64(at + MXCSR, c.mxcsr & 0xFFFF_FFFFL | (long) MXCSR_MASK << 32);
  }

  /// MXCSR of an image.
  ///
  /// @throws GuestFault #GP if a bit is set that does not exist
  static int checkedMxcsr(Cpu c, long at) {
    int value = c.load32(at + MXCSR);
    if ((value & ~MXCSR_MASK) != 0) {
      throw c.generalProtection(0);
    }
    return value;
  }

  /// Writes the XMM registers: sixteen in 64-bit mode, else eight.
  static void storeXmm(Cpu c, long at) {
    int n = c.is64() ? 16 : 8;
    for (int i = 0; i < n; i++) {
      c.store64(at + XMM + 16 * i, c.xmm[4 * i]);
      c.store64(at + XMM + 8 + 16 * i, c.xmm[4 * i + 1]);
    }
  }

  static void loadXmm(Cpu c, long at) {
    int n = c.is64() ? 16 : 8;
    for (int i = 0; i < n; i++) {
      c.xmm[4 * i] = c.load64(at + XMM + 16 * i);
      c.xmm[4 * i + 1] = c.load64(at + XMM + 8 + 16 * i);
    }
  }

  static void clearXmm(Cpu c) {
    int n = c.is64() ? 16 : 8;
    for (int i = 0; i < n; i++) {
      c.xmm[4 * i] = 0;
      c.xmm[4 * i + 1] = 0;
    }
  }

  /// Whether any XMM register is not 0.
  static boolean xmmInUse(Cpu c) {
    int n = c.is64() ? 16 : 8;
    long all = 0;
    for (int i = 0; i < n; i++) {
      all |= c.xmm[4 * i] | c.xmm[4 * i + 1];
    }
    return all != 0;
  }

  // ---- The AVX component: bits 255:128 of each YMM register, 16 bytes each

  static void storeYmm(Cpu c, long at) {
    int n = c.is64() ? 16 : 8;
    for (int i = 0; i < n; i++) {
      c.store64(at + 16 * i, c.xmm[4 * i + 2]);
      c.store64(at + 8 + 16 * i, c.xmm[4 * i + 3]);
    }
  }

  static void loadYmm(Cpu c, long at) {
    int n = c.is64() ? 16 : 8;
    for (int i = 0; i < n; i++) {
      c.xmm[4 * i + 2] = c.load64(at + 16 * i);
      c.xmm[4 * i + 3] = c.load64(at + 8 + 16 * i);
    }
  }

  static void clearYmm(Cpu c) {
    int n = c.is64() ? 16 : 8;
    for (int i = 0; i < n; i++) {
      c.xmm[4 * i + 2] = 0;
      c.xmm[4 * i + 3] = 0;
    }
  }

  /// Whether any upper half is not 0.
  static boolean ymmInUse(Cpu c) {
    int n = c.is64() ? 16 : 8;
    long all = 0;
    for (int i = 0; i < n; i++) {
      all |= c.xmm[4 * i + 2] | c.xmm[4 * i + 3];
    }
    return all != 0;
  }
}
