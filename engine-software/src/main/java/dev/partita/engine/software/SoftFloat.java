package dev.partita.engine.software;

/// IEEE 754 arithmetic in single and double format by integers: every rounding mode, exception
/// flag and NaN of the SSE instructions. {@link SimdFloat} takes the usual cases past this.
///
/// A number is its encoding, in the low bits of a long, upper bits 0. A format is named by the bits
/// of its fraction. MXCSR's control bits are read and its flags set in {@link Cpu#mxcsr}.
///
/// Source: Intel SDM volume 1, 4.8 and 4.9 (numbers, NaNs, exceptions), 10.2.3 (MXCSR), 11.5 (SSE
/// exceptions), 11.5.2.7 (order of conditions), appendix E.
final class SoftFloat {
  /// Half precision is only converted from and to.
  static final int HALF = 10;

  static final int SINGLE = 23;
  static final int DOUBLE = 52;

  // MXCSR: Intel SDM volume 1, figure 10-3.
  static final int INVALID = 1;
  static final int DENORMAL = 1 << 1;
  static final int ZERO_DIVIDE = 1 << 2;
  static final int OVERFLOW = 1 << 3;
  static final int UNDERFLOW = 1 << 4;
  static final int PRECISION = 1 << 5;
  static final int DENORMALS_ARE_ZEROS = 1 << 6;
  static final int OVERFLOW_MASK = 1 << 10;
  static final int UNDERFLOW_MASK = 1 << 11;
  static final int FLUSH_TO_ZERO = 1 << 15;

  /// Rounding modes, as in MXCSR.RC and the immediate of ROUNDSD.
  static final int NEAREST = 0;

  static final int DOWN = 1;
  static final int UP = 2;
  static final int ZERO = 3;

  private SoftFloat() {}

  // ---- Formats

  static int rounding(Cpu c) {
    return c.mxcsr >> 13 & 3;
  }

  static int bias(int format) {
    return format == DOUBLE ? 1023 : format == SINGLE ? 127 : 15;
  }

  private static int exponentMask(int format) {
    return format == DOUBLE ? 0x7FF : format == SINGLE ? 0xFF : 0x1F;
  }

  private static long signBit(int format) {
    return format == DOUBLE ? 1L << 63 : format == SINGLE ? 1L << 31 : 1L << 15;
  }

  static long infinity(int format) {
    return format == DOUBLE ? 0x7FF0_0000_0000_0000L : format == SINGLE ? 0x7F80_0000L : 0x7C00L;
  }

  private static long magnitude(int format, long a) {
    return a & signBit(format) - 1;
  }

  static long signed(int format, boolean negative, long magnitude) {
    return negative ? magnitude | signBit(format) : magnitude;
  }

  static boolean negative(int format, long a) {
    return (a & signBit(format)) != 0;
  }

  /// The default NaN: Intel SDM volume 1, table 4-3 ("QNaN floating-point indefinite").
  static long defaultNan(int format) {
    return format == DOUBLE ? 0xFFF8_0000_0000_0000L : 0xFFC0_0000L;
  }

  static boolean isNan(int format, long a) {
    return magnitude(format, a) > infinity(format);
  }

  static boolean isSignalling(int format, long a) {
    return isNan(format, a) && (a & 1L << format - 1) == 0;
  }

  static boolean isInfinity(int format, long a) {
    return magnitude(format, a) == infinity(format);
  }

  static boolean isZero(int format, long a) {
    return magnitude(format, a) == 0;
  }

  private static boolean isDenormal(int format, long a) {
    long m = magnitude(format, a);
    return m != 0 && m >>> format == 0;
  }

  /// Makes a denormal operand zero if MXCSR.DAZ says so.
  static long operand(Cpu c, int format, long a) {
    return (c.mxcsr & DENORMALS_ARE_ZEROS) != 0 && isDenormal(format, a) ? a & signBit(format) : a;
  }

  /// Notes a denormal operand, as {@link #operand} left it.
  static void note(Cpu c, int format, long a) {
    if (isDenormal(format, a)) {
      c.mxcsr |= DENORMAL;
    }
  }

  /// The exponent of a number that is not 0, as if the format had no denormals.
  static int exponent(int format, long a) {
    int e = (int) (a >>> format) & exponentMask(format);
    return e != 0 ? e : 1 - shiftToNormal(format, a);
  }

  private static int shiftToNormal(int format, long a) {
    return Long.numberOfLeadingZeros(magnitude(format, a)) - (63 - format);
  }

