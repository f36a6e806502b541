package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// LDMXCSR and STMXCSR.
final class VectorControl {
  /// Bits of MXCSR that exist: MXCSR_MASK of an FXSAVE image, Intel SDM volume 1, 11.6.6.
  static final int MXCSR_MASK = 0xFFFF;

  private VectorControl() {}

  static @Nullable Operation create(Instruction i, int prefix) {
    if (!i.isMemory() || prefix != 0) {
      return null;
    }
    return switch (i.extension()) {
      case 2 -> new Load(i.operand());
      case 3 -> new Store(i.operand());
      default -> null;
    };
  }

  /// LDMXCSR.
  static final class Load extends Operation {
    final MemoryOperand memory;

    Load(MemoryOperand memory) {
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      int value = memory.load32(c);
      if ((value & ~MXCSR_MASK) != 0) {
        throw c.generalProtection(0);
      }
      c.mxcsr = value;
    }
  }

  /// STMXCSR.
  static final class Store extends Operation {
    final MemoryOperand memory;

    Store(MemoryOperand memory) {
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      memory.store32(c, c.mxcsr);
    }
  }
}
