package dev.partita.engine.software;

/// A floating-point number with a significand of 128 bits, truncated after each operation: the
/// intermediate values of the transcendental functions, whose results are rounded to 64 bits.
///
/// The value is `high:low / 2^127 * 2^exponent`; bit 63 of `high` is set, but for zero, where both
/// are 0.
record Wide(boolean negative, int exponent, long high, long low) {
  static final Wide ZERO = new Wide(false, 0, 0, 0);
  static final Wide ONE = new Wide(false, 0, 1L << 63, 0);

  // Mathematical constants, rounded to 128 bits.
  static final Wide PI = new Wide(false, 1, 0xC90F_DAA2_2168_C234L, 0xC4C6_628B_80DC_1CD1L);
  static final Wide THREE_QUARTERS_PI =
      new Wide(false, 1, 0x96CB_E3F9_990E_91A7L, 0x9394_C9E8_A0A5_159DL);
  static final Wide LN_2 = new Wide(false, -1, 0xB172_17F7_D1CF_79ABL, 0xC9E3_B398_03F2_F6AFL);
  static final Wide LOG2_E = new Wide(false, 0, 0xB8AA_3B29_5C17_F0BBL, 0xBE87_FED0_691D_3E89L);
  static final Wide LOG2_10 = new Wide(false, 1, 0xD49A_784B_CD1B_8AFEL, 0x492B_F6FF_4DAF_DB4DL);
  static final Wide LOG10_2 = new Wide(false, -2, 0x9A20_9A84_FBCF_F798L, 0x8F89_59AC_0B7C_9178L);

  /// A number of 128 bits times a power of two.
  ///
  /// @param exponent of bit 127 of `high:low`
  static Wide normalized(boolean negative, int exponent, long high, long low) {
    if (high == 0) {
      if (low == 0) {
        return ZERO;
      }
      exponent -= 64;
      high = low;
      low = 0;
    }
    int shift = Long.numberOfLeadingZeros(high);
    if (shift != 0) {
      high = high << shift | low >>> 64 - shift;
      low <<= shift;
    }
    return new Wide(negative, exponent - shift, high, low);
  }

  static Wide of(long value) {
    return normalized(value < 0, 63, Math.abs(value), 0);
  }

  /// The finite extended value.
  static Wide ofExtended(int e, long s) {
    int biased = Math.max(e & ExtendedArithmetic.MAX_EXPONENT, 1);
    boolean sign = (e & ExtendedArithmetic.SIGN) != 0;
    return normalized(sign, biased - ExtendedArithmetic.BIAS, s, 0);
  }

  boolean isZero() {
    return high == 0;
  }

  Wide negate() {
    return isZero() ? this : new Wide(!negative, exponent, high, low);
  }

  Wide absolute() {
    return negative ? negate() : this;
  }

  /// Times 2^n.
  Wide shift(int n) {
    return isZero() ? this : new Wide(negative, exponent + n, high, low);
  }

  /// The next number toward zero; not for zero itself.
  Wide below() {
    if (high == 1L << 63 && low == 0) {
      return new Wide(negative, exponent - 1, -1, -1);
    }
    return new Wide(negative, exponent, low == 0 ? high - 1 : high, low - 1);
  }

  private int compareMagnitude(Wide other) {
    if (isZero() || other.isZero()) {
      return Boolean.compare(!isZero(), !other.isZero());
    }
    if (exponent != other.exponent) {
      return Integer.compare(exponent, other.exponent);
    }
    int c = Long.compareUnsigned(high, other.high);
    return c != 0 ? c : Long.compareUnsigned(low, other.low);
  }

  /// Compares absolute values.
  boolean magnitudeBelow(Wide other) {
    return compareMagnitude(other) < 0;
  }

  Wide plus(Wide other) {
    if (other.isZero()) {
      return this;
    }
    if (isZero()) {
      return other;
    }
    if (compareMagnitude(other) < 0) {
      return other.plus(this);
    }
    int distance = exponent - other.exponent;
    if (distance >= 128) {
      return this;
    }
    long h = other.high;
    long l = other.low;
    if (distance >= 64) {
      l = h >>> distance - 64;
      h = 0;
    } else if (distance != 0) {
      l = h << 64 - distance | l >>> distance;
      h >>>= distance;
    }
    if (negative == other.negative) {
      long sumLow = low + l;
      long carry = Long.compareUnsigned(sumLow, l) < 0 ? 1 : 0;
      long sumHigh = high + h;
      boolean over = Long.compareUnsigned(sumHigh, h) < 0;
      sumHigh += carry;
      over |= carry != 0 && sumHigh == 0;
      if (over) {
        return new Wide(
            negative, exponent + 1, sumHigh >>> 1 | 1L << 63, sumHigh << 63 | sumLow >>> 1);
      }
      return new Wide(negative, exponent, sumHigh, sumLow);
    }
    long differenceHigh = high - h - (Long.compareUnsigned(low, l) < 0 ? 1 : 0);
    return normalized(negative, exponent, differenceHigh, low - l);
  }