  /// The significand of a number that is not 0, the leading one at bit `format`.
  static long significand(int format, long a) {
    long fraction = a & (1L << format) - 1;
    return ((a >>> format) & exponentMask(format)) != 0
        ? fraction | 1L << format
        : fraction << shiftToNormal(format, a);
  }

  static long invalid(Cpu c, int format) {
    c.mxcsr |= INVALID;
    return defaultNan(format);
  }

  static long quiet(Cpu c, int format, long nan) {
    if (isSignalling(format, nan)) {
      c.mxcsr |= INVALID;
    }
    return nan | 1L << format - 1;
  }

  /// The result when an operand is a NaN: the first one that is, quieted.
  private static long propagate(Cpu c, int format, long a, long b) {
    if (isSignalling(format, a) || isSignalling(format, b)) {
      c.mxcsr |= INVALID;
    }
    return (isNan(format, a) ? a : b) | 1L << format - 1;
  }

  // ---- Rounding

  /// What is added before the bits below the result are cut off.
  ///
  /// @param extra number of those bits, 1 to 63
  private static long increment(int mode, boolean negative, int extra) {
    return switch (mode) {
      case NEAREST -> 1L << extra - 1;
      case ZERO -> 0;
      default -> (mode == DOWN) == negative ? (1L << extra) - 1 : 0;
    };
  }

  /// Shifts right, keeping in bit 0 whether a one was lost.
  private static long shiftSticky(long a, int n) {
    if (n == 0) {
      return a;
    }
    return n > 63 ? (a == 0 ? 0 : 1) : a >>> n | (a << 64 - n != 0 ? 1 : 0);
  }

  /// Rounds and encodes a number; notes overflow, underflow and inexactness.
  ///
  /// @param e biased exponent, of any size
  /// @param sig leading one at bit 62; bit 0 also stands for all below
  static long round(Cpu c, int format, boolean negative, int e, long sig) {
    return round(c, format, negative, e, sig, rounding(c), c.mxcsr & FLUSH_TO_ZERO);
  }

  /// @param flush not 0 to make tiny results zero
  private static long round(
      Cpu c, int format, boolean negative, int e, long sig, int mode, int flush) {
    int extra = 62 - format;
    long lost = (1L << extra) - 1;
    long increment = increment(mode, negative, extra);
    long sign = negative ? signBit(format) : 0;
    if (e <= 0) {
      // Tiny if it is below the least normal number when rounded with an exponent of any size.
      if (e < 0 || sig + increment >= 0) {
        if ((c.mxcsr & UNDERFLOW_MASK) == 0) {
          c.mxcsr |= (sig & lost) != 0 ? UNDERFLOW | PRECISION : UNDERFLOW;
          return sign;
        }
        if (flush != 0) {
          c.mxcsr |= UNDERFLOW | PRECISION;
          return sign;
        }
        sig = shiftSticky(sig, 1 - e);
        if ((sig & lost) != 0) {
          c.mxcsr |= UNDERFLOW | PRECISION;
        }
      } else {
        sig = shiftSticky(sig, 1);
        c.mxcsr |= (sig & lost) != 0 ? PRECISION : 0;
      }
      // Exponent field 0; a carry makes it 1, the least normal number.
      return sign | roundBits(sig, increment, extra, mode) >>> extra;
    }
    if ((sig & lost) != 0) {
      c.mxcsr |= PRECISION;
    }
    long rounded = roundBits(sig, increment, extra, mode);
    if (rounded < 0) {
      rounded >>>= 1;
      e++;
    }
    if (e >= exponentMask(format)) {
      if ((c.mxcsr & OVERFLOW_MASK) == 0) {
        c.mxcsr |= OVERFLOW;
        return sign;
      }
      c.mxcsr |= OVERFLOW | PRECISION;
      // Away from zero goes to infinity, towards it stops at the largest number.
      return sign | (increment == 0 ? infinity(format) - 1 : infinity(format));
    }
    return sign | (long) e << format | (rounded >>> extra) & (1L << format) - 1;
  }

  /// Adds the increment and clears the bits below; a tie goes to even.
  private static long roundBits(long sig, long increment, int extra, int mode) {
    long mask = (1L << extra) - 1;
    long r = sig + increment & ~mask;
    if (mode == NEAREST && (sig & mask) == increment) {
      r &= ~(1L << extra);
    }
    return r;
  }

  // ---- Arithmetic

  static long subtract(Cpu c, int format, long a, long b) {
    return isNan(format, b) ? propagate(c, format, a, b) : add(c, format, a, b ^ signBit(format));
  }

