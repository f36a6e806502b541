package dev.partita.engine.software;

import java.lang.constant.ConstantDescs;
import org.jspecify.annotations.Nullable;

/// Data movement beyond plain MOV: LEA, XCHG, CMOVcc, SETcc, BSWAP, MOVBE, XLAT, CBW and CWD with
/// their wider kin.
final class DataInstructions {
  private DataInstructions() {}

  /// Opcode 8D.
  static @Nullable Operation loadEffectiveAddress(Instruction i) {
    if (!i.isMemory()) {
      return null;
    }
    return switch (i.operandSize) {
      case 16 -> new Lea16(i.reg, i.operand());
      case 32 -> new Lea32(i.reg, i.operand());
      default -> new Lea64(i.reg, i.operand());
    };
  }

  /// Opcodes 86 and 87.
  static Operation exchange(Instruction i) {
    int size = i.opcode == 0x86 ? 1 : i.operandSize / 8;
    return i.isMemory()
        ? new ExchangeMemory(i.operand(), Operands.reg(i, size), size)
        : new Exchange(Operands.rm(i, size), Operands.reg(i, size), size);
  }

  /// Opcodes 90 to 97 that are not NOP.
  static Operation exchangeAccumulator(Instruction i) {
    return new Exchange(Cpu.RAX, i.opcodeRegister(), i.operandSize / 8);
  }

  /// Opcodes 0F 40 to 0F 4F.
  static Operation conditionalMove(Instruction i) {
    int condition = i.opcode & 15;
    if (!i.isMemory() && i.operandSize == 64) {
      return new ConditionalMove64(condition, i.reg, i.rm);
    }
    if (!i.isMemory() && i.operandSize == 32) {
      return new ConditionalMove32(condition, i.reg, i.rm);
    }
    return new ConditionalMove(i, condition);
  }

  /// Opcodes 0F 90 to 0F 9F.
  static Operation set(Instruction i) {
    int condition = i.opcode & 15;
    if (i.isMemory()) {
      return new SetMemory(condition, i.operand());
    }
    int register = i.rm8();
    if (register >= 16) {
      return new SetHigh(condition, register);
    }
    return switch (condition) {
      case 2 -> new SetBelow(register);
      case 4 -> new SetEqual(register);
      case 5 -> new SetNotEqual(register);
      default -> new SetRegister(condition, register);
    };
  }

  /// Opcodes 0F C8 to 0F CF.
  static Operation byteSwap(Instruction i) {
    return new ByteSwap(i.opcodeRegister(), i.operandSize / 8);
  }

  /// Opcodes 0F 38 F0 and F1 without F2.
  static @Nullable Operation moveBigEndian(Instruction i) {
    if (!i.isMemory()) {
      return null;
    }
    return new MoveBigEndian(i.operand(), i.reg, i.operandSize / 8, i.opcode == 0xF1);
  }

  /// Opcode 0F C3: MOVNTI.
  static @Nullable Operation storeNonTemporal(Instruction i) {
    if (!i.isMemory() || i.operandPrefix || i.repeatPrefix != 0) {
      return null;
    }
    // Stores are never reordered here: an ordinary one does.
    return Move.toMemory(i.operand(), i.reg, i.operandSize / 8);
  }

  /// Opcode D7.
  static Operation translate(Instruction i) {
    return new Translate(
        new MemoryOperand(i.dataSegment(Cpu.DS), Cpu.RBX, Cpu.ZERO, 0, 0, i.addressSize, i.is64()));
  }

  /// Opcode 98.
  static Operation convert(Instruction i) {
    return new Convert(i.operandSize / 8);
  }

  /// Opcode 99.
  static Operation convertDouble(Instruction i) {
    return new ConvertDouble(i.operandSize / 8);
  }

