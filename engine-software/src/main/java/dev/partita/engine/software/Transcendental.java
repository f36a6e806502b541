package dev.partita.engine.software;

import static dev.partita.engine.software.ExtendedArithmetic.BIAS;
import static dev.partita.engine.software.ExtendedArithmetic.INFINITY;
import static dev.partita.engine.software.ExtendedArithmetic.INTEGER_BIT;
import static dev.partita.engine.software.ExtendedArithmetic.MAX_EXPONENT;
import static dev.partita.engine.software.ExtendedArithmetic.SIGN;

/// The transcendental functions of the x87 unit: Intel SDM volume 1, 8.3.7 to 8.3.10, special cases
/// from volume 2. Series in {@link Wide} numbers give well over 64 correct bits; the last bit may
/// differ from a given processor's, as it does between processors.
final class Transcendental {
  /// Arguments from 2^63 on are out of range for sine, cosine and tangent.
  private static final int RANGE = BIAS + 63;

  /// Below 2^-68 the processor takes x for its sine and 1 for its cosine in every rounding mode.
  private static final int TINY = BIAS - 68;

  // Half of the processor's pi, in units of 2^-65: pi cut to 66 bits (SDM volume 1, 8.3.8).
  private static final long HALF_PI_HIGH = 0x3;
  private static final long HALF_PI_LOW = 0x243F_6A88_85A3_08D3L;

  /// The arc tangents of 1/8 to 8/8.
  private static final Wide[] ARC_TANGENTS = {
    new Wide(false, -4, 0xFEAD_D4D5_617B_6E32L, 0xC897_989F_3E88_8EF8L),
    new Wide(false, -3, 0xFADB_AFC9_6406_EB15L, 0x6DC7_9EF5_F7A2_17E6L),
    new Wide(false, -2, 0xB7B0_CA0F_26F7_8473L, 0x8AA3_2122_DCFE_4483L),
    new Wide(false, -2, 0xED63_382B_0DDA_7B45L, 0x6FE4_45EC_BC3A_8D03L),
    new Wide(false, -1, 0x8F00_5D5E_F7F5_9F9BL, 0x5C83_5E16_65C4_3748L),
    new Wide(false, -1, 0xA4BC_7D19_34F7_0924L, 0x19A8_7F2A_457D_AC9FL),
    new Wide(false, -1, 0xB805_3E2B_C231_9E73L, 0xCB2D_A552_10A4_443DL),
    new Wide(false, -1, 0xC90F_DAA2_2168_C234L, 0xC4C6_628B_80DC_1CD1L)
  };

  private Transcendental() {}

  /// Rounds a value that stands for one with more bits: the result is inexact.
  private static void inexact(ExtendedArithmetic u, Wide w) {
    u.roundFull(w.negative(), w.exponent() + BIAS, w.high(), w.low() | 1);
  }

  /// An argument outside the range that the manual defines: it comes back.
  private static void undefined(ExtendedArithmetic u, int e, long s) {
    u.flags |= X87.PRECISION;
    u.set(e, s);
  }

  // ---- Sine, cosine, tangent
  // ------------------------------------------------------------------------

  /// Whether an argument is finite and too large to be reduced: C2.
  static boolean outOfRange(int ae, long as) {
    int e = ae & MAX_EXPONENT;
    return e >= RANGE && e != MAX_EXPONENT && as < 0;
  }

  /// An argument less a multiple of half pi, at most a quarter pi in magnitude.
  ///
  /// @param quadrant the multiple, modulo 4
  private record Reduced(Wide rest, int quadrant) {}

