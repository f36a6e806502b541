package dev.partita.engine.software;

/// SSE arithmetic on one element, quick in the usual case: rounding to nearest, all exceptions
/// masked, operands and result normal (or zero). Then Java's own operation gives the result, and
/// the only flag left is that for an inexact result, which needs no thought once it is set.
/// Everything else is {@link SoftFloat}'s.
///
/// An instruction calls {@link #begin}, works out all elements, calls {@link #end}, and only then
/// changes registers.
final class SimdFloat {
  static final int FLAGS = 0x3F;
  static final int MASKS = FLAGS << 7;

  /// Masks and rounding mode; denormals-are-zeros and flush-to-zero do not matter to the usual
  /// case.
  private static final int CONTROL = MASKS | 3 << 13;

  /// Exceptions found before the work: invalid, denormal, zero divide. Raised unmasked, they keep
  /// those found after it (overflow, underflow, precision) from being noted.
  private static final int BEFORE = SoftFloat.INVALID | SoftFloat.DENORMAL | SoftFloat.ZERO_DIVIDE;

  private SimdFloat() {}

  // ---- Exceptions

  /// Starts an instruction.
  ///
  /// @return what {@link #end} wants: MXCSR before
  static int begin(Cpu c) {
    int before = c.mxcsr;
    if ((before & MASKS) != MASKS) {
      // To see which exceptions this instruction raises, even if their flags are set already.
      c.mxcsr = before & ~FLAGS;
    }
    return before;
  }

  /// Ends the instruction's work.
  ///
  /// @throws GuestFault a SIMD floating-point exception that is not masked
  static void end(Cpu c, int before) {
    if ((before & MASKS) != MASKS) {
      settle(c, before);
    }
  }

  private static void settle(Cpu c, int before) {
    int raised = c.mxcsr & FLAGS;
    int unmasked = raised & ~(before >> 7);
    if ((unmasked & BEFORE) != 0) {
      raised &= BEFORE;
    }
    c.mxcsr = before | raised;
    if (unmasked != 0) {
      throw (c.cr4 & Cpu.CR4_OSXMMEXCPT) != 0
          ? c.raise(GuestFault.SIMD_FLOATING_POINT)
          : c.invalidOpcode();
    }
  }

  // ---- The usual case

  private static boolean quick(int mxcsr) {
    return (mxcsr & CONTROL) == MASKS;
  }

  /// Whether the flag for an inexact result is set already.
  private static boolean inexact(int mxcsr) {
    return (mxcsr & SoftFloat.PRECISION) != 0;
  }

  /// Whether the usual case is at hand and an inexact result needs no flag any more.
  static boolean quickInexact(int mxcsr) {
    return (mxcsr & (CONTROL | SoftFloat.PRECISION)) == (MASKS | SoftFloat.PRECISION);
  }

  /// Zero or a normal number.
  static boolean usual(long a) {
    return ((a >>> 52) + 1 & 0x7FE) != 0 || a << 1 == 0;
  }

  static boolean usual(int a) {
    return ((a >>> 23) + 1 & 0xFE) != 0 || a << 1 == 0;
  }

  /// A normal number so large that its rounding was never that of a tiny one.
  static boolean large(long r) {
    return ((r >>> 52) + 1 & 0x7FC) != 0;
  }

  static boolean large(int r) {
    return ((r >>> 23) + 1 & 0xFC) != 0;
  }

  /// Whether the product of two normal numbers needs no rounding: as many significant bits in both
  /// together as the format has.
  private static boolean exactProduct(double x, double y) {
    long a = Double.doubleToRawLongBits(x) & (1L << 52) - 1 | 1L << 52;
    long b = Double.doubleToRawLongBits(y) & (1L << 52) - 1 | 1L << 52;
    a >>>= Long.numberOfTrailingZeros(a);
    b >>>= Long.numberOfTrailingZeros(b);
    int bits = 128 - Long.numberOfLeadingZeros(a) - Long.numberOfLeadingZeros(b);
    return bits <= 53 || (bits == 54 && a * b < 1L << 53);
  }

