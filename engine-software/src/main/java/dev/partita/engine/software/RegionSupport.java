package dev.partita.engine.software;

import java.lang.foreign.Arena;
import org.jspecify.annotations.Nullable;

/// What the code of regions calls: the slow ways of memory accesses, and rare checks. What these
/// would throw they leave in {@link Cpu#regionThrown}.
///
/// With null for the processor nothing happens: so the code resolves its references to these
/// methods before the guest needs them (see {@link RegionCode#run}).
final class RegionSupport {
  /// Memory that belongs to nobody, for accesses without effect.
  static final long SCRATCH = Arena.global().allocate(64, 16).address();

  /// Likewise.
  static final long[] WORDS = new long[1];

  private RegionSupport() {}

  static long load8(@Nullable Cpu c, long address) {
    return load(c, address, 1);
  }

  static long load16(@Nullable Cpu c, long address) {
    return load(c, address, 2);
  }

  static long load32(@Nullable Cpu c, long address) {
    return load(c, address, 4);
  }

  static long load64(@Nullable Cpu c, long address) {
    return load(c, address, 8);
  }

  private static long load(@Nullable Cpu c, long address, int size) {
    if (c == null) {
      return 0;
    }
    try {
      return c.mmu.load(address, size);
    } catch (Throwable e) {
      c.regionThrown = e;
      return 0;
    }
  }

  static void store8(@Nullable Cpu c, long address, int value) {
    store(c, address, 1, value);
  }

  static void store16(@Nullable Cpu c, long address, int value) {
    store(c, address, 2, value);
  }

  static void store32(@Nullable Cpu c, long address, int value) {
    store(c, address, 4, value);
  }

  static void store64(@Nullable Cpu c, long address, long value) {
    store(c, address, 8, value);
  }

  private static void store(@Nullable Cpu c, long address, int size, long value) {
    if (c == null) {
      return;
    }
    try {
      c.mmu.store(address, size, value);
    } catch (Throwable e) {
      c.regionThrown = e;
    }
  }

  /// A load from the stack: an address that is not canonical is a stack fault.
  static long loadStack(@Nullable Cpu c, long address) {
    if (c == null) {
      return 0;
    }
    try {
      return c.mmu.load(Branch.stack64(c, address), 8);
    } catch (Throwable e) {
      c.regionThrown = e;
      return 0;
    }
  }

  static void storeStack(@Nullable Cpu c, long address, long value) {
    if (c == null) {
      return;
    }
    try {
      c.mmu.store(Branch.stack64(c, address), 8, value);
    } catch (Throwable e) {
      c.regionThrown = e;
    }
  }

  /// The first half of a read-modify-write that cannot go the direct way. See {@link
  /// Cpu#loadForUpdate}.
  static long loadForUpdate(@Nullable Cpu c, long address, int size) {
    if (c == null) {
      return 0;
    }
    try {
      return c.loadForUpdate(address, size);
    } catch (Throwable e) {
      c.regionThrown = e;
      return 0;
    }
  }

  /// A general-protection fault if a branch target is not canonical.
  static void checkTarget(@Nullable Cpu c, long target) {
    if (c != null) {
      try {
        Branch.target64(c, target);
      } catch (GuestFault e) {
        c.regionThrown = e;
      }
    }
  }

  /// Executes an operation that has no code of its own.
  static void execute(@Nullable Operation operation, @Nullable Cpu c) {
    if (operation == null || c == null) {
      return;
    }
    try {
      operation.execute(c);
    } catch (Throwable e) {
      c.regionThrown = e;
    }
  }

  /// OF of INC and DEC and all that is not worth code of its own.
  ///
  /// @param condition the opcode's low four bits
  static boolean holds(long flagResult, long flagCarry, int condition) {
    boolean even =
        switch (condition >> 1) {
          case 0 -> (flagCarry ^ flagCarry << 1) < 0;
          case 1 -> flagCarry < 0;
          case 2 -> flagResult == 0;
          case 3 -> flagCarry < 0 || flagResult == 0;
          case 4 -> (flagResult ^ flagCarry << 63) < 0;
          case 5 -> FlagCarry.parity(flagResult, flagCarry);
          case 6 -> less(flagResult, flagCarry);
          default -> flagResult == 0 || less(flagResult, flagCarry);
        };
    return even == ((condition & 1) == 0);
  }

  static boolean less(long flagResult, long flagCarry) {
    return (flagResult ^ flagCarry << 63 ^ flagCarry ^ flagCarry << 1) < 0;
  }

  /// See {@link MultiplyInstructions#flags}.
  static long productFlag(long low) {
    return low == 0 ? 0x100 : low;
  }

  /// CF and OF of a signed product cut to 64 bits.
  static long productOverflow(long a, long b, long low) {
    return overflow(Math.multiplyHigh(a, b) ^ low >> 63);
  }

  /// CF and OF of a product.
  static long overflow(long overflow) {
    return overflow != 0 ? 1L << 63 : 0;
  }
}