  /// Reduces a finite argument in range that is not zero; exact, with the processor's pi.
  private static Reduced reduce(int ae, long as) {
    boolean negative = (ae & SIGN) != 0;
    int e = (ae & MAX_EXPONENT) - BIAS;
    if (e < -2) {
      return new Reduced(Wide.ofExtended(ae, as), 0);
    }
    // The argument is as * 2^(e + 2) in units of 2^-65. Two words hold what is below 2^67.
    long high = 0;
    long low = as;
    int quadrant = 0;
    for (int i = e + 2; ; i--) {
      // At most twice the divisor here, but for the first step, which is 2^64 at most.
      while (high > HALF_PI_HIGH
          || (high == HALF_PI_HIGH && Long.compareUnsigned(low, HALF_PI_LOW) >= 0)) {
        long borrow = Long.compareUnsigned(low, HALF_PI_LOW) < 0 ? 1 : 0;
        low -= HALF_PI_LOW;
        high -= HALF_PI_HIGH + borrow;
        quadrant++;
      }
      if (i == 0) {
        break;
      }
      high = high << 1 | low >>> 63;
      low <<= 1;
      quadrant <<= 1;
    }
    // To the nearest multiple: compare with half pi less the rest.
    long otherLow = HALF_PI_LOW - low;
    long otherHigh = HALF_PI_HIGH - high - (Long.compareUnsigned(HALF_PI_LOW, low) < 0 ? 1 : 0);
    boolean beyond =
        high > otherHigh || (high == otherHigh && Long.compareUnsigned(low, otherLow) > 0);
    Wide rest;
    if (beyond) {
      quadrant++;
      rest = Wide.normalized(!negative, 127 - 65, otherHigh, otherLow);
    } else {
      rest = Wide.normalized(negative, 127 - 65, high, low);
    }
    return new Reduced(rest, (negative ? -quadrant : quadrant) & 3);
  }

  /// The sine of at most a quarter pi, by its Taylor series.
  private static Wide sine(Wide x) {
    var square = x.times(x);
    var term = x;
    var sum = x;
    for (int n = 2; significant(term, sum); n += 2) {
      term = term.times(square).dividedBy(n * (n + 1)).negate();
      sum = sum.plus(term);
    }
    // Below the argument, even where the difference is too small for this format.
    return sum.equals(x) ? sum.below() : sum;
  }

  private static Wide cosine(Wide x) {
    var square = x.times(x);
    var term = Wide.ONE;
    var sum = Wide.ONE;
    for (int n = 1; significant(term, sum); n += 2) {
      term = term.times(square).dividedBy(n * (n + 1)).negate();
      sum = sum.plus(term);
    }
    return sum.equals(Wide.ONE) ? sum.below() : sum;
  }

  private static boolean significant(Wide term, Wide sum) {
    return !term.isZero() && term.exponent() > sum.exponent() - 126;
  }

  /// Sine or cosine.
  ///
  /// @param turned 0 for the sine, 1 for the cosine
  static void sine(ExtendedArithmetic u, int ae, long as, int turned) {
    if (settled(u, ae, as)) {
      return;
    }
    if (as == 0) {
      u.set(turned == 0 ? ae : BIAS, turned == 0 ? 0 : INTEGER_BIT);
      return;
    }
    if ((ae & MAX_EXPONENT) < TINY) {
      u.roundToNearest();
    }
    var reduced = reduce(ae, as);
    int quadrant = reduced.quadrant + turned & 3;
    var w = (quadrant & 1) == 0 ? sine(reduced.rest) : cosine(reduced.rest);
    inexact(u, (quadrant & 2) == 0 ? w : w.negate());
  }

  /// Tangent.
  static void tangent(ExtendedArithmetic u, int ae, long as) {
    if (settled(u, ae, as)) {
      return;
    }
    if (as == 0) {
      u.set(ae, as);
      return;
    }
    var reduced = reduce(ae, as);
    var sine = sine(reduced.rest);
    var cosine = cosine(reduced.rest);
    inexact(
        u, (reduced.quadrant & 1) == 0 ? sine.dividedBy(cosine) : cosine.dividedBy(sine).negate());
  }

  /// NaNs and infinities; else notes a denormal.
  private static boolean settled(ExtendedArithmetic u, int ae, long as) {
    if (u.settleNan(ae, as)) {
      return true;
    }
    if (ExtendedArithmetic.classify(ae, as) == INFINITY) {
      u.invalid();
      return true;
    }
    u.noteDenormal(ae, as);
    return false;
  }

  // ---- Arc tangent
  // ----------------------------------------------------------------------------------