  // The rounding error of a sum: Knuth, TAOCP volume 2, 4.2.2, theorem B.

  private static boolean exactSum(double x, double y, double sum) {
    double v = sum - x;
    return (x - (sum - v)) + (y - v) == 0;
  }

  private static boolean exactSum(float x, float y, float sum) {
    float v = sum - x;
    return (x - (sum - v)) + (y - v) == 0;
  }

  // ---- Double

  static long add64(Cpu c, long a, long b) {
    int m = c.mxcsr;
    if (quick(m) && usual(a) && usual(b)) {
      double x = Double.longBitsToDouble(a);
      double y = Double.longBitsToDouble(b);
      double r = x + y;
      long bits = Double.doubleToRawLongBits(r);
      if ((large(bits) || bits == 0) && (inexact(m) || exactSum(x, y, r))) {
        return bits;
      }
    }
    return SoftFloat.add(c, SoftFloat.DOUBLE, a, b);
  }

  static long subtract64(Cpu c, long a, long b) {
    int m = c.mxcsr;
    if (quick(m) && usual(a) && usual(b)) {
      double x = Double.longBitsToDouble(a);
      double y = -Double.longBitsToDouble(b);
      double r = x + y;
      long bits = Double.doubleToRawLongBits(r);
      if ((large(bits) || bits == 0) && (inexact(m) || exactSum(x, y, r))) {
        return bits;
      }
    }
    return SoftFloat.subtract(c, SoftFloat.DOUBLE, a, b);
  }

  static long multiply64(Cpu c, long a, long b) {
    int m = c.mxcsr;
    if (quick(m) && usual(a) && usual(b)) {
      double x = Double.longBitsToDouble(a);
      double y = Double.longBitsToDouble(b);
      long bits = Double.doubleToRawLongBits(x * y);
      if (large(bits) && (inexact(m) || exactProduct(x, y))) {
        return bits;
      }
    }
    return SoftFloat.multiply(c, SoftFloat.DOUBLE, a, b);
  }

  static long divide64(Cpu c, long a, long b) {
    int m = c.mxcsr;
    if (quick(m) && usual(a) && usual(b)) {
      double x = Double.longBitsToDouble(a);
      double y = Double.longBitsToDouble(b);
      double r = x / y;
      long bits = Double.doubleToRawLongBits(r);
      if (large(bits) && (inexact(m) || (r * y == x && exactProduct(r, y)))) {
        return bits;
      }
    }
    return SoftFloat.divide(c, SoftFloat.DOUBLE, a, b);
  }

  static long squareRoot64(Cpu c, long a) {
    int m = c.mxcsr;
    if (quick(m) && usual(a)) {
      double x = Double.longBitsToDouble(a);
      double r = Math.sqrt(x);
      long bits = Double.doubleToRawLongBits(r);
      if (large(bits) && (inexact(m) || (r * r == x && exactProduct(r, r)))) {
        return bits;
      }
    }
    return SoftFloat.squareRoot(c, SoftFloat.DOUBLE, a);
  }

  static long minimum64(Cpu c, long a, long b) {
    if (usual(a) && usual(b)) {
      return Double.longBitsToDouble(a) < Double.longBitsToDouble(b) ? a : b;
    }
    return SoftFloat.minimum(c, SoftFloat.DOUBLE, a, b);
  }

  static long maximum64(Cpu c, long a, long b) {
    if (usual(a) && usual(b)) {
      return Double.longBitsToDouble(a) > Double.longBitsToDouble(b) ? a : b;
    }
    return SoftFloat.maximum(c, SoftFloat.DOUBLE, a, b);
  }

