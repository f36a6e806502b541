package dev.partita.engine.software;

import static java.lang.constant.ConstantDescs.CD_int;
import static java.lang.constant.ConstantDescs.CD_long;

import org.jspecify.annotations.Nullable;

/// BMI1, BMI2 and ADX: ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI, MULX, PDEP, PEXT, RORX, SARX, SHLX,
/// SHRX (all VEX-coded), ADCX, ADOX.
///
/// Undefined flags are as on Intel's processors, measured: AF and PF are 0.
final class BitManipulation {
  private static final int ANDN = 0;
  private static final int BEXTR = 1;
  private static final int BLSI = 2;
  private static final int BLSMSK = 3;
  private static final int BLSR = 4;
  private static final int BZHI = 5;
  private static final int PDEP = 6;
  private static final int PEXT = 7;
  private static final int SARX = 8;
  private static final int SHLX = 9;
  private static final int SHRX = 10;

  private BitManipulation() {}

  /// VEX-coded instructions of the general registers, or null.
  static @Nullable Operation vex(Instruction i) {
    if (i.vexLength != 0) {
      return null;
    }
    // The prefix that VEX.pp stands for.
    int prefix = i.repeatPrefix != 0 ? i.repeatPrefix : i.operandPrefix ? 0x66 : 0;
    int second = i.vexRegister();
    if (i.map == Instruction.MAP_0F38) {
      return switch (i.opcode) {
        case 0xF2 -> prefix == 0 ? new Vex(i, ANDN, i.reg, second) : null;
        case 0xF3 ->
            prefix != 0
                ? null
                : switch (i.extension()) {
                  case 1 -> new Vex(i, BLSR, second, second);
                  case 2 -> new Vex(i, BLSMSK, second, second);
                  case 3 -> new Vex(i, BLSI, second, second);
                  default -> null;
                };
        case 0xF5 ->
            switch (prefix) {
              case 0 -> new Vex(i, BZHI, i.reg, second);
              case 0xF2 -> new Vex(i, PDEP, i.reg, second);
              case 0xF3 -> new Vex(i, PEXT, i.reg, second);
              default -> null;
            };
        case 0xF6 -> prefix == 0xF2 ? new Mulx(i, second) : null;
        case 0xF7 ->
            switch (prefix) {
              case 0 -> new Vex(i, BEXTR, i.reg, second);
              case 0x66 -> new Vex(i, SHLX, i.reg, second);
              case 0xF2 -> new Vex(i, SHRX, i.reg, second);
              default -> new Vex(i, SARX, i.reg, second);
            };
        default -> null;
      };
    }
    // RORX: VEX.vvvv is unused and must be 1111 (read here inverted: 0).
    if (i.map == Instruction.MAP_0F3A && i.opcode == 0xF0 && prefix == 0xF2 && i.vexRegister == 0) {
      return new Rorx(i);
    }
    return null;
  }

  /// Opcode 0F 38 F6: ADCX with 66, ADOX with F3.
  static @Nullable Operation addExtended(Instruction i) {
    if (i.repeatPrefix == 0xF3) {
      return new AddExtended(i, true);
    }
    return i.repeatPrefix == 0 && i.operandPrefix ? new AddExtended(i, false) : null;
  }

  /// Sets CF, ZF and SF from a result of a size; OF, AF, PF are clear.
  private static void flags(Cpu c, long result, int size, boolean carry) {
    long r = Operands.signExtend(result, size);
    c.flagResult = r;
    // CF without OF sets both top bits; PF is cleared by making the parity odd.
    long even = ~Long.bitCount(r & 0xFF) & 1;
    c.flagCarry = (carry ? 3L << 62 : 0) | even << 8;
  }

  /// The operations with a second source in VEX.vvvv.
  private static final class Vex extends Form.Source {
    final int operation;
    final int destination;
    final int second;

    Vex(Instruction i, int operation, int destination, int second) {
      super(i, i.operandSize / 8);
      this.operation = operation;
      this.destination = destination;
      this.second = second;
    }

    @Override
    void execute(Cpu c) {
      long v = source(c);
      Operands.set(c, destination, size, compute(c, operation, v, c.r[second], size));
    }

    @Override
    boolean emit(RegionEmitter e) {
      boolean wide = size == 8;
      switch (operation) {
        case SARX, SHLX, SHRX -> {
          e.source(this);
          e.getInt(second);
          emitShift(e, operation, wide);
          e.put(destination, size);
        }
        case ANDN, BLSI, BLSMSK, BLSR -> {
          e.source(this);
          if (!wide) {
            e.extend();
          }
          emitFlagged(e, operation, size, destination, second);
        }
        default -> {
          return false;
        }
      }
      return true;
    }
  }

  private static void emitShift(RegionEmitter e, int operation, boolean wide) {
    switch (operation) {
      case SARX -> {
        if (wide) {
          e.b.lshr();
        } else {
          e.b.ishr();
        }
      }
      case SHLX -> {
        if (wide) {
          e.b.lshl();
        } else {
          e.b.ishl();
        }
      }
      default -> {
        if (wide) {
          e.b.lushr();
        } else {
          e.b.iushr();
        }
      }
    }
  }

