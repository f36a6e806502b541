package dev.partita.engine.software;

import static dev.partita.engine.software.ExtendedArithmetic.BIAS;
import static dev.partita.engine.software.ExtendedArithmetic.INFINITY;
import static dev.partita.engine.software.ExtendedArithmetic.INTEGER_BIT;
import static dev.partita.engine.software.ExtendedArithmetic.MAX_EXPONENT;
import static dev.partita.engine.software.ExtendedArithmetic.SIGN;

/// The exact functions of the x87 unit beyond the four operations: remainders, scaling, splitting,
/// rounding to an integer. Intel SDM volume 2, FPREM, FPREM1, FSCALE, FXTRACT, FRNDINT.
final class ExtendedFunctions {
  /// Beyond any exponent: where FSCALE's second operand stops to matter.
  private static final int LARGEST_SCALE = 0x1_8000;

  private ExtendedFunctions() {}

  /// A step of the remainder of a by b.
  ///
  /// @param nearest round the quotient to nearest (FPREM1), else truncate it (FPREM)
  /// @return condition codes: C2 if the reduction is not complete, else C0, C3, C1 are bits 2, 1, 0
  ///     of the quotient; -1 if there is none
  static int remainder(ExtendedArithmetic u, int ae, long as, int be, long bs, boolean nearest) {
    if (u.settleNans(ae, as, be, bs)) {
      return -1;
    }
    if (ExtendedArithmetic.classify(ae, as) == INFINITY || bs == 0) {
      u.invalid();
      return -1;
    }
    u.noteDenormals(ae, as, be, bs);
    if (as == 0) {
      u.set(ae, as);
      return 0;
    }
    boolean negative = (ae & SIGN) != 0;
    u.normalize(ae, as);
    int ea = u.normalExponent;
    long a = u.normalSignificand;
    if (ExtendedArithmetic.classify(be, bs) == INFINITY) {
      u.roundFull(negative, ea, a, 0);
      return 0;
    }
    u.normalize(be, bs);
    int eb = u.normalExponent;
    long b = u.normalSignificand;
    int distance = ea - eb;
    if (distance < -1 || (distance < 0 && !nearest)) {
      u.roundFull(negative, ea, a, 0);
      return 0;
    }
    if (distance >= 64) {
      // Each step reduces the exponent by 32 to 63, as the processor's own does.
      int steps = distance & 31 | 32;
      long r = a;
      for (int i = 0; i <= steps; i++) {
        r = reduce(r, b, i == 0);
      }
      result(u, negative, eb + distance - steps, r);
      return X87.C2;
    }
    long r = a;
    long quotient = 0;
    int e = ea;
    if (distance >= 0) {
      e = eb;
      for (int i = 0; i <= distance; i++) {
        long before = i == 0 ? r : r << 1;
        boolean subtracted = (i != 0 && r < 0) || Long.compareUnsigned(before, b) >= 0;
        quotient = quotient << 1 | (subtracted ? 1 : 0);
        r = subtracted ? before - b : before;
      }
    }
    if (nearest) {
      // Compare with half of b: r at exponent e, b at eb.
      boolean more;
      if (distance < 0) {
        more = Long.compareUnsigned(r, b) > 0;
        if (more) {
          // 2 b - r at a's exponent, modulo 2^64.
          r = (b << 1) - r;
        }
      } else {
        int half = Long.compareUnsigned(r, b - r);
        more = half > 0 || (half == 0 && (quotient & 1) != 0);
        if (more) {
          r = b - r;
        }
      }
      if (more) {
        quotient++;
        negative = !negative;
      }
    }
    if (r == 0) {
      u.zero((ae & SIGN) != 0);
    } else {
      result(u, negative, e, r);
    }
    return ((quotient & 4) != 0 ? X87.C0 : 0)
        | ((quotient & 2) != 0 ? X87.C3 : 0)
        | ((quotient & 1) != 0 ? X87.C1 : 0);
  }

