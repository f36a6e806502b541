package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Bit tests and counts: BT, BTS, BTR, BTC, BSF, BSR, TZCNT, LZCNT, POPCNT, CRC32.
///
/// Undefined flags are as on Intel's processors, measured: bit tests change only CF; BSF and BSR
/// clear all but ZF and PF, and leave the destination if the source is 0.
final class BitInstructions {
  // The operations by their number in ModR/M.reg of group 8, less 4.
  private static final int TEST = 0;
  static final int SET = 1;
  static final int RESET = 2;

  /// CRC-32C (Castagnoli), bit-reflected: the remainder for each byte. SDM volume 2, "CRC32".
  private static final int[] CRC_TABLE = crcTable(0x82F6_3B78);

  private BitInstructions() {}

  /// Opcodes 0F A3, AB, B3, BB: the bit's number in a register.
  static Operation bitByRegister(Instruction i) {
    int operation = i.opcode >> 3 & 3;
    int size = i.operandSize / 8;
    return operation == TEST ? new BitTest(i, size) : new BitUpdate(i, size, operation);
  }

  /// Opcode 0F BA with /4 to /7: the bit's number in an immediate.
  static @Nullable Operation bitByImmediate(Instruction i) {
    if (i.extension() < 4) {
      return null;
    }
    int operation = i.extension() - 4;
    int size = i.operandSize / 8;
    int bit = (int) i.immediate & 8 * size - 1;
    return operation == TEST
        ? new BitTestConstant(i, size, bit)
        : new BitUpdateConstant(i, size, operation, bit);
  }

  /// Opcodes 0F BC and BD: BSF or TZCNT, BSR or LZCNT.
  static Operation scan(Instruction i) {
    boolean forward = i.opcode == 0xBC;
    if (i.repeatPrefix == 0xF3) {
      return new Count(i, forward);
    }
    return new Scan(i, forward);
  }

  /// Opcode 0F B8 with F3.
  static @Nullable Operation populationCount(Instruction i) {
    return i.repeatPrefix == 0xF3 ? new PopulationCount(i) : null;
  }

  /// Opcodes 0F 38 F0 and F1 with F2.
  static Operation crc32(Instruction i) {
    int size = i.opcode == 0xF0 ? 1 : i.operandSize / 8;
    return new Crc32(i, size);
  }

  private static long change(int operation, long value, long mask) {
    return switch (operation) {
      case SET -> value | mask;
      case RESET -> value & ~mask;
      default -> value ^ mask;
    };
  }

  /// What a bit's number, signed and beyond the operand, adds to the address: whole operands.
  private static long stringOffset(Cpu c, int register, int size) {
    return Operands.signExtend(c.r[register], size) >> 3 & -size;
  }

  private static int[] crcTable(int polynomial) {
    var table = new int[256];
    for (int n = 0; n < 256; n++) {
      int r = n;
      for (int k = 0; k < 8; k++) {
        r = (r & 1) != 0 ? r >>> 1 ^ polynomial : r >>> 1;
      }
      table[n] = r;
    }
    return table;
  }

  // ---- BT, BTS, BTR, BTC

  private static final class BitTest extends Form.Source {
    final int index;

    BitTest(Instruction i, int size) {
      super(i, size);
      this.index = i.reg;
    }

    @Override
    void execute(Cpu c) {
      var m = memory;
      long value;
      if (m == null) {
        value = c.r[register];
      } else {
        long address = m.address(c, stringOffset(c, index, size), size, false);
        value = Operands.load(c, address, size);
      }
      int bit = (int) c.r[index] & 8 * size - 1;
      c.setCarry((value >>> bit & 1) != 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      if (memory != null || size < 4) {
        return false;
      }
      e.getLong(register);
      e.getInt(index);
      e.b.loadConstant(8 * size - 1).iand().lushr();
      e.arithmetic.setCarry();
      return true;
    }
  }

  private static final class BitTestConstant extends Form.Source {
    final int bit;

    BitTestConstant(Instruction i, int size, int bit) {
      super(i, size);
      this.bit = bit;
    }

