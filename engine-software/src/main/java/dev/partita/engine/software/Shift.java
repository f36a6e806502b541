package dev.partita.engine.software;

/// What shifts and rotates compute, with their flags, in any size. Values are zero-extended.
///
/// What the architecture leaves undefined is as on Intel's processors, measured: AF is 0 after
/// shifts; OF follows for every count from the formula for a count of 1, in terms of the operand;
/// but ROL and ROR of a register by an immediate that is not 1 leave OF.
final class Shift {
  // The operations by their number in ModR/M.reg of group 2.
  static final int ROL = 0;
  static final int ROR = 1;
  static final int RCL = 2;
  static final int RCR = 3;
  static final int SHL = 4;
  static final int SHR = 5;
  static final int SAR = 7;

  private Shift() {}

  /// The count that is in force: 5 bits, or 6 with 64-bit operands.
  static int maskedCount(int count, int size) {
    return count & (size == 8 ? 63 : 31);
  }

  /// Computes one of the operations above and sets the flags, unless the count is 0.
  ///
  /// @param count masked
  /// @param size 1, 2, 4 or 8 bytes
  /// @param constant whether the count was an immediate
  static long apply(Cpu c, int operation, long v, int count, int size, boolean constant) {
    if (count == 0) {
      return v;
    }
    return switch (operation) {
      case ROL -> rotateLeft(c, v, count, size, constant);
      case ROR -> rotateRight(c, v, count, size, constant);
      case RCL -> rotateCarryLeft(c, v, count, size);
      case RCR -> rotateCarryRight(c, v, count, size);
      case SHR -> right(c, v, count, size);
      case SAR -> arithmeticRight(c, v, count, size);
      default -> left(c, v, count, size);
    };
  }

  /// {@link Cpu#flagCarry} of a CF and an OF, each in bit 0, with AF 0.
  static long carryOverflow(long cf, long of) {
    return cf << 63 | (cf ^ of) << 62;
  }

  /// Sets CF and OF (each in bit 0) and leaves the rest.
  private static void setCarryOverflow(Cpu c, long cf, long of) {
    c.flagCarry = (c.flagCarry & ~(3L << 62)) | carryOverflow(cf, of);
  }

  private static boolean keepsOverflow(int count, boolean constant) {
    return constant && count != 1;
  }

  /// OF as 0 or 1.
  static long overflow(Cpu c) {
    long f = c.flagCarry;
    return (f ^ f << 1) >>> 63;
  }

  private static void shiftFlags(Cpu c, long result, long cf, long of, int size) {
    c.flagResult = Operands.signExtend(result, size);
    c.flagCarry = carryOverflow(cf, of);
  }

  /// Top bit xor the one below: OF of a left shift.
  private static long topTwoDiffer(long v, int bits) {
    return (v >>> bits - 1 ^ v >>> bits - 2) & 1;
  }

  static long left(Cpu c, long v, int count, int size) {
    int bits = 8 * size;
    long cf = bits == 64 ? v >>> 64 - count & 1 : v << count >>> bits & 1;
    long r = v << count;
    shiftFlags(c, r, cf, topTwoDiffer(v, bits), size);
    return r;
  }

  static long right(Cpu c, long v, int count, int size) {
    long r = v >>> count;
    shiftFlags(c, r, v >>> count - 1 & 1, v >>> 8 * size - 1 & 1, size);
    return r;
  }

  static long arithmeticRight(Cpu c, long v, int count, int size) {
    long s = Operands.signExtend(v, size);
    long r = s >> count;
    shiftFlags(c, r, s >> count - 1 & 1, 0, size);
    return r;
  }

  static long rotateLeft(Cpu c, long v, int count, int size, boolean constant) {
    int bits = 8 * size;
    int n = count & bits - 1;
    long r = n == 0 ? v : (v << n | v >>> bits - n) & Operands.mask(size);
    setCarryOverflow(
        c, r & 1, keepsOverflow(count, constant) ? overflow(c) : topTwoDiffer(v, bits));
    return r;
  }

  static long rotateRight(Cpu c, long v, int count, int size, boolean constant) {
    int bits = 8 * size;
    int n = count & bits - 1;
    long r = n == 0 ? v : (v >>> n | v << bits - n) & Operands.mask(size);
    long of = keepsOverflow(count, constant) ? overflow(c) : (v ^ v >>> bits - 1) & 1;
    setCarryOverflow(c, r >>> bits - 1 & 1, of);
    return r;
  }

  static long rotateCarryLeft(Cpu c, long v, int count, int size) {
    int bits = 8 * size;
    int n = bits < 32 ? count % (bits + 1) : count;
    if (n == 0) {
      return v;
    }
    long cf = c.carryBit();
    long r = v << n | cf << n - 1;
    if (n > 1) {
      r |= v >>> bits + 1 - n;
    }
    setCarryOverflow(c, v >>> bits - n & 1, topTwoDiffer(v, bits));
    return r & Operands.mask(size);
  }

  static long rotateCarryRight(Cpu c, long v, int count, int size) {
    int bits = 8 * size;
    int n = bits < 32 ? count % (bits + 1) : count;
    if (n == 0) {
      return v;
    }
    long cf = c.carryBit();
    long r = v >>> n | cf << bits - n;
    if (n > 1) {
      r |= v << bits + 1 - n;
    }
    setCarryOverflow(c, v >>> n - 1 & 1, v >>> bits - 1 ^ cf);
    return r & Operands.mask(size);
  }

  /// SHLD. With 16 bits and a count above 16 the bits come from `v` again.
  ///
  /// @param from what is shifted in
  static long doubleLeft(Cpu c, long v, long from, int count, int size) {
    if (count == 0) {
      return v;
    }
    int bits = 8 * size;
    long r;
    long cf;
    if (size == 8) {
      r = v << count | from >>> 64 - count;
      cf = v >>> 64 - count & 1;
    } else if (size == 4) {
      long both = v << 32 | from;
      r = both << count >>> 32;
      cf = v >>> 32 - count & 1;
    } else {
      long three = v << 32 | from << 16 | v;
      r = three << count >>> 32 & 0xFFFF;
      cf = three << count >>> 48 & 1;
    }
    shiftFlags(c, r, cf, topTwoDiffer(v, bits), size);
    return r;
  }

  /// SHRD. With 16 bits and a count above 16 the bits come from `v` again.
  ///
  /// @param from what is shifted in
  static long doubleRight(Cpu c, long v, long from, int count, int size) {
    if (count == 0) {
      return v;
    }
    int bits = 8 * size;
    long r;
    long cf;
    if (size == 8) {
      r = v >>> count | from << 64 - count;
      cf = v >>> count - 1 & 1;
    } else if (size == 4) {
      r = (from << 32 | v) >>> count & 0xFFFF_FFFFL;
      cf = v >>> count - 1 & 1;
    } else {
      long three = v << 32 | from << 16 | v;
      r = three >>> count & 0xFFFF;
      cf = three >>> count - 1 & 1;
    }
    shiftFlags(c, r, cf, (from ^ v >>> bits - 1) & 1, size);
    return r;
  }
}
