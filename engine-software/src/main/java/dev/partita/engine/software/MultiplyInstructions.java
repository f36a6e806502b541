package dev.partita.engine.software;

/// MUL, IMUL, DIV, IDIV.
///
/// Flags that the architecture leaves undefined are as on Intel's processors, measured: after a
/// multiplication SF and PF follow from the low half, ZF and AF are 0; a division leaves all.
final class MultiplyInstructions {
  private MultiplyInstructions() {}

  /// Opcodes F6 and F7 with /4 to /7.
  static Operation group3(Instruction i) {
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize / 8;
    return switch (i.extension()) {
      case 4 -> size == 8 ? new Mul64(i) : new Mul(i, size);
      case 5 -> new Imul(i, size);
      case 6 -> new Div(i, size);
      default -> new Idiv(i, size);
    };
  }

  /// Opcode 0F AF.
  static Operation twoOperands(Instruction i) {
    if (i.operandSize == 64) {
      return i.isMemory() ? new Imul64RegMem(i.reg, i.operand()) : new Imul64RegReg(i.reg, i.rm);
    }
    if (i.operandSize == 32 && !i.isMemory()) {
      return new Imul32RegReg(i.reg, i.rm);
    }
    return new ImulTo(i, false);
  }

  /// Opcodes 69 and 6B.
  static Operation threeOperands(Instruction i) {
    return new ImulTo(i, true);
  }

  /// Flags of a multiplication.
  ///
  /// @param low the low half, sign-extended
  static void flags(Cpu c, long low, boolean overflow) {
    // A non-zero value whose low byte is 0 has ZF clear, SF clear and PF set, as a zero product
    // does.
    c.flagResult = low == 0 ? 0x100 : low;
    c.flagCarry = overflow ? 1L << 63 : 0;
  }

  /// The low 64 bits of a signed product, with flags.
  static long multiply64(Cpu c, long a, long b) {
    long low = a * b;
    flags(c, low, Math.multiplyHigh(a, b) != low >> 63);
    return low;
  }

  /// A signed product of 16 or 32 bits, with flags: the low half, sign-extended.
  static long multiplySmall(Cpu c, long a, long b, int size) {
    long product = a * b;
    long low = Operands.signExtend(product, size);
    flags(c, low, low != product);
    return low;
  }

  private static final class Mul64 extends Form.Source {
    Mul64(Instruction i) {
      super(i, 8);
    }

    @Override
    void execute(Cpu c) {
      var m = memory;
      long b = m == null ? c.r[register] : m.load64(c);
      long a = c.r[Cpu.RAX];
      long low = a * b;
      long high = Math.unsignedMultiplyHigh(a, b);
      c.r[Cpu.RAX] = low;
      c.r[Cpu.RDX] = high;
      flags(c, low, high != 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      e.multiplyWide(false);
      return true;
    }
  }

