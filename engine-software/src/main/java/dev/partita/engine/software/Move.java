package dev.partita.engine.software;

/// MOV between general registers, memory and immediates, and what loads with zero or sign
/// extension: MOVZX, MOVSX, MOVSXD.
final class Move {
  private Move() {}

  /// Opcodes 88 and 89: MOV r/m, r.
  static Operation store(Instruction i) {
    int size = size(i);
    if (!i.isMemory()) {
      return register(Operands.rm(i, size), Operands.reg(i, size), size);
    }
    return toMemory(i.operand(), Operands.reg(i, size), size);
  }

  /// Opcodes 8A and 8B: MOV r, r/m.
  static Operation load(Instruction i) {
    int size = size(i);
    if (!i.isMemory()) {
      return register(Operands.reg(i, size), Operands.rm(i, size), size);
    }
    return fromMemory(Operands.reg(i, size), i.operand(), size);
  }

  /// Opcodes A0 to A3: MOV between the accumulator and a direct offset.
  static Operation direct(Instruction i) {
    int size = size(i);
    var m =
        new MemoryOperand(
            i.dataSegment(Cpu.DS), Cpu.ZERO, Cpu.ZERO, 0, i.immediate, i.addressSize, i.is64());
    return i.opcode < 0xA2 ? fromMemory(Cpu.RAX, m, size) : toMemory(m, Cpu.RAX, size);
  }

  /// Opcodes B0 to BF: MOV r, immediate.
  static Operation shortImmediate(Instruction i) {
    if (i.opcode < 0xB8) {
      return immediate(i.opcodeRegister8(), i.immediate, 1);
    }
    return immediate(i.opcodeRegister(), i.immediate, i.operandSize / 8);
  }

  /// Opcodes C6 /0 and C7 /0: MOV r/m, immediate.
  static Operation immediate(Instruction i) {
    int size = size(i);
    if (!i.isMemory()) {
      return immediate(Operands.rm(i, size), i.immediate, size);
    }
    var m = i.operand();
    return switch (size) {
      case 1 -> new Store8Immediate(m, i.immediate);
      case 2 -> new Store16Immediate(m, i.immediate);
      case 4 -> new Store32Immediate(m, i.immediate);
      default -> new Store64Immediate(m, i.immediate);
    };
  }

  /// Opcodes 0F B6 and 0F B7: MOVZX.
  static Operation zeroExtended(Instruction i) {
    int from = (i.opcode & 1) == 0 ? 1 : 2;
    if (i.operandSize == 16) {
      return new ExtendTo16(i, from, false);
    }
    if (!i.isMemory()) {
      return new ZeroExtend(i.reg, Operands.rm(i, from), from);
    }
    return from == 1 ? new LoadZero8(i.reg, i.operand()) : new LoadZero16(i.reg, i.operand());
  }

  /// Opcodes 0F BE and 0F BF: MOVSX; and 63 in 64-bit mode: MOVSXD.
  static Operation signExtended(Instruction i) {
    int from = i.opcode == 0x63 ? 4 : (i.opcode & 1) == 0 ? 1 : 2;
    if (i.operandSize == 16) {
      return new ExtendTo16(i, from == 4 ? 2 : from, true);
    }
    long mask = i.operandSize == 32 ? 0xFFFF_FFFFL : -1L;
    if (!i.isMemory()) {
      return new SignExtend(i.reg, Operands.rm(i, from), from, mask);
    }
    var m = i.operand();
    return switch (from) {
      case 1 -> new LoadSign8(i.reg, m, mask);
      case 2 -> new LoadSign16(i.reg, m, mask);
      default -> new LoadSign32(i.reg, m, mask);
    };
  }

  private static int size(Instruction i) {
    return (i.opcode & 1) == 0 ? 1 : i.operandSize / 8;
  }

  /// A move between registers.
  static Operation register(int to, int from, int size) {
    return switch (size) {
      case 4 -> new Register32(to, from);
      case 8 -> new Register64(to, from);
      default -> new RegisterSmall(to, from, size);
    };
  }

  private static Operation immediate(int to, long value, int size) {
    return size < 4
        ? new ImmediateSmall(to, value, size)
        : new Constant(to, size == 4 ? value & 0xFFFF_FFFFL : value);
  }

