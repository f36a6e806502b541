package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Makes the operations of ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG and NOT.
final class ArithmeticInstructions {
  private ArithmeticInstructions() {}

  /// Opcodes 00 to 3F with low bits 0 to 5.
  static @Nullable Operation twoOperands(Instruction i) {
    int operation = i.opcode >> 3;
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize / 8;
    return switch (i.opcode & 7) {
      case 0, 1 -> withRegister(i, operation, size);
      case 2, 3 -> toRegister(i, operation, size);
      case 4, 5 -> registerImmediate(operation, size, Cpu.RAX, i.immediate);
      default -> null;
    };
  }

  /// Opcodes 80 to 83.
  static Operation group1(Instruction i) {
    return withImmediate(i, i.extension(), (i.opcode & 1) == 0 ? 1 : i.operandSize / 8);
  }

  /// Opcodes 84, 85.
  static Operation test(Instruction i) {
    return withRegister(i, Arithmetic.TEST, (i.opcode & 1) == 0 ? 1 : i.operandSize / 8);
  }

  /// Opcodes A8, A9.
  static Operation testAccumulator(Instruction i) {
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize / 8;
    return registerImmediate(Arithmetic.TEST, size, Cpu.RAX, i.immediate);
  }

  /// Opcodes F6, F7 with /0 to /3.
  static Operation group3(Instruction i) {
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize / 8;
    return switch (i.extension()) {
      case 0, 1 -> withImmediate(i, Arithmetic.TEST, size);
      case 2 -> new Not(i, size);
      default -> new Neg(i, size);
    };
  }

  /// Opcodes FE, FF with /0, /1.
  static Operation incrementDecrement(Instruction i) {
    int size = (i.opcode & 1) == 0 ? 1 : i.operandSize / 8;
    boolean up = i.extension() == 0;
    if (!i.isMemory() && size >= 4) {
      return step(i.rm, size, up);
    }
    return up ? new Inc(i, size) : new Dec(i, size);
  }

  /// Opcodes 40 to 4F outside 64-bit mode.
  static Operation incrementDecrementShort(Instruction i) {
    int register = i.opcode & 7;
    boolean up = i.opcode < 0x48;
    if (i.operandSize == 32) {
      return step(register, 4, up);
    }
    i.rm = register;
    return up ? new Inc(i, 2) : new Dec(i, 2);
  }

  private static Operation step(int register, int size, boolean up) {
    if (size == 4) {
      return up ? new Inc32(register) : new Dec32(register);
    }
    return up ? new Inc64(register) : new Dec64(register);
  }

  // ---- By operands

  private static Operation withRegister(Instruction i, int operation, int size) {
    if (i.lock) {
      return new UpdateByRegister(i, operation, size);
    }
    if (size >= 4) {
      return i.isMemory()
          ? memoryRegister(operation, i.operand(), i.reg, size == 8)
          : registerRegister(operation, i.rm, i.reg, size == 8);
    }
    if (size == 1 && i.reg8() < 16 && (i.isMemory() || i.rm8() < 16)) {
      if (operation == Arithmetic.CMP) {
        return i.isMemory() ? new Cmp8MemReg(i.operand(), i.reg) : new Cmp8RegReg(i.rm, i.reg);
      }
      if (operation == Arithmetic.TEST && !i.isMemory()) {
        return new Test8RegReg(i.rm, i.reg);
      }
    }
    if (Arithmetic.comparesOnly(operation)) {
      return new CompareWithRegister(i, operation, size);
    }
    return new UpdateByRegister(i, operation, size);
  }

  private static Operation toRegister(Instruction i, int operation, int size) {
    if (size >= 4) {
      return i.isMemory()
          ? registerMemory(operation, i.reg, i.operand(), size == 8)
          : registerRegister(operation, i.reg, i.rm, size == 8);
    }
    if (operation == Arithmetic.CMP
        && size == 1
        && i.reg8() < 16
        && (i.isMemory() || i.rm8() < 16)) {
      return i.isMemory() ? new Cmp8RegMem(i.reg, i.operand()) : new Cmp8RegReg(i.reg, i.rm);
    }
    return new ToRegister(i, operation, size);
  }