  private static final class Mul extends Form.Source {
    Mul(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void execute(Cpu c) {
      long product = source(c) * Operands.get(c, Cpu.RAX, size);
      if (size == 1) {
        c.set16(Cpu.RAX, (int) product);
      } else {
        Operands.set(c, Cpu.RAX, size, product);
        Operands.set(c, Cpu.RDX, size, product >>> 8 * size);
      }
      flags(c, Operands.signExtend(product, size), product >>> 8 * size != 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (size != 4) {
        return false;
      }
      e.source(this);
      e.multiplyUnsigned32();
      return true;
    }
  }

  private static final class Imul extends Form.Source {
    Imul(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void execute(Cpu c) {
      long a = Operands.signExtend(c.r[Cpu.RAX], size);
      long b = Operands.signExtend(source(c), size);
      if (size == 8) {
        c.r[Cpu.RAX] = multiply64(c, a, b);
        c.r[Cpu.RDX] = Math.multiplyHigh(a, b);
        return;
      }
      long product = a * b;
      if (size == 1) {
        c.set16(Cpu.RAX, (int) product);
      } else {
        Operands.set(c, Cpu.RAX, size, product);
        Operands.set(c, Cpu.RDX, size, product >>> 8 * size);
      }
      long low = Operands.signExtend(product, size);
      flags(c, low, low != product);
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (size != 8) {
        return false;
      }
      e.source(this);
      e.multiplyWide(true);
      return true;
    }
  }

  private static final class Imul64RegReg extends Form.RegReg {
    Imul64RegReg(int destination, int source) {
      super(destination, source);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = multiply64(c, c.r[destination], c.r[source]);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getLong(destination);
      e.getLong(source);
      e.multiply64();
      e.putLong(destination);
      return true;
    }
  }

  private static final class Imul64RegMem extends Form.RegMem {
    Imul64RegMem(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      long b = memory.load64(c);
      c.r[destination] = multiply64(c, c.r[destination], b);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 8);
      e.getLong(destination);
      e.multiply64();
      e.putLong(destination);
      return true;
    }
  }

  private static final class Imul32RegReg extends Form.RegReg {
    Imul32RegReg(int destination, int source) {
      super(destination, source);
    }

    @Override
    void execute(Cpu c) {
      long product = (long) (int) c.r[destination] * (int) c.r[source];
      int low = (int) product;
      c.r[destination] = low & 0xFFFF_FFFFL;
      flags(c, low, low != product);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getInt(destination);
      e.b.i2l();
      e.getInt(source);
      e.b.i2l();
      e.multiply32();
      e.putInt(destination);
      return true;
    }
  }

  /// IMUL with a truncated result, of two registers or of an operand and an immediate.
  private static final class ImulTo extends Form.Source {
    final int destination;
    final boolean hasImmediate;
    final long immediate;

    ImulTo(Instruction i, boolean hasImmediate) {
      super(i, i.operandSize / 8);
      this.destination = i.reg;
      this.hasImmediate = hasImmediate;
      this.immediate = i.immediate;
    }

    @Override
    void execute(Cpu c) {
      long a = Operands.signExtend(source(c), size);
      long b = hasImmediate ? immediate : Operands.signExtend(c.r[destination], size);
      long r = size == 8 ? multiply64(c, a, b) : multiplySmall(c, a, b, size);
      Operands.set(c, destination, size, r);
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (size == 2) {
        return false;
      }
      e.source(this);
      if (size == 4) {
        e.b.i2l();
      }
      if (hasImmediate) {
        e.b.loadConstant(immediate);
      } else {
        e.get(destination, size);
        if (size == 4) {
          e.b.i2l();
        }
      }
      if (size == 4) {
        e.multiply32();
        e.putInt(destination);
      } else {
        e.multiply64();
        e.putLong(destination);
      }
      return true;
    }
  }

  private static final class Div extends Form.Source {
    Div(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void execute(Cpu c) {
      long divisor = source(c);
      if (size == 8) {
        Division.unsigned128(c, divisor);
        return;
      }
      if (divisor == 0) {
        throw c.raise(GuestFault.DIVIDE_ERROR);
      }
      int bits = 8 * size;
      long dividend =
          size == 1
              ? c.get16(Cpu.RAX)
              : Operands.get(c, Cpu.RDX, size) << bits | Operands.get(c, Cpu.RAX, size);
      long quotient = Long.divideUnsigned(dividend, divisor);
      if (quotient >>> bits != 0) {
        throw c.raise(GuestFault.DIVIDE_ERROR);
      }
      finish(c, size, quotient, Long.remainderUnsigned(dividend, divisor));
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (size < 4) {
        return false;
      }
      e.source(this);
      e.divide(size, false);
      return true;
    }
  }

  private static final class Idiv extends Form.Source {
    Idiv(Instruction i, int size) {
      super(i, size);
    }

    @Override
    void execute(Cpu c) {
      long divisor = Operands.signExtend(source(c), size);
      if (size == 8) {
        Division.signed128(c, divisor);
        return;
      }
      if (divisor == 0) {
        throw c.raise(GuestFault.DIVIDE_ERROR);
      }
      int bits = 8 * size;
      long dividend =
          size == 1
              ? (short) c.r[Cpu.RAX]
              : Operands.signExtend(c.r[Cpu.RDX], size) << bits | Operands.get(c, Cpu.RAX, size);
      long quotient = dividend / divisor;
      // Long.MIN_VALUE / -1 gives Long.MIN_VALUE, which is out of range here as well.
      if (Operands.signExtend(quotient, size) != quotient) {
        throw c.raise(GuestFault.DIVIDE_ERROR);
      }
      finish(c, size, quotient, dividend - quotient * divisor);
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (size < 4) {
        return false;
      }
      e.source(this);
      e.divide(size, true);
      return true;
    }
  }

  private static void finish(Cpu c, int size, long quotient, long remainder) {
    if (size == 1) {
      c.set16(Cpu.RAX, (int) (remainder & 0xFF) << 8 | (int) quotient & 0xFF);
    } else {
      Operands.set(c, Cpu.RAX, size, quotient);
      Operands.set(c, Cpu.RDX, size, remainder);
    }
  }
}
