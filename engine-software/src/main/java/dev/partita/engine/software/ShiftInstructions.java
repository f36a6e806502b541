package dev.partita.engine.software;

/// Makes the operations of shifts, rotates and double shifts.
final class ShiftInstructions {
  /// {@link AnyShift#fixed} when the count is in CL.
  private static final int BY_CL = -1;

  private ShiftInstructions() {}

  /// Opcodes C0, C1, D0 to D3.
  static Operation group2(Instruction i) {
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize / 8;
    // /6 is an alias of SHL.
    int operation = i.extension() == 6 ? Shift.SHL : i.extension();
    int count =
        switch (i.opcode) {
          case 0xC0, 0xC1 -> Shift.maskedCount((int) i.immediate, size);
          case 0xD0, 0xD1 -> 1;
          default -> BY_CL;
        };
    if (!i.isMemory() && size >= 4 && count != 0) {
      boolean wide = size == 8;
      if (count > 0) {
        switch (operation) {
          case Shift.SHL -> {
            return wide ? new Shl64(i.rm, count) : new Shl32(i.rm, count);
          }
          case Shift.SHR -> {
            return wide ? new Shr64(i.rm, count) : new Shr32(i.rm, count);
          }
          case Shift.SAR -> {
            return wide ? new Sar64(i.rm, count) : new Sar32(i.rm, count);
          }
          case Shift.ROL -> {
            return wide ? new Rol64(i.rm, count) : new Rol32(i.rm, count);
          }
          case Shift.ROR -> {
            return wide ? new Ror64(i.rm, count) : new Ror32(i.rm, count);
          }
          default -> {}
        }
      } else {
        switch (operation) {
          case Shift.SHL -> {
            return new ShlByCl(i.rm, size);
          }
          case Shift.SHR -> {
            return new ShrByCl(i.rm, size);
          }
          default -> {}
        }
      }
    }
    return new AnyShift(i, size, operation, count);
  }

  /// Opcodes 0F A4, A5, AC, AD.
  static Operation doubleShift(Instruction i) {
    boolean byCl = (i.opcode & 1) != 0;
    int size = i.operandSize / 8;
    int count = byCl ? BY_CL : Shift.maskedCount((int) i.immediate, size);
    return new DoubleShift(i, size, i.opcode < 0xA8, count);
  }

  private static final class AnyShift extends Form.Update {
    final int operation;

    /// The masked count, or {@link #BY_CL}.
    final int fixed;

    AnyShift(Instruction i, int size, int operation, int fixed) {
      super(i, size);
      this.operation = operation;
      this.fixed = fixed;
    }

    @Override
    long compute(Cpu c, long old) {
      int count = fixed != BY_CL ? fixed : Shift.maskedCount((int) c.r[Cpu.RCX], size);
      return Shift.apply(c, operation, old, count, size, fixed != BY_CL && memory == null);
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (locked
          || fixed == 0
          || (operation != Shift.SHL && operation != Shift.SHR && operation != Shift.SAR)) {
        return false;
      }
      if (fixed != BY_CL) {
        return fixed < 8 * size
            && e.update(this, () -> e.arithmetic.shift(operation, size, fixed, memory == null));
      }
      return size >= 4 && memory == null && e.shiftByCl(operation, size, register);
    }
  }

  private static final class DoubleShift extends Form.Update {
    final int source;
    final boolean left;
    final int fixed;

    DoubleShift(Instruction i, int size, boolean left, int fixed) {
      super(i, size);
      this.source = i.reg;
      this.left = left;
      this.fixed = fixed;
    }

    @Override
    long compute(Cpu c, long old) {
      int count = fixed != BY_CL ? fixed : Shift.maskedCount((int) c.r[Cpu.RCX], size);
      long from = Operands.get(c, source, size);
      return left
          ? Shift.doubleLeft(c, old, from, count, size)
          : Shift.doubleRight(c, old, from, count, size);
    }
  }

  // ---- Registers by a constant that is not 0

  private abstract static class ByConstant extends Operation {
    final int destination;
    final int count;

    ByConstant(int destination, int count) {
      this.destination = destination;
      this.count = count;
    }
  }