  private static Operation withImmediate(Instruction i, int operation, int size) {
    if (!i.isMemory()) {
      return registerImmediate(operation, size, Operands.rm(i, size), i.immediate);
    }
    if (i.lock) {
      return new UpdateByImmediate(i, operation, size);
    }
    if (size >= 4) {
      return memoryImmediate(operation, i.operand(), i.immediate, size == 8);
    }
    if (operation == Arithmetic.CMP && size == 1) {
      return new Cmp8MemImm(i.operand(), i.immediate);
    }
    if (operation == Arithmetic.TEST && size == 1) {
      return new Test8MemImm(i.operand(), i.immediate);
    }
    if (Arithmetic.comparesOnly(operation)) {
      return new CompareWithImmediate(i.operand(), operation, size, i.immediate);
    }
    return new UpdateByImmediate(i, operation, size);
  }

  private static Operation registerRegister(int operation, int to, int from, boolean wide) {
    return switch (operation) {
      case Arithmetic.ADD -> Add.regReg(to, from, wide);
      case Arithmetic.OR -> Or.regReg(to, from, wide);
      case Arithmetic.ADC -> Adc.regReg(to, from, wide);
      case Arithmetic.SBB -> Sbb.regReg(to, from, wide);
      case Arithmetic.AND -> And.regReg(to, from, wide);
      case Arithmetic.SUB -> Sub.regReg(to, from, wide);
      case Arithmetic.XOR -> to == from ? new Clear(to) : Xor.regReg(to, from, wide);
      case Arithmetic.CMP -> Cmp.regReg(to, from, wide);
      default -> Test.regReg(to, from, wide);
    };
  }

  private static Operation registerImmediate(int operation, int size, int to, long immediate) {
    if (size < 4) {
      if (size == 1 && to < 16 && operation == Arithmetic.CMP) {
        return new Cmp8RegImm(to, immediate);
      }
      if (size == 1 && to < 16 && operation == Arithmetic.TEST) {
        return new Test8RegImm(to, immediate);
      }
      return new RegisterImmediate(to, immediate, operation, size);
    }
    boolean wide = size == 8;
    return switch (operation) {
      case Arithmetic.ADD -> Add.regImm(to, immediate, wide);
      case Arithmetic.OR -> Or.regImm(to, immediate, wide);
      case Arithmetic.ADC -> Adc.regImm(to, immediate, wide);
      case Arithmetic.SBB -> Sbb.regImm(to, immediate, wide);
      case Arithmetic.AND -> And.regImm(to, immediate, wide);
      case Arithmetic.SUB -> Sub.regImm(to, immediate, wide);
      case Arithmetic.XOR -> Xor.regImm(to, immediate, wide);
      case Arithmetic.CMP -> Cmp.regImm(to, immediate, wide);
      default -> Test.regImm(to, immediate, wide);
    };
  }

  private static Operation registerMemory(int operation, int to, MemoryOperand m, boolean wide) {
    return switch (operation) {
      case Arithmetic.ADD -> Add.regMem(to, m, wide);
      case Arithmetic.OR -> Or.regMem(to, m, wide);
      case Arithmetic.ADC -> Adc.regMem(to, m, wide);
      case Arithmetic.SBB -> Sbb.regMem(to, m, wide);
      case Arithmetic.AND -> And.regMem(to, m, wide);
      case Arithmetic.SUB -> Sub.regMem(to, m, wide);
      case Arithmetic.XOR -> Xor.regMem(to, m, wide);
      default -> Cmp.regMem(to, m, wide);
    };
  }