  /// Compares: -1, 0, 1 or {@link SoftFloat#UNORDERED}.
  static int compare64(Cpu c, long a, long b, boolean signalling) {
    if (usual(a) && usual(b)) {
      double x = Double.longBitsToDouble(a);
      double y = Double.longBitsToDouble(b);
      return x < y ? -1 : x == y ? 0 : 1;
    }
    return SoftFloat.compare(c, SoftFloat.DOUBLE, a, b, signalling);
  }

  /// An instruction with two operands, by its opcode in map 0F.
  static long binary64(Cpu c, int op, long a, long b) {
    return switch (op) {
      case 0x51 -> squareRoot64(c, b);
      case 0x58 -> add64(c, a, b);
      case 0x59 -> multiply64(c, a, b);
      case 0x5C -> subtract64(c, a, b);
      case 0x5D -> minimum64(c, a, b);
      case 0x5E -> divide64(c, a, b);
      case 0x5F -> maximum64(c, a, b);
      default -> throw new IllegalArgumentException("not an arithmetic opcode: " + op);
    };
  }

  // ---- Single

  static int add32(Cpu c, int a, int b) {
    int m = c.mxcsr;
    if (quick(m) && usual(a) && usual(b)) {
      float x = Float.intBitsToFloat(a);
      float y = Float.intBitsToFloat(b);
      float r = x + y;
      int bits = Float.floatToRawIntBits(r);
      if ((large(bits) || bits == 0) && (inexact(m) || exactSum(x, y, r))) {
        return bits;
      }
    }
    return (int) SoftFloat.add(c, SoftFloat.SINGLE, unsigned(a), unsigned(b));
  }

  static int subtract32(Cpu c, int a, int b) {
    int m = c.mxcsr;
    if (quick(m) && usual(a) && usual(b)) {
      float x = Float.intBitsToFloat(a);
      float y = -Float.intBitsToFloat(b);
      float r = x + y;
      int bits = Float.floatToRawIntBits(r);
      if ((large(bits) || bits == 0) && (inexact(m) || exactSum(x, y, r))) {
        return bits;
      }
    }
    return (int) SoftFloat.subtract(c, SoftFloat.SINGLE, unsigned(a), unsigned(b));
  }

  // A double holds the exact product of two singles.

  static int multiply32(Cpu c, int a, int b) {
    int m = c.mxcsr;
    if (quick(m) && usual(a) && usual(b)) {
      double product = (double) Float.intBitsToFloat(a) * Float.intBitsToFloat(b);
      float r = (float) product;
      int bits = Float.floatToRawIntBits(r);
      if (large(bits) && (inexact(m) || r == product)) {
        return bits;
      }
    }
    return (int) SoftFloat.multiply(c, SoftFloat.SINGLE, unsigned(a), unsigned(b));
  }

  static int divide32(Cpu c, int a, int b) {
    int m = c.mxcsr;
    if (quick(m) && usual(a) && usual(b)) {
      float x = Float.intBitsToFloat(a);
      float y = Float.intBitsToFloat(b);
      float r = x / y;
      int bits = Float.floatToRawIntBits(r);
      if (large(bits) && (inexact(m) || (double) r * y == x)) {
        return bits;
      }
    }
    return (int) SoftFloat.divide(c, SoftFloat.SINGLE, unsigned(a), unsigned(b));
  }

  static int squareRoot32(Cpu c, int a) {
    int m = c.mxcsr;
    if (quick(m) && usual(a)) {
      float x = Float.intBitsToFloat(a);
      // Rounding twice does no harm: a double has more than twice the bits.
      float r = (float) Math.sqrt(x);
      int bits = Float.floatToRawIntBits(r);
      if (large(bits) && (inexact(m) || (double) r * r == x)) {
        return bits;
      }
    }
    return (int) SoftFloat.squareRoot(c, SoftFloat.SINGLE, unsigned(a));
  }

