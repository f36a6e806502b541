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
}
