package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// What the code of regions calls for vector instructions: checks, and what is rare. As in {@link
/// RegionSupport}, what these would throw they leave in {@link Cpu#regionThrown}, and with null for
/// the processor nothing happens.
final class VectorSupport {
  private VectorSupport() {}

  // Small, so that the compiler inlines them.

  static boolean hasSse(@Nullable Cpu c) {
    return c != null && (c.cr0 & (Cpu.CR0_EM | Cpu.CR0_TS)) == 0 && (c.cr4 & Cpu.CR4_OSFXSR) != 0;
  }

  static boolean hasAvx(@Nullable Cpu c) {
    return c != null && c.hasAvx();
  }

  static void requireSse(@Nullable Cpu c) {
    if (c != null) {
      try {
        c.requireSse();
      } catch (GuestFault e) {
        c.regionThrown = e;
      }
    }
  }

  static void requireAvx(@Nullable Cpu c) {
    if (c != null) {
      try {
        c.requireAvx();
      } catch (GuestFault e) {
        c.regionThrown = e;
      }
    }
  }

  static void misaligned(@Nullable Cpu c) {
    if (c != null) {
      c.regionThrown = c.generalProtection(0);
    }
  }

  /// Loads 16 or 32 bytes to {@link YmmOperation#OPERAND}.
  static void load(@Nullable Cpu c, long address, int size) {
    if (c == null) {
      return;
    }
    try {
      // All of it before any is written: the first access may change, the second fault.
      long a0 = c.load64(address);
      long a1 = c.load64(address + 8);
      long[] x = c.xmm;
      if (size == 32) {
        long a2 = c.load64(address + 16);
        x[YmmOperation.OPERAND + 3] = c.load64(address + 24);
        x[YmmOperation.OPERAND + 2] = a2;
      }
      x[YmmOperation.OPERAND] = a0;
      x[YmmOperation.OPERAND + 1] = a1;
    } catch (Throwable e) {
      c.regionThrown = e;
    }
  }

  /// Stores 16 or 32 bytes of a register.
  static void store(@Nullable Cpu c, long address, int size, int from) {
    if (c == null) {
      return;
    }
    try {
      if ((address & 0xFFF) > 0x1000 - size) {
        // The second page may fault: then nothing must be written.
        c.mmu.probeWrite(address, size);
      }
      long[] x = c.xmm;
      for (int i = 0; i < size / 8; i++) {
        c.store64(address + 8 * i, x[from + i]);
      }
    } catch (Throwable e) {
      c.regionThrown = e;
    }
  }

  // ---- By opcode; with none nothing happens

  /// {@link PackedInteger#half}.
  static long half(int op, long a, long b) {
    return op <= 1 ? 0 : PackedInteger.half(op, a, b);
  }

  /// {@link PackedInteger#join}.
  static long join(int op, long a, long b) {
    return op <= 1 ? 0 : PackedInteger.join(op, a, b);
  }

  /// {@link PackedInteger#shift}.
  static long shift(int op, long a, long count) {
    return PackedInteger.shift(op, a, count);
  }
}