  static int minimum32(Cpu c, int a, int b) {
    if (usual(a) && usual(b)) {
      return Float.intBitsToFloat(a) < Float.intBitsToFloat(b) ? a : b;
    }
    return (int) SoftFloat.minimum(c, SoftFloat.SINGLE, unsigned(a), unsigned(b));
  }

  static int maximum32(Cpu c, int a, int b) {
    if (usual(a) && usual(b)) {
      return Float.intBitsToFloat(a) > Float.intBitsToFloat(b) ? a : b;
    }
    return (int) SoftFloat.maximum(c, SoftFloat.SINGLE, unsigned(a), unsigned(b));
  }

  static int compare32(Cpu c, int a, int b, boolean signalling) {
    if (usual(a) && usual(b)) {
      float x = Float.intBitsToFloat(a);
      float y = Float.intBitsToFloat(b);
      return x < y ? -1 : x == y ? 0 : 1;
    }
    return SoftFloat.compare(c, SoftFloat.SINGLE, unsigned(a), unsigned(b), signalling);
  }

  static int binary32(Cpu c, int op, int a, int b) {
    return switch (op) {
      case 0x51 -> squareRoot32(c, b);
      case 0x52 -> reciprocalSquareRoot(b);
      case 0x53 -> reciprocal(b);
      case 0x58 -> add32(c, a, b);
      case 0x59 -> multiply32(c, a, b);
      case 0x5C -> subtract32(c, a, b);
      case 0x5D -> minimum32(c, a, b);
      case 0x5E -> divide32(c, a, b);
      case 0x5F -> maximum32(c, a, b);
      default -> throw new IllegalArgumentException("not an arithmetic opcode: " + op);
    };
  }

  /// The same on both halves of a long.
  static long binary32x2(Cpu c, int op, long a, long b) {
    int low = binary32(c, op, (int) a, (int) b);
    return pair(low, binary32(c, op, (int) (a >>> 32), (int) (b >>> 32)));
  }

  static long unsigned(int a) {
    return a & 0xFFFF_FFFFL;
  }

  static long pair(int low, int high) {
    return low & 0xFFFF_FFFFL | (long) high << 32;
  }

  // ---- Approximations

  // RCPPS and RSQRTPS promise a relative error below 1.5 * 2^-12. Intel's processors all give the
  // same: the exact function in the middle of the interval of operands that share the leading 11
  // (10) bits of fraction, rounded to 12 bits. Neither looks at MXCSR nor raises an exception;
  // denormals count as zero.

  static int reciprocal(int a) {
    int sign = a & 0x8000_0000;
    int e = a >>> 23 & 0xFF;
    if (e == 0) {
      return sign | 0x7F80_0000;
    }
    if (e == 0xFF) {
      return a << 9 == 0 ? sign : a | 1 << 22;
    }
    // 2^13 / (1 + (i + 1/2) / 2^11), rounded: from 2^12 to 2^13.
    int divisor = 4097 + 2 * (a >>> 12 & 0x7FF);
    int significand = (1 << 26) / divisor + 1 >> 1;
    int exponent = 253 - e;
    return exponent <= 0 ? sign : sign | exponent << 23 | (significand & 0xFFF) << 11;
  }

  static int reciprocalSquareRoot(int a) {
    int sign = a & 0x8000_0000;
    int e = a >>> 23 & 0xFF;
    if (e == 0) {
      return sign | 0x7F80_0000;
    }
    if (e == 0xFF && a << 9 != 0) {
      return a | 1 << 22;
    }
    if (sign != 0) {
      return 0xFFC0_0000;
    }
    if (e == 0xFF) {
      return 0;
    }
    // In [1, 4), with an even exponent.
    double x = 1 + (2 * (a >>> 13 & 0x3FF) + 1) / 2048.0;
    if ((e & 1) == 0) {
      x += x;
    }
    int significand = (int) (8192 / Math.sqrt(x) + 0.5);
    return 126 - (e - 127 >> 1) << 23 | (significand & 0xFFF) << 11;
  }
}