  private static long reduce(long r, long b, boolean first) {
    long before = first ? r : r << 1;
    boolean subtract = (!first && r < 0) || Long.compareUnsigned(before, b) >= 0;
    return subtract ? before - b : before;
  }

  private static void result(ExtendedArithmetic u, boolean negative, int e, long r) {
    if (r == 0) {
      u.zero(negative);
      return;
    }
    int shift = Long.numberOfLeadingZeros(r);
    u.roundFull(negative, e - shift, r << shift, 0);
  }

  /// a times 2 to the power of the integer part of b.
  static void scale(ExtendedArithmetic u, int ae, long as, int be, long bs) {
    if (u.settleNans(ae, as, be, bs)) {
      return;
    }
    boolean negative = (ae & SIGN) != 0;
    boolean infinite = ExtendedArithmetic.classify(ae, as) == INFINITY;
    if (ExtendedArithmetic.classify(be, bs) == INFINITY) {
      boolean down = (be & SIGN) != 0;
      if (down ? infinite : as == 0) {
        u.invalid();
        return;
      }
      u.noteDenormals(ae, as, be, bs);
      if (down) {
        u.zero(negative);
      } else {
        u.infinity(negative);
      }
      return;
    }
    u.noteDenormals(ae, as, be, bs);
    if (infinite || as == 0) {
      u.set(ae, as);
      return;
    }
    int scale = (be & MAX_EXPONENT) - BIAS;
    int n;
    if (bs == 0 || scale < 0) {
      n = 0;
    } else if (scale > 16) {
      n = LARGEST_SCALE;
    } else {
      n = Math.min((int) (bs >>> 63 - scale), LARGEST_SCALE);
    }
    u.normalize(ae, as);
    int e = u.normalExponent + ((be & SIGN) != 0 ? -n : n);
    u.roundFull(negative, e, u.normalSignificand, 0);
  }

  /// Rounds to an integer.
  static void toIntegral(ExtendedArithmetic u, int ae, long as) {
    if (u.settleNan(ae, as)) {
      return;
    }
    u.noteDenormal(ae, as);
    int scale = (ae & MAX_EXPONENT) - BIAS;
    if (as == 0 || scale >= 63) {
      u.set(ae, as);
      return;
    }
    boolean negative = (ae & SIGN) != 0;
    if (scale < 0) {
      long one = u.roundAt(negative, 0, scale == -1 ? as : 1, 0);
      u.set(one == 0 ? ae & SIGN : ae & SIGN | BIAS, one == 0 ? 0 : INTEGER_BIT);
    } else {
      long kept = u.roundAt(negative, as, 0, 63 - scale);
      u.set(u.carried ? ae + 1 : ae, kept);
    }
    if (u.inexact) {
      u.flags |= X87.PRECISION;
    }
  }

  /// The exponent part of FXTRACT, as a value; the significand part is {@link #fraction}.
  static void exponentOf(ExtendedArithmetic u, int ae, long as) {
    if (u.settleNan(ae, as)) {
      return;
    }
    if (as == 0) {
      u.flags |= X87.ZERO_DIVIDE;
      u.infinity(true);
      return;
    }
    u.noteDenormal(ae, as);
    if (ExtendedArithmetic.classify(ae, as) == INFINITY) {
      u.infinity(false);
      return;
    }
    u.normalize(ae, as);
    ExtendedConversions.fromInteger(u, u.normalExponent - BIAS);
  }

  /// The significand part of FXTRACT: the value with the exponent of one.
  static void fraction(ExtendedArithmetic u, int ae, long as) {
    if (ExtendedArithmetic.classify(ae, as) >= INFINITY) {
      if (!u.settleNan(ae, as)) {
        u.set(ae, as);
      }
    } else if (as == 0) {
      u.set(ae, as);
    } else {
      u.normalize(ae, as);
      u.set(ae & SIGN | BIAS, u.normalSignificand);
    }
  }
}