  private static final class Shl32 extends ByConstant {
    Shl32(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      int v = (int) c.r[destination];
      int r = v << count;
      c.r[destination] = r & 0xFFFF_FFFFL;
      c.flagResult = r;
      c.flagCarry = Shift.carryOverflow(v >>> 32 - count & 1, (v ^ v << 1) >>> 31);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.SHL, 4, destination, count);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Shl64 extends ByConstant {
    Shl64(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      long v = c.r[destination];
      long r = v << count;
      c.r[destination] = r;
      c.flagResult = r;
      c.flagCarry = Shift.carryOverflow(v >>> 64 - count & 1, (v ^ v << 1) >>> 63);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.SHL, 8, destination, count);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Shr32 extends ByConstant {
    Shr32(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      int v = (int) c.r[destination];
      int r = v >>> count;
      c.r[destination] = r;
      c.flagResult = r;
      c.flagCarry = Shift.carryOverflow(v >>> count - 1 & 1, v >>> 31);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.SHR, 4, destination, count);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Shr64 extends ByConstant {
    Shr64(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      long v = c.r[destination];
      long r = v >>> count;
      c.r[destination] = r;
      c.flagResult = r;
      c.flagCarry = Shift.carryOverflow(v >>> count - 1 & 1, v >>> 63);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.SHR, 8, destination, count);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Sar32 extends ByConstant {
    Sar32(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      int v = (int) c.r[destination];
      int r = v >> count;
      c.r[destination] = r & 0xFFFF_FFFFL;
      c.flagResult = r;
      c.flagCarry = Shift.carryOverflow(v >> count - 1 & 1, 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.SAR, 4, destination, count);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Sar64 extends ByConstant {
    Sar64(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      long v = c.r[destination];
      long r = v >> count;
      c.r[destination] = r;
      c.flagResult = r;
      c.flagCarry = Shift.carryOverflow(v >> count - 1 & 1, 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.SAR, 8, destination, count);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Rol32 extends ByConstant {
    Rol32(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      int v = (int) c.r[destination];
      int r = Integer.rotateLeft(v, count);
      c.r[destination] = r & 0xFFFF_FFFFL;
      long of = count == 1 ? (v ^ v << 1) >>> 31 : Shift.overflow(c);
      c.flagCarry = (c.flagCarry & ~(3L << 62)) | Shift.carryOverflow(r & 1, of);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.ROL, 4, destination, count);
    }
  }

  private static final class Rol64 extends ByConstant {
    Rol64(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      long v = c.r[destination];
      long r = Long.rotateLeft(v, count);
      c.r[destination] = r;
      long of = count == 1 ? (v ^ v << 1) >>> 63 : Shift.overflow(c);
      c.flagCarry = (c.flagCarry & ~(3L << 62)) | Shift.carryOverflow(r & 1, of);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.ROL, 8, destination, count);
    }
  }

  private static final class Ror32 extends ByConstant {
    Ror32(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      int v = (int) c.r[destination];
      int r = Integer.rotateRight(v, count);
      c.r[destination] = r & 0xFFFF_FFFFL;
      long of = count == 1 ? (r ^ r << 1) >>> 31 : Shift.overflow(c);
      c.flagCarry = (c.flagCarry & ~(3L << 62)) | Shift.carryOverflow(r >>> 31, of);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.ROR, 4, destination, count);
    }
  }

  private static final class Ror64 extends ByConstant {
    Ror64(int destination, int count) {
      super(destination, count);
    }

    @Override
    void execute(Cpu c) {
      long v = c.r[destination];
      long r = Long.rotateRight(v, count);
      c.r[destination] = r;
      long of = count == 1 ? (r ^ r << 1) >>> 63 : Shift.overflow(c);
      c.flagCarry = (c.flagCarry & ~(3L << 62)) | Shift.carryOverflow(r >>> 63, of);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shift(Shift.ROR, 8, destination, count);
    }
  }

  // ---- Registers by CL

  private abstract static class ByCl extends Operation {
    final int destination;
    final int size;

    ByCl(int destination, int size) {
      this.destination = destination;
      this.size = size;
    }

    final int count(Cpu c) {
      return (int) c.r[Cpu.RCX] & (size == 8 ? 63 : 31);
    }
  }

  private static final class ShlByCl extends ByCl {
    ShlByCl(int destination, int size) {
      super(destination, size);
    }

    @Override
    void execute(Cpu c) {
      long v = Operands.get(c, destination, size);
      int count = count(c);
      Operands.set(c, destination, size, count == 0 ? v : Shift.left(c, v, count, size));
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shiftByCl(Shift.SHL, size, destination);
    }
  }

  private static final class ShrByCl extends ByCl {
    ShrByCl(int destination, int size) {
      super(destination, size);
    }

    @Override
    void execute(Cpu c) {
      long v = Operands.get(c, destination, size);
      int count = count(c);
      Operands.set(c, destination, size, count == 0 ? v : Shift.right(c, v, count, size));
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.shiftByCl(Shift.SHR, size, destination);
    }
  }
}
