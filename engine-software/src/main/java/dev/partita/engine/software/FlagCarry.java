package dev.partita.engine.software;

/// {@link Cpu#flagCarry} after an operation, from its operands and result: for the interpreter and
/// the translator alike. Each is small enough for any compiler to put it in line.
final class FlagCarry {
  private static final long KEPT = 0xC000_0000_0000_0008L;

  private FlagCarry() {}

  /// The carry out of each bit of `r = a + b` (and carry in).
  static long carries(long a, long b, long r) {
    return (a & b) | ((a | b) & ~r);
  }

  /// Of `r = a + b` (and carry in), 64 bits.
  static long add64(long a, long b, long r) {
    return ((a & b) | ((a | b) & ~r)) & KEPT;
  }

  /// Of `r = a - b` (and borrow in), 64 bits.
  static long sub64(long a, long b, long r) {
    return ((~a & b) | ((~a | b) & r)) & KEPT;
  }

  /// Of `r = a + b` (and carry in), 32 bits.
  static long add32(int a, int b, int r) {
    int carry = (a & b) | ((a | b) & ~r);
    return (long) (carry & 0xC000_0000) << 32 | (carry & 8);
  }

  /// Of `r = a - b` (and borrow in), 32 bits.
  static long sub32(int a, int b, int r) {
    int carry = (~a & b) | ((~a | b) & r);
    return (long) (carry & 0xC000_0000) << 32 | (carry & 8);
  }

  /// Of `r = a + b` (and carry in), 8 or 16 bits.
  ///
  /// @param shift 64 minus the operand's size in bits
  static long addSmall(int a, int b, int r, int shift) {
    int carry = (a & b) | ((a | b) & ~r);
    return ((long) carry << shift & 3L << 62) | (carry & 8);
  }

  /// Of `r = a - b` (and borrow in), 8 or 16 bits.
  ///
  /// @param shift 64 minus the operand's size in bits
  static long subSmall(int a, int b, int r, int shift) {
    int carry = (~a & b) | ((~a | b) & r);
    return ((long) carry << shift & 3L << 62) | (carry & 8);
  }

  /// Of INC, any size.
  ///
  /// @param before what it was
  /// @param shift 64 minus the operand's size in bits
  static long increment(long before, long a, long r, int shift) {
    return Arithmetic.stepCarry(before, (~a & r) << shift, a ^ r);
  }

  /// Of DEC, any size.
  ///
  /// @param before what it was
  /// @param shift 64 minus the operand's size in bits
  static long decrement(long before, long a, long r, int shift) {
    return Arithmetic.stepCarry(before, (a & ~r) << shift, a ^ r);
  }

  /// Of SHL, any size.
  ///
  /// @param v the operand, moved up so that its top bit is bit 63
  /// @param count not 0, at most the operand's size
  static long shiftLeft(long v, int count) {
    return Shift.carryOverflow(v << count - 1 >>> 63, (v ^ v << 1) >>> 63);
  }

  /// Of SHR, any size.
  ///
  /// @param v the operand, zero-extended
  /// @param count not 0
  /// @param bits the operand's size
  static long shiftRight(long v, int count, int bits) {
    return Shift.carryOverflow(v >>> count - 1 & 1, v >>> bits - 1 & 1);
  }

  /// Of SAR, any size.
  ///
  /// @param v the operand, sign-extended
  /// @param count not 0
  static long shiftArithmetic(long v, int count) {
    return Shift.carryOverflow(v >> count - 1 & 1, 0);
  }

  /// Of ROL and ROR: CF and OF only.
  ///
  /// @param before what it was
  /// @param cf the new CF in bit 0; other bits are ignored
  /// @param of the new OF in bit 0, or -1 to keep it
  static long rotate(long before, long cf, long of) {
    long carry = cf & 1;
    long overflow = of < 0 ? (before ^ before << 1) >>> 63 : of;
    return (before & ~(3L << 62)) | Shift.carryOverflow(carry, overflow);
  }

  /// With another CF and the rest as before: BT and its like.
  ///
  /// @param cf the new CF in bit 0; other bits are ignored
  static long withCarry(long before, long cf) {
    // OF is the xor of the two top bits: flip both.
    return ((before >>> 63 ^ cf) & 1) != 0 ? before ^ 3L << 62 : before;
  }

  /// With OF, AF and PF clear.
  ///
  /// @param result what {@link Cpu#flagResult} is
  /// @param cf not 0: CF is set
  static long bits(long result, long cf) {
    // CF without OF sets both top bits; PF is cleared by making the parity odd.
    long even = ~Long.bitCount(result & 0xFF) & 1;
    return (cf != 0 ? 3L << 62 : 0) | even << 8;
  }

  /// What a shift by a variable count leaves.
  static long choose(int count, long shifted, long before) {
    return count != 0 ? shifted : before;
  }

  /// The parity flag.
  static boolean parity(long result, long carry) {
    int b = (int) (result ^ carry >>> 8) & 0xFF;
    return (Integer.bitCount(b) & 1) == 0;
  }
}