  /// The angle of the point (x, y), -pi to pi.
  static void arcTangent(ExtendedArithmetic u, int ye, long ys, int xe, long xs) {
    if (u.settleNans(ye, ys, xe, xs)) {
      return;
    }
    u.noteDenormals(ye, ys, xe, xs);
    boolean negativeY = (ye & SIGN) != 0;
    boolean negativeX = (xe & SIGN) != 0;
    boolean infiniteY = ExtendedArithmetic.classify(ye, ys) == INFINITY;
    boolean infiniteX = ExtendedArithmetic.classify(xe, xs) == INFINITY;
    Wide angle;
    if (infiniteY) {
      angle =
          !infiniteX ? Wide.PI.shift(-1) : negativeX ? Wide.THREE_QUARTERS_PI : Wide.PI.shift(-2);
    } else if (ys == 0 || infiniteX) {
      if (!negativeX) {
        u.set(ye & SIGN, 0);
        return;
      }
      angle = Wide.PI;
    } else if (xs == 0) {
      angle = Wide.PI.shift(-1);
    } else {
      var y = Wide.ofExtended(ye, ys).absolute();
      var x = Wide.ofExtended(xe, xs).absolute();
      if (x.magnitudeBelow(y)) {
        var rest = arcTangent(x.dividedBy(y));
        angle = negativeX ? Wide.PI.shift(-1).plus(rest) : Wide.PI.shift(-1).minus(rest);
      } else {
        var quotient = y.dividedBy(x);
        angle = arcTangent(quotient);
        if (negativeX) {
          angle = Wide.PI.minus(angle);
        }
      }
    }
    inexact(u, negativeY ? angle.negate() : angle);
  }

  /// The arc tangent of a number from 0 to 1.
  private static Wide arcTangent(Wide x) {
    // atan x = atan c + atan ((x - c) / (1 + x c)) with c the nearest eighth.
    int eighth = x.exponent() < -4 ? 0 : (int) (x.high() >>> 63 - 4 - x.exponent()) + 1 >> 1;
    Wide t = x;
    if (eighth != 0) {
      var c = Wide.of(eighth).shift(-3);
      t = x.minus(c).dividedBy(Wide.ONE.plus(x.times(c)));
    }
    var square = t.times(t).negate();
    var power = t;
    var sum = t;
    for (int n = 3; significant(power, sum) && n < 200; n += 2) {
      power = power.times(square);
      sum = sum.plus(power.dividedBy(n));
    }
    if (sum.equals(x)) {
      return sum.below();
    }
    return eighth == 0 ? sum : ARC_TANGENTS[eighth - 1].plus(sum);
  }

  // ---- Powers and logarithms of two
  // -----------------------------------------------------------------

  /// 2^x - 1.
  static void powerLessOne(ExtendedArithmetic u, int ae, long as) {
    if (u.settleNan(ae, as)) {
      return;
    }
    boolean negative = (ae & SIGN) != 0;
    if (ExtendedArithmetic.classify(ae, as) == INFINITY) {
      u.set(negative ? SIGN | BIAS : ae, INTEGER_BIT);
      return;
    }
    u.noteDenormal(ae, as);
    int e = (ae & MAX_EXPONENT) - BIAS;
    if (as == 0) {
      u.set(ae, as);
      return;
    }
    if (e > 0 || (e == 0 && as << 1 != 0)) {
      undefined(u, ae, as);
      return;
    }
    if (e == 0) {
      // 2^1 - 1 and 2^-1 - 1 are exact, yet the processor reports them as inexact.
      u.flags |= X87.PRECISION;
      u.set(negative ? SIGN | BIAS - 1 : BIAS, INTEGER_BIT);
      return;
    }
    var t = Wide.ofExtended(ae, as).times(Wide.LN_2);
    var term = t;
    var sum = t;
    for (int n = 2; significant(term, sum); n++) {
      term = term.times(t).dividedBy(n);
      sum = sum.plus(term);
    }
    inexact(u, sum);
  }

