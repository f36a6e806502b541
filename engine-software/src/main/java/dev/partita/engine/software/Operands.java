package dev.partita.engine.software;

/// Registers and memory by a size given at run time, for operations too rare to have a class for
/// each width. Sizes are 1, 2, 4 or 8 bytes; values are zero-extended; 8-bit registers are numbered
/// as in {@link Cpu#get8}.
final class Operands {
  private Operands() {}

  static long get(Cpu c, int register, int size) {
    return switch (size) {
      case 1 -> c.get8(register);
      case 2 -> c.get16(register);
      case 4 -> c.r[register] & 0xFFFF_FFFFL;
      default -> c.r[register];
    };
  }

  /// Writes a register; 32 bits clear the upper half, 8 and 16 bits keep the rest.
  static void set(Cpu c, int register, int size, long value) {
    switch (size) {
      case 1 -> c.set8(register, (int) value);
      case 2 -> c.set16(register, (int) value);
      case 4 -> c.r[register] = value & 0xFFFF_FFFFL;
      default -> c.r[register] = value;
    }
  }

  static long load(Cpu c, long address, int size) {
    return switch (size) {
      case 1 -> c.load8(address);
      case 2 -> c.load16(address);
      case 4 -> c.load32(address) & 0xFFFF_FFFFL;
      default -> c.load64(address);
    };
  }

  static void store(Cpu c, long address, int size, long value) {
    switch (size) {
      case 1 -> c.store8(address, (int) value);
      case 2 -> c.store16(address, (int) value);
      case 4 -> c.store32(address, (int) value);
      default -> c.store64(address, value);
    }
  }

  static long signExtend(long value, int size) {
    int shift = 64 - 8 * size;
    return value << shift >> shift;
  }

  /// All ones in a value of a size.
  static long mask(int size) {
    return -1L >>> 64 - 8 * size;
  }

  /// The register number of ModR/M.rm for an operand size in bytes.
  static int rm(Instruction i, int size) {
    return size == 1 ? i.rm8() : i.rm;
  }

  /// The register number of ModR/M.reg for an operand size in bytes.
  static int reg(Instruction i, int size) {
    return size == 1 ? i.reg8() : i.reg;
  }
}