  private static Operation memoryRegister(int operation, MemoryOperand m, int from, boolean wide) {
    return switch (operation) {
      case Arithmetic.ADD -> Add.memReg(m, from, wide);
      case Arithmetic.OR -> Or.memReg(m, from, wide);
      case Arithmetic.ADC -> Adc.memReg(m, from, wide);
      case Arithmetic.SBB -> Sbb.memReg(m, from, wide);
      case Arithmetic.AND -> And.memReg(m, from, wide);
      case Arithmetic.SUB -> Sub.memReg(m, from, wide);
      case Arithmetic.XOR -> Xor.memReg(m, from, wide);
      case Arithmetic.CMP -> Cmp.memReg(m, from, wide);
      default -> Test.memReg(m, from, wide);
    };
  }

  private static Operation memoryImmediate(
      int operation, MemoryOperand m, long immediate, boolean wide) {
    return switch (operation) {
      case Arithmetic.ADD -> Add.memImm(m, immediate, wide);
      case Arithmetic.OR -> Or.memImm(m, immediate, wide);
      case Arithmetic.ADC -> Adc.memImm(m, immediate, wide);
      case Arithmetic.SBB -> Sbb.memImm(m, immediate, wide);
      case Arithmetic.AND -> And.memImm(m, immediate, wide);
      case Arithmetic.SUB -> Sub.memImm(m, immediate, wide);
      case Arithmetic.XOR -> Xor.memImm(m, immediate, wide);
      case Arithmetic.CMP -> Cmp.memImm(m, immediate, wide);
      default -> Test.memImm(m, immediate, wide);
    };
  }

  // ---- Any operation, 8 and 16 bits, and locked forms of any size

  /// r/m op= reg.
  private static final class UpdateByRegister extends Form.Update {
    final int operation;
    final int source;

    UpdateByRegister(Instruction i, int operation, int size) {
      super(i, size);
      this.operation = operation;
      this.source = Operands.reg(i, size);
    }

    @Override
    long compute(Cpu c, long old) {
      return Arithmetic.apply(c, operation, old, Operands.get(c, source, size), size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return !locked
          && e.update(
              this,
              () -> {
                e.get(source, size);
                e.arithmetic.binary(operation, size);
              });
    }
  }

  /// m op= immediate.
  private static final class UpdateByImmediate extends Form.Update {
    final int operation;
    final long immediate;

    UpdateByImmediate(Instruction i, int operation, int size) {
      super(i, size);
      this.operation = operation;
      this.immediate = i.immediate;
    }

    @Override
    long compute(Cpu c, long old) {
      return Arithmetic.apply(c, operation, old, immediate, size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return !locked
          && e.update(
              this,
              () -> {
                e.constant(immediate, size);
                e.arithmetic.binary(operation, size);
              });
    }
  }

  /// reg op= r/m, comparisons too; 8 and 16 bits.
  private static final class ToRegister extends Form.Source {
    final int operation;
    final int destination;

    ToRegister(Instruction i, int operation, int size) {
      super(i, size);
      this.operation = operation;
      this.destination = Operands.reg(i, size);
    }

    @Override
    void execute(Cpu c) {
      long b = source(c);
      long r = Arithmetic.apply(c, operation, Operands.get(c, destination, size), b, size);
      if (!Arithmetic.comparesOnly(operation)) {
        Operands.set(c, destination, size, r);
      }
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      e.storeValue(size);
      e.get(destination, size);
      e.loadValue(size);
      e.arithmetic.binary(operation, size);
      if (!Arithmetic.comparesOnly(operation)) {
        e.put(destination, size);
      }
      return true;
    }
  }

  /// reg op= immediate, comparisons too; 8 and 16 bits.
  private static final class RegisterImmediate extends Form.RegImm {
    final int operation;
    final int size;

    RegisterImmediate(int destination, long immediate, int operation, int size) {
      super(destination, immediate);
      this.operation = operation;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long r = Arithmetic.apply(c, operation, Operands.get(c, destination, size), immediate, size);
      if (!Arithmetic.comparesOnly(operation)) {
        Operands.set(c, destination, size, r);
      }
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerConstant(operation, size, destination, immediate);
    }
  }