  /// y times the logarithm of x.
  static void logarithm(ExtendedArithmetic u, int ye, long ys, int xe, long xs) {
    if (u.settleNans(ye, ys, xe, xs)) {
      return;
    }
    boolean negativeX = (xe & SIGN) != 0;
    boolean negativeY = (ye & SIGN) != 0;
    int x = ExtendedArithmetic.classify(xe, xs);
    boolean infiniteY = ExtendedArithmetic.classify(ye, ys) == INFINITY;
    if (negativeX && xs != 0) {
      u.invalid();
      return;
    }
    if (xs == 0) {
      if (ys == 0) {
        u.invalid();
      } else {
        if (infiniteY) {
          u.noteDenormals(ye, ys, xe, xs);
        } else {
          u.flags |= X87.ZERO_DIVIDE;
        }
        u.infinity(!negativeY);
      }
      return;
    }
    boolean one = xe == BIAS && xs == INTEGER_BIT;
    boolean below = x != INFINITY && (xe & MAX_EXPONENT) < BIAS;
    if ((x == INFINITY && ys == 0) || (one && infiniteY)) {
      u.invalid();
      return;
    }
    u.noteDenormals(ye, ys, xe, xs);
    if (x == INFINITY || infiniteY) {
      u.infinity(negativeY != below);
      return;
    }
    if (one || ys == 0) {
      u.set(negativeY != below ? SIGN : 0, 0);
      return;
    }
    var w = Wide.ofExtended(xe, xs);
    int power = w.exponent();
    w = w.shift(-power);
    // A significand from 0.707 to 1.414 keeps the series short and the sum free of cancellation.
    if (Long.compareUnsigned(w.high(), 0xB504_F333_F9DE_6484L) > 0) {
      w = w.shift(-1);
      power++;
    }
    var log = Wide.of(power);
    if (w.high() != INTEGER_BIT || w.exponent() != 0) {
      log = log.plus(logarithm(w.minus(Wide.ONE), w.plus(Wide.ONE)));
    }
    inexact(u, log.times(Wide.ofExtended(ye, ys)));
  }

  /// The logarithm to base two of a number, given the number less one and plus one: by the series
  /// of the area tangent.
  private static Wide logarithm(Wide lessOne, Wide plusOne) {
    var s = lessOne.dividedBy(plusOne);
    var square = s.times(s);
    var power = s;
    var sum = s;
    for (int n = 3; significant(power, sum) && n < 400; n += 2) {
      power = power.times(square);
      sum = sum.plus(power.dividedBy(n));
    }
    return sum.shift(1).times(Wide.LOG2_E);
  }

  /// y times the logarithm of x + 1.
  static void logarithmPlusOne(ExtendedArithmetic u, int ye, long ys, int xe, long xs) {
    if (u.settleNans(ye, ys, xe, xs)) {
      return;
    }
    boolean negative = ((xe ^ ye) & SIGN) != 0;
    int x = ExtendedArithmetic.classify(xe, xs);
    boolean infiniteY = ExtendedArithmetic.classify(ye, ys) == INFINITY;
    if (x == INFINITY) {
      if ((xe & SIGN) != 0 || ys == 0) {
        u.invalid();
      } else {
        u.noteDenormals(ye, ys, xe, xs);
        u.infinity(negative);
      }
      return;
    }
    if (infiniteY && xs == 0) {
      u.invalid();
      return;
    }
    u.noteDenormals(ye, ys, xe, xs);
    if (infiniteY) {
      u.infinity(negative);
      return;
    }
    if (xs == 0 || ys == 0) {
      u.set(negative ? SIGN : 0, 0);
      return;
    }
    var w = Wide.ofExtended(xe, xs);
    int e = (xe & MAX_EXPONENT) - BIAS;
    if (e >= -1) {
      // Beyond the range the manual gives, -(1 - sqrt 1/2) to sqrt 1/2 or so: by the sum, while it
      // is positive; else undefined, and the argument comes back.
      var sum = w.plus(Wide.ONE);
      if (sum.negative() || sum.isZero()) {
        undefined(u, xe, xs);
        return;
      }
      int power = sum.exponent();
      var scaled = sum.shift(-power);
      var log = Wide.of(power);
      if (scaled.high() != INTEGER_BIT || scaled.low() != 0) {
        log = log.plus(logarithm(scaled.minus(Wide.ONE), scaled.plus(Wide.ONE)));
      }
      inexact(u, log.times(Wide.ofExtended(ye, ys)));
      return;
    }
    var log = logarithm(w, w.plus(Wide.ONE).plus(Wide.ONE));
    inexact(u, log.times(Wide.ofExtended(ye, ys)));
  }
}