  static long add(Cpu c, int format, long a, long b) {
    if (isNan(format, a) || isNan(format, b)) {
      return propagate(c, format, a, b);
    }
    a = operand(c, format, a);
    b = operand(c, format, b);
    boolean negativeA = negative(format, a);
    boolean negativeB = negative(format, b);
    if (isInfinity(format, a) && isInfinity(format, b) && negativeA != negativeB) {
      return invalid(c, format);
    }
    note(c, format, a);
    note(c, format, b);
    if (isInfinity(format, a)) {
      return a;
    }
    if (isInfinity(format, b)) {
      return b;
    }
    if (isZero(format, a) || isZero(format, b)) {
      return addZero(c, format, a, b);
    }
    if (magnitude(format, a) < magnitude(format, b)) {
      long t = a;
      a = b;
      b = t;
      negativeA = negativeB;
    }
    int e = exponent(format, a);
    // Leading one at bit 61: room for a carry, and enough below for guard and sticky bits.
    long sigA = significand(format, a) << 61 - format;
    long sigB = shiftSticky(significand(format, b) << 61 - format, e - exponent(format, b));
    long sig = negative(format, a) == negative(format, b) ? sigA + sigB : sigA - sigB;
    if (sig == 0) {
      return rounding(c) == DOWN ? signBit(format) : 0;
    }
    int zeros = Long.numberOfLeadingZeros(sig);
    return round(c, format, negativeA, e + 2 - zeros, sig << zeros - 1);
  }

  private static long addZero(Cpu c, int format, long a, long b) {
    if (isZero(format, a) && isZero(format, b)) {
      return a == b ? a : rounding(c) == DOWN ? signBit(format) : 0;
    }
    long other = isZero(format, a) ? b : a;
    return round(
        c,
        format,
        negative(format, other),
        exponent(format, other),
        significand(format, other) << 62 - format);
  }

  static long multiply(Cpu c, int format, long a, long b) {
    if (isNan(format, a) || isNan(format, b)) {
      return propagate(c, format, a, b);
    }
    a = operand(c, format, a);
    b = operand(c, format, b);
    boolean negative = negative(format, a) != negative(format, b);
    long sign = negative ? signBit(format) : 0;
    boolean infinite = isInfinity(format, a) || isInfinity(format, b);
    boolean zero = isZero(format, a) || isZero(format, b);
    if (infinite && zero) {
      return invalid(c, format);
    }
    note(c, format, a);
    note(c, format, b);
    if (infinite) {
      return sign | infinity(format);
    }
    if (zero) {
      return sign;
    }
    long sigA = significand(format, a) << 62 - format;
    long sigB = significand(format, b) << 62 - format;
    long high = Math.multiplyHigh(sigA, sigB);
    long low = sigA * sigB;
    // The leading one is at bit 60 or 61 of the high half.
    int shift = Long.numberOfLeadingZeros(high) - 1;
    long sig = high << shift | low >>> 64 - shift | (low << shift != 0 ? 1 : 0);
    int e = exponent(format, a) + exponent(format, b) - bias(format) + 2 - shift;
    return round(c, format, negative, e, sig);
  }

  static long divide(Cpu c, int format, long a, long b) {
    if (isNan(format, a) || isNan(format, b)) {
      return propagate(c, format, a, b);
    }
    a = operand(c, format, a);
    b = operand(c, format, b);
    boolean negative = negative(format, a) != negative(format, b);
    long sign = negative ? signBit(format) : 0;
    boolean infiniteA = isInfinity(format, a);
    boolean infiniteB = isInfinity(format, b);
    boolean zeroA = isZero(format, a);
    boolean zeroB = isZero(format, b);
    if (infiniteA && infiniteB || zeroA && zeroB) {
      return invalid(c, format);
    }
    if (zeroB) {
      // Goes before a denormal dividend.
      c.mxcsr |= infiniteA ? 0 : ZERO_DIVIDE;
      return sign | infinity(format);
    }
    note(c, format, a);
    note(c, format, b);
    if (infiniteA) {
      return sign | infinity(format);
    }
    if (zeroA || infiniteB) {
      return sign;
    }
    int e = exponent(format, a) - exponent(format, b) + bias(format);
    long dividend = significand(format, a);
    long divisor = significand(format, b);
    if (dividend < divisor) {
      dividend <<= 1;
      e--;
    }
    // The quotient is in [1, 2): its first bit, then six times ten.
    long quotient = 1;
    long remainder = dividend - divisor;
    for (int k = 0; k < 6; k++) {
      remainder <<= 10;
      quotient = quotient << 10 | remainder / divisor;
      remainder %= divisor;
    }
    return round(c, format, negative, e, quotient << 2 | (remainder != 0 ? 1 : 0));
  }

