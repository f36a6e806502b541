package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// What the code of regions calls for vector instructions: checks, and what is rare. As in {@link
/// RegionSupport}, with null for the processor nothing happens.
final class VectorSupport {
  private VectorSupport() {}

  // Small, so that the compiler inlines them.

  static boolean hasSse(@Nullable Cpu c) {
    return c != null && (c.cr0 & (Cpu.CR0_EM | Cpu.CR0_TS)) == 0 && (c.cr4 & Cpu.CR4_OSFXSR) != 0;
  }

  static boolean hasAvx(@Nullable Cpu c) {
    return c != null && c.hasAvx();
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

  // ---- Floating point

  /// {@link SimdFloat#compare64} or {@link SimdFloat#compare32} as an instruction.
  static int compare(@Nullable Cpu c, long a, long b, boolean doubles, boolean signalling) {
    if (c == null) {
      return 0;
    }
    try {
      int before = SimdFloat.begin(c);
      int order =
          doubles
              ? SimdFloat.compare64(c, a, b, signalling)
              : SimdFloat.compare32(c, (int) a, (int) b, signalling);
      SimdFloat.end(c, before);
      return order;
    } catch (GuestFault e) {
      c.regionThrown = e;
      return 0;
    }
  }

  /// The carries of a comparison: see {@link Cpu#flagCarry}.
  ///
  /// @param order as {@link SimdFloat#compare64} gives it
  static long orderCarry(int order) {
    return ((order & 2) != 0 ? 3L << 62 : 0) | (order == SoftFloat.UNORDERED ? 0 : 0x100);
  }

  /// A conversion to an integer with truncation, as an instruction.
  static long truncate(@Nullable Cpu c, long a, boolean doubles, int width) {
    if (c == null) {
      return 0;
    }
    try {
      int before = SimdFloat.begin(c);
      long value = SimdConversions.truncated(c, doubles ? a : a & 0xFFFF_FFFFL, doubles, width);
      SimdFloat.end(c, before);
      return value;
    } catch (GuestFault e) {
      c.regionThrown = e;
      return 0;
    }
  }
}