    @Override
    void execute(Cpu c) {
      c.setCarry((source(c) >>> bit & 1) != 0);
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.source(this);
      if (size != 8) {
        e.b.i2l();
      }
      e.b.loadConstant(bit).lushr();
      e.arithmetic.setCarry();
      return true;
    }
  }

  private static final class BitUpdate extends Form.Update {
    final int index;
    final int operation;

    BitUpdate(Instruction i, int size, int operation) {
      super(i, size);
      this.index = i.reg;
      this.operation = operation;
    }

    @Override
    long address(Cpu c, MemoryOperand m) {
      return m.address(c, stringOffset(c, index, size), size, true);
    }

    @Override
    long compute(Cpu c, long old) {
      long mask = 1L << (c.r[index] & 8 * size - 1);
      c.setCarry((old & mask) != 0);
      return change(operation, old, mask);
    }
  }

  private static final class BitUpdateConstant extends Form.Update {
    final int operation;
    final int bit;

    BitUpdateConstant(Instruction i, int size, int operation, int bit) {
      super(i, size);
      this.operation = operation;
      this.bit = bit;
    }

    @Override
    long compute(Cpu c, long old) {
      long mask = 1L << bit;
      c.setCarry((old & mask) != 0);
      return change(operation, old, mask);
    }

    @Override
    boolean emit(RegionEmitter e) {
      return !locked
          && e.update(
              this,
              () -> {
                e.storeValue(size);
                e.loadValue(size);
                if (size != 8) {
                  e.b.i2l();
                }
                e.b.loadConstant(bit).lushr();
                e.arithmetic.setCarry();
                e.loadValue(size);
                e.change(operation, bit, size);
              });
    }
  }

  // ---- Scans and counts

  private static final class Scan extends Form.Source {
    final int destination;
    final boolean forward;

    Scan(Instruction i, boolean forward) {
      super(i, i.operandSize / 8);
      this.destination = i.reg;
      this.forward = forward;
    }

    @Override
    void execute(Cpu c) {
      long v = source(c);
      if (v == 0) {
        c.logicFlags(0);
        return;
      }
      int bit = forward ? Long.numberOfTrailingZeros(v) : 63 - Long.numberOfLeadingZeros(v);
      Operands.set(c, destination, size, bit);
      // Not zero whatever the bit; PF of its low byte.
      c.logicFlags(0x100 | bit);
    }
  }

  /// TZCNT and LZCNT.
  private static final class Count extends Form.Source {
    final int destination;
    final boolean trailing;

    Count(Instruction i, boolean trailing) {
      super(i, i.operandSize / 8);
      this.destination = i.reg;
      this.trailing = trailing;
    }

    @Override
    void execute(Cpu c) {
      long v = source(c);
      int bits = 8 * size;
      int count =
          trailing
              ? Math.min(bits, Long.numberOfTrailingZeros(v))
              : Long.numberOfLeadingZeros(v) - (64 - bits);
      Operands.set(c, destination, size, count);
      c.setArithmeticFlags((v == 0 ? Cpu.CF : 0) | (count == 0 ? Cpu.ZF : 0));
    }
  }

  private static final class PopulationCount extends Form.Source {
    final int destination;

    PopulationCount(Instruction i) {
      super(i, i.operandSize / 8);
      this.destination = i.reg;
    }

    @Override
    void execute(Cpu c) {
      long v = source(c);
      Operands.set(c, destination, size, Long.bitCount(v));
      c.setArithmeticFlags(v == 0 ? Cpu.ZF : 0);
    }
  }

  private static final class Crc32 extends Form.Source {
    final int destination;

    Crc32(Instruction i, int size) {
      super(i, size);
      this.destination = i.reg;
    }

    @Override
    void execute(Cpu c) {
      long v = source(c);
      int crc = (int) c.r[destination];
      for (int n = 0; n < size; n++) {
        crc = crc >>> 8 ^ CRC_TABLE[(crc ^ (int) v) & 0xFF];
        v >>>= 8;
      }
      c.r[destination] = crc & 0xFFFF_FFFFL;
    }
  }
}