  static long squareRoot(Cpu c, int format, long a) {
    if (isNan(format, a)) {
      return quiet(c, format, a);
    }
    a = operand(c, format, a);
    if (isZero(format, a)) {
      return a;
    }
    if (negative(format, a)) {
      return invalid(c, format);
    }
    note(c, format, a);
    if (isInfinity(format, a)) {
      return a;
    }
    int e = exponent(format, a) - bias(format);
    // In [1, 4) with an even exponent; bits 63:62 are the first digit of base four.
    long radicand = significand(format, a) << 62 - format + (e & 1);
    long root = 0;
    long remainder = 0;
    for (int k = 0; k < 56; k++) {
      remainder = remainder << 2 | radicand >>> 62;
      radicand <<= 2;
      long trial = root << 2 | 1;
      root <<= 1;
      if (remainder >= trial) {
        remainder -= trial;
        root |= 1;
      }
    }
    return round(c, format, false, (e >> 1) + bias(format), root << 7 | (remainder != 0 ? 1 : 0));
  }

  /// MIN: the second operand unless the first is less.
  static long minimum(Cpu c, int format, long a, long b) {
    return select(c, format, a, b, -1);
  }

  static long maximum(Cpu c, int format, long a, long b) {
    return select(c, format, a, b, 1);
  }

  private static long select(Cpu c, int format, long a, long b, int wanted) {
    if (isNan(format, a) || isNan(format, b)) {
      c.mxcsr |= INVALID;
      return operand(c, format, b);
    }
    a = operand(c, format, a);
    b = operand(c, format, b);
    note(c, format, a);
    note(c, format, b);
    return order(format, a, b) == wanted ? a : b;
  }

  // ---- Comparison

  static final int UNORDERED = 2;

  /// Compares: -1, 0, 1 or {@link #UNORDERED}.
  ///
  /// @param signalling a quiet NaN is an invalid operand too
  static int compare(Cpu c, int format, long a, long b, boolean signalling) {
    if (isNan(format, a) || isNan(format, b)) {
      if (signalling || isSignalling(format, a) || isSignalling(format, b)) {
        c.mxcsr |= INVALID;
      }
      return UNORDERED;
    }
    a = operand(c, format, a);
    b = operand(c, format, b);
    note(c, format, a);
    note(c, format, b);
    return order(format, a, b);
  }

  /// Orders numbers that are not NaNs.
  private static int order(int format, long a, long b) {
    long x = magnitude(format, a);
    long y = magnitude(format, b);
    return Long.compare(negative(format, a) ? -x : x, negative(format, b) ? -y : y);
  }

  // ---- Conversion

  /// Rounds to an integral value in the same format. Denormal operands are not noted.
  ///
  /// @param inexact the flag for an inexact result: {@link #PRECISION} or 0
  static long roundToIntegral(Cpu c, int format, long a, int mode, int inexact) {
    if (isNan(format, a)) {
      return quiet(c, format, a);
    }
    a = operand(c, format, a);
    int e = (int) (a >>> format) & exponentMask(format);
    int fractionBits = format + bias(format) - e;
    if (fractionBits <= 0 || isZero(format, a)) {
      return a;
    }
    c.mxcsr |= fractionBits > format || (a & (1L << fractionBits) - 1) != 0 ? inexact : 0;
    boolean negative = negative(format, a);
    if (fractionBits > format) {
      // Below 1: the result is 0 or 1.
      boolean one =
          switch (mode) {
            case NEAREST -> fractionBits == format + 1 && (a & (1L << format) - 1) != 0;
            case ZERO -> false;
            default -> (mode == DOWN) == negative;
          };
      return a & signBit(format) | (one ? (long) bias(format) << format : 0);
    }
    // A carry out of the fraction goes into the exponent, as it should.
    return roundBits(a, increment(mode, negative, fractionBits), fractionBits, mode);
  }