  /// ANDN, BLSI, BLSMSK, BLSR: pops the operand, zero-extended to a long.
  private static void emitFlagged(
      RegionEmitter e, int operation, int size, int destination, int second) {
    var b = e.b;
    int operand = e.flagLocal();
    b.lstore(operand);
    int carry = -1;
    if (operation == ANDN) {
      e.get(second, size);
      if (size == 4) {
        b.i2l();
      }
      b.loadConstant(-1L).lxor().lload(operand).land();
    } else {
      carry = e.flagLocal(operand);
      b.lload(operand);
      if (operation != BLSI) {
        // Not 0 if the operand is.
        b.lconst_1().lsub().lload(operand).loadConstant(-1L).lxor().land().bipush(63).lushr();
      }
      b.lstore(carry);
      b.lload(operand);
      switch (operation) {
        case BLSI -> b.lneg().lload(operand).land();
        case BLSMSK -> b.lconst_1().lsub().lload(operand).lxor();
        default -> b.lconst_1().lsub().lload(operand).land();
      }
    }
    if (size == 4) {
      b.l2i().i2l();
    }
    b.dup2();
    e.arithmetic.bits(carry);
    if (size == 4) {
      b.l2i();
    }
    e.put(destination, size);
  }

  /// Computes one of the operations above and sets its flags.
  ///
  /// @param v the r/m operand, zero-extended
  /// @param w the register in VEX.vvvv, all 64 bits
  static long compute(Cpu c, int operation, long v, long w, int size) {
    int bits = 8 * size;
    long r;
    switch (operation) {
      case ANDN -> {
        r = ~w & v;
        flags(c, r, size, false);
      }
      case BEXTR -> {
        int start = (int) w & 0xFF;
        int length = (int) w >>> 8 & 0xFF;
        r = start < bits ? v >>> start : 0;
        if (length < 64) {
          r &= (1L << length) - 1;
        }
        flags(c, r, size, false);
        // SF is clear whatever the result.
        c.flagCarry |= c.flagResult >>> 63;
      }
      case BLSI -> {
        r = -v & v;
        flags(c, r, size, v != 0);
      }
      case BLSMSK -> {
        r = v - 1 ^ v;
        flags(c, r, size, v == 0);
      }
      case BLSR -> {
        r = v - 1 & v;
        flags(c, r, size, v == 0);
      }
      case BZHI -> {
        int from = (int) w & 0xFF;
        r = from < bits ? v & (1L << from) - 1 : v;
        flags(c, r, size, from >= bits);
      }
      case PDEP -> r = Long.expand(w, v);
      case PEXT -> r = Long.compress(size == 8 ? w : w & 0xFFFF_FFFFL, v);
      case SARX -> r = Operands.signExtend(v, size) >> (w & bits - 1);
      case SHLX -> r = v << (w & bits - 1);
      default -> r = v >>> (w & bits - 1);
    }
    return r;
  }

  /// The high half goes to ModR/M.reg, the low to VEX.vvvv, in this order of importance if they
  /// are one.
  private static final class Mulx extends Form.Source {
    final int high;
    final int low;

    Mulx(Instruction i, int low) {
      super(i, i.operandSize / 8);
      this.high = i.reg;
      this.low = low;
    }

    @Override
    void execute(Cpu c) {
      long a = source(c);
      long b = Operands.get(c, Cpu.RDX, size);
      if (size == 8) {
        c.r[low] = a * b;
        c.r[high] = Math.unsignedMultiplyHigh(a, b);
      } else {
        long product = a * b;
        c.r[low] = product & 0xFFFF_FFFFL;
        c.r[high] = product >>> 32;
      }
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      e.multiplyExtended(size, high, low);
      return true;
    }
  }

  private static final class Rorx extends Form.Source {
    final int destination;
    final int count;

    Rorx(Instruction i) {
      super(i, i.operandSize / 8);
      this.destination = i.reg;
      this.count = (int) i.immediate & i.operandSize - 1;
    }

    @Override
    void execute(Cpu c) {
      long v = source(c);
      c.r[destination] =
          size == 8
              ? Long.rotateRight(v, count)
              : Integer.rotateRight((int) v, count) & 0xFFFF_FFFFL;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      e.b.loadConstant(count);
      if (size == 8) {
        e.invokeJava(Long.class, "rotateRight", CD_long, CD_long, CD_int);
      } else {
        e.invokeJava(Integer.class, "rotateRight", CD_int, CD_int, CD_int);
      }
      e.put(destination, size);
      return true;
    }
  }

  /// ADCX adds with and to CF alone, ADOX with and to OF alone.
  private static final class AddExtended extends Form.Source {
    final int destination;
    final boolean overflow;

    AddExtended(Instruction i, boolean overflow) {
      super(i, i.rexW() ? 8 : 4);
      this.destination = i.reg;
      this.overflow = overflow;
    }

    @Override
    void execute(Cpu c) {
      long a = source(c);
      long b = Operands.get(c, destination, size);
      long f = c.flagCarry;
      long of = (f ^ f << 1) >>> 63;
      long r = a + b + (overflow ? of : f >>> 63);
      long out = ((a & b) | ((a | b) & ~r)) >>> 8 * size - 1 & 1;
      Operands.set(c, destination, size, r);
      long cf = overflow ? f >>> 63 : out;
      c.flagCarry = (f & ~(3L << 62)) | Shift.carryOverflow(cf, overflow ? out : of);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      if (size == 4) {
        e.extend();
      }
      e.get(destination, size);
      if (size == 4) {
        e.extend();
      }
      e.arithmetic.addExtended(overflow, size);
      if (size == 4) {
        e.b.l2i();
      }
      e.put(destination, size);
      return true;
    }
  }
}