  /// CMP and TEST of r/m with reg; 8 and 16 bits.
  private static final class CompareWithRegister extends Form.Source {
    final int operation;
    final int other;

    CompareWithRegister(Instruction i, int operation, int size) {
      super(i, size);
      this.operation = operation;
      this.other = Operands.reg(i, size);
    }

    @Override
    void execute(Cpu c) {
      Arithmetic.apply(c, operation, source(c), Operands.get(c, other, size), size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      e.get(other, size);
      e.arithmetic.binary(operation, size);
      return true;
    }
  }

  /// CMP and TEST of m with immediate; 8 and 16 bits.
  private static final class CompareWithImmediate extends Form.MemImm {
    final int operation;
    final int size;

    CompareWithImmediate(MemoryOperand memory, int operation, int size, long immediate) {
      super(memory, immediate);
      this.operation = operation;
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long a = Operands.load(c, memory.readAddress(c, size), size);
      Arithmetic.apply(c, operation, a, immediate, size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.memoryConstant(operation, size, memory, immediate);
    }
  }

  // ---- Frequent special cases

  /// XOR of a register with itself, 32 or 64 bits.
  private static final class Clear extends Form.Reg {
    Clear(int destination) {
      super(destination);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = 0;
      c.logicFlags(0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.b.iconst_0();
      e.putInt(destination);
      e.b.iconst_0();
      e.arithmetic.logicResult(4);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Cmp8RegReg extends Form.RegReg {
    Cmp8RegReg(int destination, int source) {
      super(destination, source);
    }

    @Override
    void execute(Cpu c) {
      int a = (int) c.r[destination];
      int b = (int) c.r[source];
      c.subFlagsSmall(a, b, a - b, 56);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerRegister(Arithmetic.CMP, 1, destination, source);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Cmp8RegMem extends Form.RegMem {
    Cmp8RegMem(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      int b = memory.load8(c);
      int a = (int) c.r[destination];
      c.subFlagsSmall(a, b, a - b, 56);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerMemory(Arithmetic.CMP, 1, destination, memory);
    }
  }

  private static final class Cmp8MemReg extends Form.MemReg {
    Cmp8MemReg(MemoryOperand memory, int source) {
      super(memory, source);
    }

    @Override
    void execute(Cpu c) {
      int a = memory.load8(c);
      int b = (int) c.r[source];
      c.subFlagsSmall(a, b, a - b, 56);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.memoryRegister(Arithmetic.CMP, 1, memory, source);
    }
  }

  static final class Test8RegReg extends Form.RegReg {
    Test8RegReg(int destination, int source) {
      super(destination, source);
    }

    @Override
    void execute(Cpu c) {
      c.logicFlags((byte) (c.r[destination] & c.r[source]));
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerRegister(Arithmetic.TEST, 1, destination, source);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Cmp8RegImm extends Form.RegImm {
    Cmp8RegImm(int destination, long immediate) {
      super(destination, immediate);
    }

    @Override
    void execute(Cpu c) {
      int a = (int) c.r[destination];
      int b = (int) immediate;
      c.subFlagsSmall(a, b, a - b, 56);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerConstant(Arithmetic.CMP, 1, destination, immediate);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Cmp8MemImm extends Form.MemImm {
    Cmp8MemImm(MemoryOperand memory, long immediate) {
      super(memory, immediate);
    }

    @Override
    void execute(Cpu c) {
      int a = memory.load8(c);
      int b = (int) immediate;
      c.subFlagsSmall(a, b, a - b, 56);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.memoryConstant(Arithmetic.CMP, 1, memory, immediate);
    }
  }

  static final class Test8RegImm extends Form.RegImm {
    Test8RegImm(int destination, long immediate) {
      super(destination, immediate);
    }

    @Override
    void execute(Cpu c) {
      c.logicFlags((byte) (c.r[destination] & immediate));
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.registerConstant(Arithmetic.TEST, 1, destination, immediate);
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.SETS;
    }
  }

  private static final class Test8MemImm extends Form.MemImm {
    Test8MemImm(MemoryOperand memory, long immediate) {
      super(memory, immediate);
    }

    @Override
    void execute(Cpu c) {
      c.logicFlags((byte) (memory.load8(c) & immediate));
    }

    @Override
    boolean emit(RegionEmitter e) {
      return e.memoryConstant(Arithmetic.TEST, 1, memory, immediate);
    }
  }

  // ---- One operand

  private static final class Inc32 extends Form.Reg {
    Inc32(int destination) {
      super(destination);
    }

    @Override
    void execute(Cpu c) {
      int a = (int) c.r[destination];
      int r = a + 1;
      c.r[destination] = r & 0xFFFF_FFFFL;
      c.flagResult = r;
      c.flagCarry = Arithmetic.stepCarry(c.flagCarry, (long) (~a & r) << 32, a ^ r);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(destination, 4);
      e.arithmetic.step(true, 4);
      e.put(destination, 4);
      return true;
    }
  }

  private static final class Dec32 extends Form.Reg {
    Dec32(int destination) {
      super(destination);
    }

    @Override
    void execute(Cpu c) {
      int a = (int) c.r[destination];
      int r = a - 1;
      c.r[destination] = r & 0xFFFF_FFFFL;
      c.flagResult = r;
      c.flagCarry = Arithmetic.stepCarry(c.flagCarry, (long) (a & ~r) << 32, a ^ r);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(destination, 4);
      e.arithmetic.step(false, 4);
      e.put(destination, 4);
      return true;
    }
  }

  private static final class Inc64 extends Form.Reg {
    Inc64(int destination) {
      super(destination);
    }

    @Override
    void execute(Cpu c) {
      long a = c.r[destination];
      long r = a + 1;
      c.r[destination] = r;
      c.flagResult = r;
      c.flagCarry = Arithmetic.stepCarry(c.flagCarry, ~a & r, a ^ r);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(destination, 8);
      e.arithmetic.step(true, 8);
      e.put(destination, 8);
      return true;
    }
  }

  private static final class Dec64 extends Form.Reg {
    Dec64(int destination) {
      super(destination);
    }

    @Override
    void execute(Cpu c) {
      long a = c.r[destination];
      long r = a - 1;
      c.r[destination] = r;
      c.flagResult = r;
      c.flagCarry = Arithmetic.stepCarry(c.flagCarry, a & ~r, a ^ r);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(destination, 8);
      e.arithmetic.step(false, 8);
      e.put(destination, 8);
      return true;
    }
  }

  private static final class Inc extends Form.Update {
    Inc(Instruction i, int size) {
      super(i, size);
    }

    @Override
    long compute(Cpu c, long old) {
      return Arithmetic.increment(c, old, size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return !locked && e.update(this, () -> e.arithmetic.step(true, size));
    }
  }

  private static final class Dec extends Form.Update {
    Dec(Instruction i, int size) {
      super(i, size);
    }

    @Override
    long compute(Cpu c, long old) {
      return Arithmetic.decrement(c, old, size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return !locked && e.update(this, () -> e.arithmetic.step(false, size));
    }
  }

  private static final class Neg extends Form.Update {
    Neg(Instruction i, int size) {
      super(i, size);
    }

    @Override
    long compute(Cpu c, long old) {
      return Arithmetic.subtract(c, 0, old, 0, size);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return !locked
          && e.update(
              this,
              () -> {
                e.storeValue(size);
                e.constant(0, size);
                e.loadValue(size);
                e.arithmetic.binary(Arithmetic.SUB, size);
              });
    }
  }

  private static final class Not extends Form.Update {
    Not(Instruction i, int size) {
      super(i, size);
    }

    @Override
    long compute(Cpu c, long old) {
      return ~old;
    }

    @Override
    boolean emit(RegionEmitter e) {
      return !locked
          && e.update(
              this,
              () -> {
                if (size == 8) {
                  e.b.loadConstant(-1L).lxor();
                } else {
                  e.b.iconst_m1().ixor();
                }
              });
    }
  }
}