  /// Converts to a signed integer.
  ///
  /// @param width 32 or 64
  /// @return sign-extended; the integer indefinite (the least number) if it does not fit
  static long toInteger(Cpu c, int format, long a, int mode, int width) {
    long indefinite = -1L << width - 1;
    a = operand(c, format, a);
    if (isZero(format, a)) {
      return 0;
    }
    int e = ((int) (a >>> format) & exponentMask(format)) - bias(format);
    if (isNan(format, a) || e > 63) {
      c.mxcsr |= INVALID;
      return indefinite;
    }
    boolean negative = negative(format, a);
    long sig = a & (1L << format) - 1 | 1L << format;
    long value;
    boolean inexact = false;
    if (e >= format) {
      value = sig << e - format;
    } else {
      // One bit of fraction more than there can be room for tells all that lies below.
      int extra = Math.min(format - e, format + 2);
      long whole = extra > format + 1 ? 1 : sig;
      inexact = (whole & (1L << extra) - 1) != 0;
      value = roundBits(whole, increment(mode, negative, extra), extra, mode) >>> extra;
    }
    // The magnitude is unsigned here: up to 2^64 - 1.
    long limit = negative ? 1L << width - 1 : (1L << width - 1) - 1;
    if (Long.compareUnsigned(value, limit) > 0) {
      c.mxcsr |= INVALID;
      return indefinite;
    }
    c.mxcsr |= inexact ? PRECISION : 0;
    return negative ? -value : value;
  }

  static long fromInteger(Cpu c, int format, long value) {
    if (value == 0) {
      return 0;
    }
    boolean negative = value < 0;
    long m = negative ? -value : value;
    int zeros = Long.numberOfLeadingZeros(m);
    // Leading one at bit 62; only the magnitude 2^63 has it above, and nothing below.
    long sig = zeros == 0 ? m >>> 1 : m << zeros - 1;
    return round(c, format, negative, bias(format) + 63 - zeros, sig);
  }

  /// Single to double.
  static long widen(Cpu c, long a) {
    long sign = (a & 1L << 31) << 32;
    if (isNan(SINGLE, a)) {
      return sign | infinity(DOUBLE) | (quiet(c, SINGLE, a) & (1 << 23) - 1) << 29;
    }
    a = operand(c, SINGLE, a);
    note(c, SINGLE, a);
    if (isZero(SINGLE, a)) {
      return sign;
    }
    if (isInfinity(SINGLE, a)) {
      return sign | infinity(DOUBLE);
    }
    long e = exponent(SINGLE, a) + 1023 - 127;
    return sign | e << 52 | (significand(SINGLE, a) & (1 << 23) - 1) << 29;
  }

  /// Double to single.
  static long narrow(Cpu c, long a) {
    long sign = a >>> 32 & 1L << 31;
    if (isNan(DOUBLE, a)) {
      return sign | infinity(SINGLE) | quiet(c, DOUBLE, a) >>> 29 & (1 << 23) - 1;
    }
    a = operand(c, DOUBLE, a);
    note(c, DOUBLE, a);
    if (isZero(DOUBLE, a)) {
      return sign;
    }
    if (isInfinity(DOUBLE, a)) {
      return sign | infinity(SINGLE);
    }
    return round(
        c, SINGLE, sign != 0, exponent(DOUBLE, a) - 1023 + 127, significand(DOUBLE, a) << 10);
  }

  /// Half to single: exact. Denormals are neither noted nor made zero.
  static long widenHalf(Cpu c, long a) {
    long sign = (a & 1 << 15) << 16;
    if (isNan(HALF, a)) {
      return sign | infinity(SINGLE) | (quiet(c, HALF, a) & (1 << 10) - 1) << 13;
    }
    if (isZero(HALF, a)) {
      return sign;
    }
    if (isInfinity(HALF, a)) {
      return sign | infinity(SINGLE);
    }
    long e = exponent(HALF, a) + 127 - 15;
    return sign | e << 23 | (significand(HALF, a) & (1 << 10) - 1) << 13;
  }

  /// Single to half. Tiny results are never made zero.
  static long narrowHalf(Cpu c, long a, int mode) {
    long sign = a >>> 16 & 1 << 15;
    if (isNan(SINGLE, a)) {
      return sign | infinity(HALF) | quiet(c, SINGLE, a) >>> 13 & (1 << 10) - 1;
    }
    a = operand(c, SINGLE, a);
    note(c, SINGLE, a);
    if (isZero(SINGLE, a)) {
      return sign;
    }
    if (isInfinity(SINGLE, a)) {
      return sign | infinity(HALF);
    }
    if (isDenormal(SINGLE, a)) {
      // Below all halves; Intel's processors say so even if underflow is not masked.
      c.mxcsr |= PRECISION;
    }
    int e = exponent(SINGLE, a) - 127 + 15;
    return round(c, HALF, sign != 0, e, significand(SINGLE, a) << 39, mode, 0);
  }
}
