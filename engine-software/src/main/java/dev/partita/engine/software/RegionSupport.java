package dev.partita.engine.software;

import java.lang.foreign.Arena;
import org.jspecify.annotations.Nullable;

/// What the code of regions calls. What an operation would throw is left in {@link
/// Cpu#regionThrown}.
///
/// With null for the processor nothing happens: so the code resolves its references to these
/// methods before the guest needs them (see {@link RegionCode#run}).
final class RegionSupport {
  /// Memory that belongs to nobody, for accesses without effect.
  static final long SCRATCH = Arena.global().allocate(64, 16).address();

  /// Likewise.
  static final long[] WORDS = new long[1];

  private RegionSupport() {}

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
