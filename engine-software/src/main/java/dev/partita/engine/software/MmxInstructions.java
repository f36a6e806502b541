package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Instructions on MMX registers: Intel SDM volume 1, chapter 9. The registers are the x87
/// significands; the arithmetic is {@link PackedInteger}'s.
final class MmxInstructions {
  private MmxInstructions() {}

  /// Map 0F, no mandatory prefix.
  static @Nullable Operation create(Instruction i) {
    int op = i.opcode;
    return switch (op) {
      case 0x60, 0x61, 0x62, 0x68, 0x69, 0x6A, 0x63, 0x67, 0x6B -> new Binary(i, op);
      case 0xD1, 0xD2, 0xD3, 0xE1, 0xE2, 0xF1, 0xF2, 0xF3 -> new Binary(i, op);
      case 0x6E -> new FromGeneral(i);
      case 0x7E -> new ToGeneral(i);
      case 0x6F -> new Load(i);
      case 0x7F -> new Store(i);
      case 0xE7 -> i.isMemory() ? new Store(i) : null;
      case 0x70 -> new Binary(i, op);
      case 0x71, 0x72, 0x73 -> {
        int shift = PackedIntegerInstructions.immediateShift(i);
        yield shift < 0 || i.isMemory() ? null : new ShiftImmediate(i, shift);
      }
      case 0x77 -> new Empty();
      case 0xC4 -> new InsertWord(i);
      case 0xC5 -> i.isMemory() ? null : new ExtractWord(i);
      case 0xD7 -> i.isMemory() ? null : new MoveMask(i);
      case 0xF7 -> i.isMemory() ? null : new StoreMasked(i);
      default -> PackedInteger.isHalf(op) ? new Binary(i, op) : null;
    };
  }

  /// Map 0F38, no mandatory prefix.
  static @Nullable Operation create38(Instruction i) {
    return switch (i.opcode) {
      case 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07 -> new Binary(i, 0x3800 | i.opcode);
      case 0x08, 0x09, 0x0A, 0x0B, 0x1C, 0x1D, 0x1E -> new Binary(i, 0x3800 | i.opcode);
      default -> null;
    };
  }

  /// PALIGNR.
  static Operation align(Instruction i) {
    return new Binary(i, 0x3A0F);
  }

  static void require(Cpu c) {
    c.requireMmx();
    c.x87.checkPending(c);
  }

  /// An instruction with two operands.
  ///
  /// @param op the opcode, plus 0x3800 or 0x3A00 by its map
  static long apply(int op, long a, long b, int immediate) {
    return switch (op) {
      case 0x60, 0x61, 0x62 -> PackedInteger.interleaveLow(a, b, op - 0x60);
      case 0x68, 0x69, 0x6A -> PackedInteger.interleaveHigh(a, b, op - 0x68);
      case 0x63, 0x67, 0x6B -> PackedInteger.join(op, a, b);
      case 0x3801, 0x3802, 0x3803, 0x3805, 0x3806, 0x3807 -> PackedInteger.join(op, a, b);
      case 0xD1, 0xD2, 0xD3, 0xE1, 0xE2, 0xF1, 0xF2, 0xF3 -> PackedInteger.shift(op, a, b);
      case 0x70 -> PackedInteger.shuffleWords(b, immediate);
      case 0x3800 -> PackedInteger.shuffleBytes(a, b);
      case 0x3A0F -> PackedInteger.align(a, b, immediate);
      default -> PackedInteger.half(op, a, b);
    };
  }

  static final class Binary extends Operation {
    final int op;
    final int to;
    final int from;
    final int immediate;
    final @Nullable MemoryOperand memory;

    Binary(Instruction i, int op) {
      this.op = op;
      this.to = i.reg & 7;
      this.from = i.rm & 7;
      this.immediate = (int) i.immediate & 0xFF;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      require(c);
      var m = memory;
      var x87 = c.x87;
      long b;
      if (m == null) {
        b = x87.mmx(from);
      } else if (op >= 0x60 && op <= 0x62) {
        // The low interleaves read only what they use.
        b = m.load32(c);
      } else {
        b = m.load64(c);
      }
      x87.enterMmx();
      x87.setMmx(to, apply(op, x87.mmx(to), b, immediate));
    }
  }

  static final class ShiftImmediate extends Operation {
    final int op;
    final int register;
    final int count;

    ShiftImmediate(Instruction i, int op) {
      this.op = op;
      this.register = i.rm & 7;
      this.count = (int) i.immediate & 0xFF;
    }

    @Override
    void execute(Cpu c) {
      require(c);
      c.x87.enterMmx();
      c.x87.setMmx(register, PackedInteger.shift(op, c.x87.mmx(register), count));
    }
  }