  private static final class Lea16 extends Form.RegMem {
    Lea16(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.set16(destination, (int) memory.offset(c));
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.effectiveAddress(memory);
      e.b.l2i();
      e.put(destination, 2);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  private static final class Lea32 extends Form.RegMem {
    Lea32(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = memory.offset(c) & 0xFFFF_FFFFL;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.effectiveAddress(memory);
      e.b.l2i();
      e.putInt(destination);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  private static final class Lea64 extends Form.RegMem {
    Lea64(int destination, MemoryOperand memory) {
      super(destination, memory);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = memory.offset(c);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.effectiveAddress(memory);
      e.putLong(destination);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  private static final class Exchange extends Form.RegReg {
    final int size;

    Exchange(int destination, int source, int size) {
      super(destination, source);
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long a = Operands.get(c, destination, size);
      long b = Operands.get(c, source, size);
      Operands.set(c, destination, size, b);
      Operands.set(c, source, size, a);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.get(destination, size);
      e.get(source, size);
      e.put(destination, size);
      e.put(source, size);
      return true;
    }

    @Override
    FlagUse flagUse() {
      return FlagUse.NONE;
    }
  }

  /// XCHG with memory: always locked.
  private static final class ExchangeMemory extends Form.MemReg {
    final int size;

    ExchangeMemory(MemoryOperand memory, int source, int size) {
      super(memory, source);
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long address = memory.writeAddress(c, size);
      long value = Operands.get(c, source, size);
      long expected = c.loadForUpdate(address, size);
      while (true) {
        long found = c.compareExchange(address, size, expected, value);
        if (found == expected) {
          break;
        }
        expected = found;
      }
      Operands.set(c, source, size, expected);
    }
  }

  private static final class ConditionalMove64 extends Form.RegReg {
    final int condition;

    ConditionalMove64(int condition, int destination, int source) {
      super(destination, source);
      this.condition = condition;
    }

    @Override
    void execute(Cpu c) {
      if (Condition.holds(c, condition)) {
        c.r[destination] = c.r[source];
      }
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getLong(source);
      e.moveIf(condition, destination, 8);
      return true;
    }
  }

  private static final class ConditionalMove32 extends Form.RegReg {
    final int condition;

    ConditionalMove32(int condition, int destination, int source) {
      super(destination, source);
      this.condition = condition;
    }

    @Override
    void execute(Cpu c) {
      // The upper half becomes 0 either way.
      long[] r = c.r;
      r[destination] = r[Condition.holds(c, condition) ? source : destination] & 0xFFFF_FFFFL;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.getInt(source);
      e.moveIf(condition, destination, 4);
      return true;
    }
  }

  /// From memory, which is read whatever the condition; or 16 bits.
  private static final class ConditionalMove extends Form.Source {
    final int condition;
    final int destination;

    ConditionalMove(Instruction i, int condition) {
      super(i, i.operandSize / 8);
      this.condition = condition;
      this.destination = i.reg;
    }

    @Override
    void execute(Cpu c) {
      long value = source(c);
      if (!Condition.holds(c, condition)) {
        value = c.r[destination];
      }
      Operands.set(c, destination, size, value);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      e.moveIf(condition, destination, size);
      return true;
    }
  }

  private static final class SetBelow extends Form.Reg {
    SetBelow(int destination) {
      super(destination);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = (c.r[destination] & ~0xFFL) | c.flagCarry >>> 63;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.flagEmitter.pushCondition(2);
      e.put(destination, 1);
      return true;
    }
  }

  private static final class SetEqual extends Form.Reg {
    SetEqual(int destination) {
      super(destination);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = (c.r[destination] & ~0xFFL) | (c.zf() ? 1 : 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.flagEmitter.pushCondition(4);
      e.put(destination, 1);
      return true;
    }
  }

  private static final class SetNotEqual extends Form.Reg {
    SetNotEqual(int destination) {
      super(destination);
    }

    @Override
    void execute(Cpu c) {
      c.r[destination] = (c.r[destination] & ~0xFFL) | (c.zf() ? 0 : 1);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.flagEmitter.pushCondition(5);
      e.put(destination, 1);
      return true;
    }
  }

  private static final class SetRegister extends Form.Reg {
    final int condition;

    SetRegister(int condition, int destination) {
      super(destination);
      this.condition = condition;
    }

    @Override
    void execute(Cpu c) {
      long value = Condition.holds(c, condition) ? 1 : 0;
      c.r[destination] = (c.r[destination] & ~0xFFL) | value;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.flagEmitter.pushCondition(condition);
      e.put(destination, 1);
      return true;
    }
  }

  /// Into AH, CH, DH or BH.
  private static final class SetHigh extends Form.Reg {
    final int condition;

    SetHigh(int condition, int destination) {
      super(destination);
      this.condition = condition;
    }

    @Override
    void execute(Cpu c) {
      c.set8(destination, Condition.holds(c, condition) ? 1 : 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.flagEmitter.pushCondition(condition);
      e.put(destination, 1);
      return true;
    }
  }

  private static final class SetMemory extends Operation {
    final int condition;
    final MemoryOperand memory;

    SetMemory(int condition, MemoryOperand memory) {
      this.condition = condition;
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      memory.store8(c, Condition.holds(c, condition) ? 1 : 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.flagEmitter.pushCondition(condition);
      e.store(memory, 1);
      return true;
    }
  }

  private static final class ByteSwap extends Form.Reg {
    final int size;

    ByteSwap(int destination, int size) {
      super(destination);
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      switch (size) {
        // Undefined for 16 bits: Intel's processors clear them.
        case 2 -> c.set16(destination, 0);
        case 4 -> c.r[destination] = Integer.reverseBytes((int) c.r[destination]) & 0xFFFF_FFFFL;
        default -> c.r[destination] = Long.reverseBytes(c.r[destination]);
      }
    }

    @Override
    boolean emit(RegionEmitter e) {
      switch (size) {
        case 8 -> {
          e.getLong(destination);
          e.invokeJava(Long.class, "reverseBytes", ConstantDescs.CD_long, ConstantDescs.CD_long);
          e.putLong(destination);
        }
        case 4 -> {
          e.getInt(destination);
          e.invokeJava(Integer.class, "reverseBytes", ConstantDescs.CD_int, ConstantDescs.CD_int);
          e.putInt(destination);
        }
        default -> {
          return false;
        }
      }
      return true;
    }
  }

  private static final class MoveBigEndian extends Operation {
    final MemoryOperand memory;
    final int register;
    final int size;
    final boolean store;

    MoveBigEndian(MemoryOperand memory, int register, int size, boolean store) {
      this.memory = memory;
      this.register = register;
      this.size = size;
      this.store = store;
    }

    @Override
    void execute(Cpu c) {
      int shift = 64 - 8 * size;
      if (store) {
        long value = Long.reverseBytes(Operands.get(c, register, size)) >>> shift;
        Operands.store(c, memory.writeAddress(c, size), size, value);
      } else {
        long value = Operands.load(c, memory.readAddress(c, size), size);
        Operands.set(c, register, size, Long.reverseBytes(value) >>> shift);
      }
    }
  }

  private static final class Translate extends Operation {
    final MemoryOperand table;

    Translate(MemoryOperand table) {
      this.table = table;
    }

    @Override
    void execute(Cpu c) {
      c.set8(Cpu.RAX, c.load8(table.address(c, c.get8(Cpu.RAX), 1, false)));
    }
  }

  /// CBW, CWDE, CDQE.
  private static final class Convert extends Operation {
    final int size;

    Convert(int size) {
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      Operands.set(c, Cpu.RAX, size, Operands.signExtend(c.r[Cpu.RAX], size / 2));
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (size == 2) {
        return false;
      }
      e.getInt(Cpu.RAX);
      e.signExtend(size / 2, Cpu.RAX, size == 4 ? 0xFFFF_FFFFL : -1L);
      return true;
    }
  }

  /// CWD, CDQ, CQO.
  private static final class ConvertDouble extends Operation {
    final int size;

    ConvertDouble(int size) {
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      Operands.set(c, Cpu.RDX, size, Operands.signExtend(c.r[Cpu.RAX], size) >> 63);
    }

    @Override
    boolean emit(RegionEmitter e) {
      switch (size) {
        case 8 -> {
          e.getLong(Cpu.RAX);
          e.b.bipush(63).lshr();
          e.putLong(Cpu.RDX);
        }
        case 4 -> {
          e.getInt(Cpu.RAX);
          e.b.bipush(31).ishr();
          e.putInt(Cpu.RDX);
        }
        default -> {
          return false;
        }
      }
      return true;
    }
  }
}
