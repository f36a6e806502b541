package dev.partita.engine.software;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// Multiplication and addition with one rounding. Quick in the usual case, as {@link SimdFloat};
/// else by integers with every rounding mode, exception and NaN, as {@link SoftFloat}.
///
/// Source: Intel SDM volume 1, 14.5.1 and 14.5.2 (FMA, rules for NaNs and infinities).
final class FusedArithmetic {
  /// What is negated; a NaN never is.
  static final int NEGATE_PRODUCT = 1;

  static final int NEGATE_ADDEND = 2;

  /// Whether the host multiplies and adds in one instruction. Where it does not, {@link Math#fma}
  /// works with big decimals, which is much slower than the integers here.
  private static final boolean IN_HARDWARE = inHardware();

  private FusedArithmetic() {}

  private static boolean inHardware() {
    if (!System.getProperty("os.arch", "").equals("amd64")) {
      return true;
    }
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(line -> line.startsWith("flags"))
          .findFirst()
          .map(line -> line.contains(" fma "))
          .orElse(true);
    } catch (IOException | UncheckedIOException e) {
      return true;
    }
  }

  /// Computes `a * b + s`.
  ///
  /// @param negate {@link #NEGATE_PRODUCT}, {@link #NEGATE_ADDEND}, both, or 0
  static long fuse64(Cpu c, long a, long b, long s, int negate) {
    if (IN_HARDWARE
        && SimdFloat.quickInexact(c.mxcsr)
        && SimdFloat.usual(a)
        && SimdFloat.usual(b)
        && SimdFloat.usual(s)) {
      double x = Double.longBitsToDouble(a ^ (long) negate << 63);
      double y = Double.longBitsToDouble(b);
      double z = Double.longBitsToDouble(s ^ (long) (negate >> 1) << 63);
      long bits = Double.doubleToRawLongBits(Math.fma(x, y, z));
      if (SimdFloat.large(bits)) {
        return bits;
      }
    }
    return fuse(c, SoftFloat.DOUBLE, a, b, s, negate);
  }

  static int fuse32(Cpu c, int a, int b, int s, int negate) {
    if (IN_HARDWARE
        && SimdFloat.quickInexact(c.mxcsr)
        && SimdFloat.usual(a)
        && SimdFloat.usual(b)
        && SimdFloat.usual(s)) {
      float x = Float.intBitsToFloat(a ^ negate << 31);
      float y = Float.intBitsToFloat(b);
      float z = Float.intBitsToFloat(s ^ negate >> 1 << 31);
      int bits = Float.floatToRawIntBits(Math.fma(x, y, z));
      if (SimdFloat.large(bits)) {
        return bits;
      }
    }
    return (int)
        fuse(
            c,
            SoftFloat.SINGLE,
            SimdFloat.unsigned(a),
            SimdFloat.unsigned(b),
            SimdFloat.unsigned(s),
            negate);
  }

  /// Computes `a * b + s` in a format of {@link SoftFloat}.
  static long fuse(Cpu c, int format, long a, long b, long s, int negate) {
    if (SoftFloat.isNan(format, a) || SoftFloat.isNan(format, b) || SoftFloat.isNan(format, s)) {
      return propagate(c, format, a, b, s);
    }
    a = SoftFloat.operand(c, format, a);
    b = SoftFloat.operand(c, format, b);
    s = SoftFloat.operand(c, format, s);
    boolean negative =
        (SoftFloat.negative(format, a) != SoftFloat.negative(format, b))
            != ((negate & NEGATE_PRODUCT) != 0);
    boolean negativeAddend = SoftFloat.negative(format, s) != ((negate & NEGATE_ADDEND) != 0);
    boolean infinite = SoftFloat.isInfinity(format, a) || SoftFloat.isInfinity(format, b);
    boolean zero = SoftFloat.isZero(format, a) || SoftFloat.isZero(format, b);
    if (infinite && (zero || (SoftFloat.isInfinity(format, s) && negative != negativeAddend))) {
      return SoftFloat.invalid(c, format);
    }
    SoftFloat.note(c, format, a);
    SoftFloat.note(c, format, b);
    SoftFloat.note(c, format, s);
    if (infinite) {
      return SoftFloat.signed(format, negative, SoftFloat.infinity(format));
    }
    if (SoftFloat.isInfinity(format, s)) {
      return SoftFloat.signed(format, negativeAddend, SoftFloat.infinity(format));
    }
    if (zero && SoftFloat.isZero(format, s)) {
      return SoftFloat.signed(
          format,
          negative == negativeAddend ? negative : SoftFloat.rounding(c) == SoftFloat.DOWN,
          0);
    }
    if (zero) {
      return SoftFloat.round(
          c,
          format,
          negativeAddend,
          SoftFloat.exponent(format, s),
          SoftFloat.significand(format, s) << 62 - format);
    }
    return sum(c, format, a, b, negative, s, negativeAddend);
  }

  private static long propagate(Cpu c, int format, long a, long b, long s) {
    if (SoftFloat.isSignalling(format, a)
        || SoftFloat.isSignalling(format, b)
        || SoftFloat.isSignalling(format, s)) {
      c.mxcsr |= SoftFloat.INVALID;
    }
    long nan = SoftFloat.isNan(format, a) ? a : SoftFloat.isNan(format, b) ? b : s;
    return nan | 1L << format - 1;
  }

  /// Adds a product that is not 0, exact in 128 bits, and an addend. Bit 124 stands for an exponent
  /// `e`: the product's leading one is there or one above, the addend's there. What is shifted out
  /// below stays as a one in bit 0; it is far below all bits of the result, as only operands with
  /// nearly the same exponent cancel, and those are shifted by less than the zeros they end in.
  private static long sum(
      Cpu c, int format, long a, long b, boolean negative, long s, boolean negativeAddend) {
    long sigA = SoftFloat.significand(format, a) << 62 - format;
    long sigB = SoftFloat.significand(format, b) << 62 - format;
    long high = Math.multiplyHigh(sigA, sigB);
    long low = sigA * sigB;
    int e = SoftFloat.exponent(format, a) + SoftFloat.exponent(format, b) - SoftFloat.bias(format);
    if (!SoftFloat.isZero(format, s)) {
      long sigS = SoftFloat.significand(format, s) << 62 - format;
      long highS = sigS >>> 2;
      long lowS = sigS << 62;
      int distance = e - SoftFloat.exponent(format, s);
      if (distance > 0) {
        lowS = shiftedLow(highS, lowS, distance);
        highS = distance < 64 ? highS >>> distance : 0;
      } else if (distance < 0) {
        low = shiftedLow(high, low, -distance);
        high = -distance < 64 ? high >>> -distance : 0;
        e -= distance;
      }
      if (negative == negativeAddend) {
        long sum = low + lowS;
        high += highS + (Long.compareUnsigned(sum, low) < 0 ? 1 : 0);
        low = sum;
      } else {
        high -= highS + (Long.compareUnsigned(low, lowS) < 0 ? 1 : 0);
        low -= lowS;
        if (high < 0) {
          negative = negativeAddend;
          high = low == 0 ? -high : ~high;
          low = -low;
        }
        if ((high | low) == 0) {
          return SoftFloat.signed(format, SoftFloat.rounding(c) == SoftFloat.DOWN, 0);
        }
      }
    }
    int zeros = high != 0 ? Long.numberOfLeadingZeros(high) : 64 + Long.numberOfLeadingZeros(low);
    // The leading one goes to bit 126.
    int shift = zeros - 1;
    if (shift >= 64) {
      high = low << shift - 64;
      low = 0;
    } else if (shift > 0) {
      high = high << shift | low >>> 64 - shift;
      low <<= shift;
    }
    return SoftFloat.round(c, format, negative, e + 3 - zeros, high | (low != 0 ? 1 : 0));
  }

  /// The low half of 128 bits shifted right by a positive number; bit 0 also stands for all that is
  /// lost.
  private static long shiftedLow(long high, long low, int n) {
    if (n >= 128) {
      return (high | low) != 0 ? 1 : 0;
    }
    if (n > 64) {
      return high >>> n - 64 | ((high << 128 - n | low) != 0 ? 1 : 0);
    }
    if (n == 64) {
      return high | (low != 0 ? 1 : 0);
    }
    return high << 64 - n | low >>> n | (low << 64 - n != 0 ? 1 : 0);
  }
}