  /// MOVQ from a register or memory.
  static final class Load extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    Load(Instruction i) {
      this.to = i.reg & 7;
      this.from = i.rm & 7;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      require(c);
      long value = memory == null ? c.x87.mmx(from) : memory.load64(c);
      c.x87.enterMmx();
      c.x87.setMmx(to, value);
    }
  }

  /// MOVQ, MOVNTQ to a register or memory.
  static final class Store extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    Store(Instruction i) {
      this.to = i.rm & 7;
      this.from = i.reg & 7;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      require(c);
      long value = c.x87.mmx(from);
      if (memory == null) {
        c.x87.setMmx(to, value);
      } else {
        memory.store64(c, value);
      }
      c.x87.enterMmx();
    }
  }

  /// MOVD, MOVQ from a general register or memory.
  static final class FromGeneral extends Operation {
    final int to;
    final int from;
    final boolean wide;
    final @Nullable MemoryOperand memory;

    FromGeneral(Instruction i) {
      this.to = i.reg & 7;
      this.from = i.rm;
      this.wide = i.rexW();
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      require(c);
      var m = memory;
      long value;
      if (wide) {
        value = m == null ? c.r[from] : m.load64(c);
      } else {
        value = (m == null ? c.get32(from) : m.load32(c)) & 0xFFFF_FFFFL;
      }
      c.x87.enterMmx();
      c.x87.setMmx(to, value);
    }
  }

  /// MOVD, MOVQ to a general register or memory.
  static final class ToGeneral extends Operation {
    final int to;
    final int from;
    final boolean wide;
    final @Nullable MemoryOperand memory;

    ToGeneral(Instruction i) {
      this.to = i.rm;
      this.from = i.reg & 7;
      this.wide = i.rexW();
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      require(c);
      long value = c.x87.mmx(from);
      var m = memory;
      if (m != null) {
        if (wide) {
          m.store64(c, value);
        } else {
          m.store32(c, (int) value);
        }
      } else {
        c.r[to] = wide ? value : value & 0xFFFF_FFFFL;
      }
      c.x87.enterMmx();
    }
  }

  /// PINSRW.
  static final class InsertWord extends Operation {
    final int to;
    final int from;
    final int shift;
    final @Nullable MemoryOperand memory;

    InsertWord(Instruction i) {
      this.to = i.reg & 7;
      this.from = i.rm;
      this.shift = 16 * ((int) i.immediate & 3);
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      require(c);
      long word = memory == null ? c.get16(from) : memory.load16(c);
      c.x87.enterMmx();
      c.x87.setMmx(to, c.x87.mmx(to) & ~(0xFFFFL << shift) | word << shift);
    }
  }

  /// PEXTRW.
  static final class ExtractWord extends Operation {
    final int to;
    final int from;
    final int shift;

    ExtractWord(Instruction i) {
      this.to = i.reg;
      this.from = i.rm & 7;
      this.shift = 16 * ((int) i.immediate & 3);
    }

    @Override
    void execute(Cpu c) {
      require(c);
      c.x87.enterMmx();
      c.r[to] = c.x87.mmx(from) >>> shift & 0xFFFF;
    }
  }

  /// PMOVMSKB.
  static final class MoveMask extends Operation {
    final int to;
    final int from;

    MoveMask(Instruction i) {
      this.to = i.reg;
      this.from = i.rm & 7;
    }

    @Override
    void execute(Cpu c) {
      require(c);
      c.x87.enterMmx();
      c.r[to] = PackedInteger.topBits(c.x87.mmx(from));
    }
  }

  /// MASKMOVQ.
  static final class StoreMasked extends Operation {
    final int from;
    final int mask;
    final MemoryOperand memory;

    StoreMasked(Instruction i) {
      this.from = i.reg & 7;
      this.mask = i.rm & 7;
      this.memory = VectorMoves.implicitDestination(i);
    }

    @Override
    void execute(Cpu c) {
      require(c);
      int bits = PackedInteger.topBits(c.x87.mmx(mask));
      VectorMoves.storeMasked(c, memory, c.x87.mmx(from), 0, bits, 8);
      c.x87.enterMmx();
    }
  }

  /// EMMS.
  static final class Empty extends Operation {
    @Override
    void execute(Cpu c) {
      require(c);
      c.x87.emms();
    }
  }

  /// MOVDQ2Q.
  static final class FromXmm extends Operation {
    final int to;
    final int from;

    FromXmm(Instruction i) {
      this.to = i.reg & 7;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.x87.checkPending(c);
      c.x87.enterMmx();
      c.x87.setMmx(to, c.xmm[from]);
    }
  }

  /// MOVQ2DQ.
  static final class ToXmm extends Operation {
    final int to;
    final int from;

    ToXmm(Instruction i) {
      this.to = 4 * i.reg;
      this.from = i.rm & 7;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.x87.checkPending(c);
      c.x87.enterMmx();
      c.xmm[to] = c.x87.mmx(from);
      c.xmm[to + 1] = 0;
    }
  }
}