  Wide minus(Wide other) {
    return plus(other.negate());
  }

  Wide times(Wide other) {
    if (isZero() || other.isZero()) {
      return ZERO;
    }
    long cross = high * other.low;
    long cross2 = low * other.high;
    long below = Math.unsignedMultiplyHigh(low, other.low);
    long carries = 0;
    long sum = cross + cross2;
    carries += Long.compareUnsigned(sum, cross) < 0 ? 1 : 0;
    sum += below;
    carries += Long.compareUnsigned(sum, below) < 0 ? 1 : 0;
    long productLow = high * other.high;
    long productHigh = Math.unsignedMultiplyHigh(high, other.high);
    for (int i = 0; i < 3; i++) {
      long part =
          switch (i) {
            case 0 -> Math.unsignedMultiplyHigh(high, other.low);
            case 1 -> Math.unsignedMultiplyHigh(low, other.high);
            default -> carries;
          };
      productLow += part;
      if (Long.compareUnsigned(productLow, part) < 0) {
        productHigh++;
      }
    }
    int e = exponent + other.exponent + 1;
    if (productHigh >= 0) {
      productHigh = productHigh << 1 | productLow >>> 63;
      productLow = productLow << 1 | sum >>> 63;
      e--;
    }
    return new Wide(negative != other.negative, e, productHigh, productLow);
  }

  /// The quotient by long division, one bit at a time.
  ///
  /// @param divisor not zero
  Wide dividedBy(Wide divisor) {
    if (isZero()) {
      return ZERO;
    }
    long h = high;
    long l = low;
    int e = exponent - divisor.exponent;
    long quotientHigh = 0;
    long quotientLow = 0;
    boolean over = false;
    // The first bit may be 0; so 129 steps, of which the first is dropped or the last is.
    int steps = 128;
    for (int i = 0; i < steps; i++) {
      int c = Long.compareUnsigned(h, divisor.high);
      boolean fits = over || c > 0 || (c == 0 && Long.compareUnsigned(l, divisor.low) >= 0);
      if (i == 0 && !fits) {
        steps++;
        e--;
      }
      quotientHigh = quotientHigh << 1 | quotientLow >>> 63;
      quotientLow = quotientLow << 1 | (fits ? 1 : 0);
      if (fits) {
        h = h - divisor.high - (Long.compareUnsigned(l, divisor.low) < 0 ? 1 : 0);
        l -= divisor.low;
      }
      over = h < 0;
      h = h << 1 | l >>> 63;
      l <<= 1;
    }
    return new Wide(negative != divisor.negative, e, quotientHigh, quotientLow);
  }

  /// The quotient by a small number.
  ///
  /// @param divisor 1 to 2^31 - 1
  Wide dividedBy(int divisor) {
    if (isZero()) {
      return ZERO;
    }
    long d1 = high >>> 32;
    long q1 = d1 / divisor;
    long d2 = d1 % divisor << 32 | high & 0xFFFF_FFFFL;
    long q2 = Long.divideUnsigned(d2, divisor);
    long d3 = Long.remainderUnsigned(d2, divisor) << 32 | low >>> 32;
    long q3 = Long.divideUnsigned(d3, divisor);
    long d4 = Long.remainderUnsigned(d3, divisor) << 32 | low & 0xFFFF_FFFFL;
    long q4 = Long.divideUnsigned(d4, divisor);
    long d5 = Long.remainderUnsigned(d4, divisor) << 32;
    long q5 = Long.divideUnsigned(d5, divisor);
    long h = q1 << 32 | q2;
    long l = q3 << 32 | q4;
    int shift = Long.numberOfLeadingZeros(h);
    if (shift == 0) {
      return new Wide(negative, exponent, h, l);
    }
    if (shift > 32) {
      return normalized(negative, exponent, h, l);
    }
    h = h << shift | l >>> 64 - shift;
    l = l << shift | q5 >>> 32 - shift;
    return new Wide(negative, exponent - shift, h, l);
  }
}
