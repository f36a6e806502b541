package dev.partita.engine.software;

/// What the two-operand arithmetic instructions and INC, DEC, NEG compute, with their flags, in any
/// size. Operands are zero-extended or have any bits above the size; so has the result.
final class Arithmetic {
  // The operations by their number in opcode bits 5:3 and in ModR/M.reg of group 1.
  static final int ADD = 0;
  static final int OR = 1;
  static final int ADC = 2;
  static final int SBB = 3;
  static final int AND = 4;
  static final int SUB = 5;
  static final int XOR = 6;
  static final int CMP = 7;

  /// AND without a result; not an encoding.
  static final int TEST = 8;

  private Arithmetic() {}

  /// Computes one of the operations above and sets the flags.
  ///
  /// @param size 1, 2, 4 or 8 bytes
  static long apply(Cpu c, int operation, long a, long b, int size) {
    return switch (operation) {
      case ADD -> add(c, a, b, 0, size);
      case ADC -> add(c, a, b, c.carryBit(), size);
      case SUB, CMP -> subtract(c, a, b, 0, size);
      case SBB -> subtract(c, a, b, c.carryBit(), size);
      case OR -> logic(c, a | b, size);
      case XOR -> logic(c, a ^ b, size);
      default -> logic(c, a & b, size);
    };
  }

  /// Whether an operation only sets flags.
  static boolean comparesOnly(int operation) {
    return operation >= CMP;
  }

  static long add(Cpu c, long a, long b, int carry, int size) {
    long r = a + b + carry;
    long v = (a & b) | ((a | b) & ~r);
    int shift = 64 - 8 * size;
    c.flagResult = r << shift >> shift;
    c.flagCarry = (v << shift & 3L << 62) | (v & 8);
    return r;
  }

  static long subtract(Cpu c, long a, long b, int borrow, int size) {
    long r = a - b - borrow;
    long v = (~a & b) | ((~a | b) & r);
    int shift = 64 - 8 * size;
    c.flagResult = r << shift >> shift;
    c.flagCarry = (v << shift & 3L << 62) | (v & 8);
    return r;
  }

  static long logic(Cpu c, long r, int size) {
    c.logicFlags(Operands.signExtend(r, size));
    return r;
  }

  /// INC: CF stays.
  static long increment(Cpu c, long a, int size) {
    long r = a + 1;
    stepFlags(c, a, r, ~a & r, size);
    return r;
  }

  /// DEC: CF stays.
  static long decrement(Cpu c, long a, int size) {
    long r = a - 1;
    stepFlags(c, a, r, a & ~r, size);
    return r;
  }

  /// The flags of INC and DEC.
  ///
  /// @param overflow its sign bit is OF
  private static void stepFlags(Cpu c, long a, long r, long overflow, int size) {
    int shift = 64 - 8 * size;
    c.flagResult = r << shift >> shift;
    c.flagCarry = stepCarry(c.flagCarry, overflow << shift, a ^ r);
  }

  /// {@link Cpu#flagCarry} after INC or DEC.
  ///
  /// @param before what it was
  /// @param overflow bit 63 is OF
  /// @param changed old value xor new value: a carry or borrow out of bit 3 flips bit 4
  static long stepCarry(long before, long overflow, long changed) {
    long carry = before & 1L << 63;
    return (carry | carry >>> 1) ^ (overflow >>> 1 & 1L << 62) | (changed >>> 1 & 8);
  }
}