  private static Operation fromMemory(int to, MemoryOperand m, int size) {
    return switch (size) {
      case 1 -> to < 16 ? new Load8(to, m) : new Load8High(to, m);
      case 2 -> new Load16(to, m);
      case 4 -> new Load32(to, m);
      default -> new Load64(to, m);
    };
  }

  /// A store of a register.
  static Operation toMemory(MemoryOperand m, int from, int size) {
    return switch (size) {
      case 1 -> new Store8(m, from);
      case 2 -> new Store16(m, from);
      case 4 -> new Store32(m, from);
      default -> new Store64(m, from);
    };
  }

  // ---- Registers and constants

  private static final class Register32 extends Form.RegReg {
    Register32(int destination, int source) {
      super(destination, source);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = c.r[source] & 0xFFFF_FFFFL;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getInt(source);
      e.putInt(destination);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  private static final class Register64 extends Form.RegReg {
    Register64(int destination, int source) {
      super(destination, source);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = c.r[source];
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getLong(source);
      e.putLong(destination);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  private static final class RegisterSmall extends Form.RegReg {
    final int size;

    RegisterSmall(int destination, int source, int size) {
      super(destination, source);
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      Operands.set(c, destination, size, Operands.get(c, source, size));
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(source, size);
      e.put(destination, size);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  /// A constant for the whole register.
  private static final class Constant extends Form.RegImm {
    Constant(int destination, long value) {
      super(destination, value);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = immediate;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.b.loadConstant(immediate);
      e.putLong(destination);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  private static final class ImmediateSmall extends Form.RegImm {
    final int size;

    ImmediateSmall(int destination, long immediate, int size) {
      super(destination, immediate);
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      Operands.set(c, destination, size, immediate);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.constant(immediate, size);
      e.put(destination, size);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  // ---- Loads

  private static final class Load8 extends Form.RegMem {
    Load8(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      long value = memory.load8(c) & 0xFF;
      c.r[destination] = (c.r[destination] & ~0xFFL) | value;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 1);
      e.put(destination, 1);
      return true;
    }
  }

  /// Into AH, CH, DH or BH.
  private static final class Load8High extends Form.RegMem {
    Load8High(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.set8(destination, memory.load8(c));
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 1);
      e.put(destination, 1);
      return true;
    }
  }

  private static final class Load16 extends Form.RegMem {
    Load16(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.set16(destination, memory.load16(c));
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 2);
      e.put(destination, 2);
      return true;
    }
  }

  private static final class Load32 extends Form.RegMem {
    Load32(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = memory.load32(c) & 0xFFFF_FFFFL;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 4);
      e.put(destination, 4);
      return true;
    }
  }

  private static final class Load64 extends Form.RegMem {
    Load64(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = memory.load64(c);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 8);
      e.put(destination, 8);
      return true;
    }
  }

  // ---- Stores

  private static final class Store8 extends Form.MemReg {
    Store8(MemoryOperand memory, int source) {
      super(memory, source);
    }

    @Override
    void execute(Cpu c) {
      memory.store8(c, c.get8(source));
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(source, 1);
      e.store(memory, 1);
      return true;
    }
  }

  private static final class Store16 extends Form.MemReg {
    Store16(MemoryOperand memory, int source) {
      super(memory, source);
    }

    @Override
    void execute(Cpu c) {
      memory.store16(c, (int) c.r[source]);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(source, 2);
      e.store(memory, 2);
      return true;
    }
  }

  private static final class Store32 extends Form.MemReg {
    Store32(MemoryOperand memory, int source) {
      super(memory, source);
    }

    @Override
    void execute(Cpu c) {
      memory.store32(c, (int) c.r[source]);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(source, 4);
      e.store(memory, 4);
      return true;
    }
  }

  private static final class Store64 extends Form.MemReg {
    Store64(MemoryOperand memory, int source) {
      super(memory, source);
    }

    @Override
    void execute(Cpu c) {
      memory.store64(c, c.r[source]);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(source, 8);
      e.store(memory, 8);
      return true;
    }
  }

  private static final class Store8Immediate extends Form.MemImm {
    Store8Immediate(MemoryOperand memory, long immediate) {
      super(memory, immediate);
    }

    @Override
    void execute(Cpu c) {
      memory.store8(c, (int) immediate);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.constant(immediate, 1);
      e.store(memory, 1);
      return true;
    }
  }

  private static final class Store16Immediate extends Form.MemImm {
    Store16Immediate(MemoryOperand memory, long immediate) {
      super(memory, immediate);
    }

    @Override
    void execute(Cpu c) {
      memory.store16(c, (int) immediate);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.constant(immediate, 2);
      e.store(memory, 2);
      return true;
    }
  }

  private static final class Store32Immediate extends Form.MemImm {
    Store32Immediate(MemoryOperand memory, long immediate) {
      super(memory, immediate);
    }

    @Override
    void execute(Cpu c) {
      memory.store32(c, (int) immediate);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.constant(immediate, 4);
      e.store(memory, 4);
      return true;
    }
  }

  private static final class Store64Immediate extends Form.MemImm {
    Store64Immediate(MemoryOperand memory, long immediate) {
      super(memory, immediate);
    }

    @Override
    void execute(Cpu c) {
      memory.store64(c, immediate);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.constant(immediate, 8);
      e.store(memory, 8);
      return true;
    }
  }

  // ---- Extension

  /// MOVZX of a register to 32 or 64 bits (the same: the upper half is 0 either way).
  private static final class ZeroExtend extends Form.RegReg {
    /// 8 for AH, CH, DH, BH; else 0.
    final int shift;

    final long mask;

    ZeroExtend(int destination, int source, int from) {
      super(destination, source < 16 ? source : source & 3);
      this.shift = source < 16 ? 0 : 8;
      this.mask = from == 1 ? 0xFF : 0xFFFF;
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = c.r[source] >>> shift & mask;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getInt(source);
      if (shift != 0) {
        e.b.bipush(shift).iushr();
      }
      e.b.loadConstant((int) mask).iand();
      e.putInt(destination);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  /// MOVSX, MOVSXD of a register to 32 or 64 bits.
  private static final class SignExtend extends Form.RegReg {
    final int left;
    final int right;
    final long mask;

    SignExtend(int destination, int source, int from, long mask) {
      super(destination, source < 16 ? source : source & 3);
      this.right = 64 - 8 * from;
      this.left = source < 16 ? right : right - 8;
      this.mask = mask;
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = c.r[source] << left >> right & mask;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getInt(source);
      if (left != right) {
        e.b.bipush(right - left).iushr();
      }
      e.signExtend((64 - right) / 8, destination, mask);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  private static final class LoadZero8 extends Form.RegMem {
    LoadZero8(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = memory.load8(c) & 0xFF;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 1);
      e.putInt(destination);
      return true;
    }
  }

  private static final class LoadZero16 extends Form.RegMem {
    LoadZero16(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = memory.load16(c) & 0xFFFF;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 2);
      e.putInt(destination);
      return true;
    }
  }

  private static final class LoadSign8 extends Form.RegMem {
    final long mask;

    LoadSign8(int destination, MemoryOperand memory, long mask) {
      super(destination, memory);
      this.mask = mask;
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = (byte) memory.load8(c) & mask;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 1);
      e.signExtend(1, destination, mask);
      return true;
    }
  }

  private static final class LoadSign16 extends Form.RegMem {
    final long mask;

    LoadSign16(int destination, MemoryOperand memory, long mask) {
      super(destination, memory);
      this.mask = mask;
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = (short) memory.load16(c) & mask;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 2);
      e.signExtend(2, destination, mask);
      return true;
    }
  }

  private static final class LoadSign32 extends Form.RegMem {
    final long mask;

    LoadSign32(int destination, MemoryOperand memory, long mask) {
      super(destination, memory);
      this.mask = mask;
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = memory.load32(c) & mask;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.load(memory, 4);
      e.signExtend(4, destination, mask);
      return true;
    }
  }

  /// MOVZX, MOVSX and MOVSXD with a 16-bit destination.
  private static final class ExtendTo16 extends Form.Source {
    final int destination;
    final boolean signed;

    ExtendTo16(Instruction i, int from, boolean signed) {
      super(i, from);
      this.destination = i.reg;
      this.signed = signed;
    }

    @Override
    void execute(Cpu c) {
      long value = source(c);
      c.set16(destination, (int) (signed ? Operands.signExtend(value, size) : value));
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      if (signed && size == 1) {
        e.b.i2b();
      }
      e.put(destination, 2);
      return true;
    }
  }
}
