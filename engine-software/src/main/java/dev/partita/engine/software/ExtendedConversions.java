package dev.partita.engine.software;

import static dev.partita.engine.software.ExtendedArithmetic.BIAS;
import static dev.partita.engine.software.ExtendedArithmetic.INTEGER_BIT;
import static dev.partita.engine.software.ExtendedArithmetic.MAX_EXPONENT;
import static dev.partita.engine.software.ExtendedArithmetic.SIGN;
import static dev.partita.engine.software.X87.INVALID;
import static dev.partita.engine.software.X87.OVERFLOW;
import static dev.partita.engine.software.X87.PRECISION;
import static dev.partita.engine.software.X87.UNDERFLOW;

/// Between extended values and the formats of memory operands: single, double, integers, packed
/// decimal. Intel SDM volume 1, 4.2, 4.7 and 4.9.
final class ExtendedConversions {
  /// Fraction bits of the formats.
  static final int SINGLE = 23;

  static final int DOUBLE = 52;

  /// The largest magnitude of a packed decimal, less one: 10^18.
  private static final long DECIMAL_LIMIT = 1_000_000_000_000_000_000L;

  private ExtendedConversions() {}

  /// Makes an extended value of a single or double, as the unit's result; a signaling NaN stays
  /// one, and a denormal is noted in {@link ExtendedArithmetic#denormalOperand}.
  ///
  /// @param fractionBits {@link #SINGLE} or {@link #DOUBLE}
  static void widen(ExtendedArithmetic u, long bits, int fractionBits) {
    int exponentBits = fractionBits == SINGLE ? 8 : 11;
    int all = (1 << exponentBits) - 1;
    int sign = (bits >>> fractionBits + exponentBits & 1) != 0 ? SIGN : 0;
    int e = (int) (bits >>> fractionBits) & all;
    long fraction = (bits & (1L << fractionBits) - 1) << 63 - fractionBits;
    if (e == all) {
      u.set(sign | MAX_EXPONENT, INTEGER_BIT | fraction);
    } else if (e != 0) {
      u.set(sign | e - (all >> 1) + BIAS, INTEGER_BIT | fraction);
    } else if (fraction == 0) {
      u.set(sign, 0);
    } else {
      u.denormalOperand = true;
      int shift = Long.numberOfLeadingZeros(fraction);
      u.set(sign | 1 - (all >> 1) + BIAS - shift, fraction << shift);
    }
  }

  /// Makes an extended value of an integer, as the unit's result.
  static void fromInteger(ExtendedArithmetic u, long value) {
    if (value == 0) {
      u.set(0, 0);
      return;
    }
    long magnitude = Math.abs(value);
    int shift = Long.numberOfLeadingZeros(magnitude);
    u.set((value < 0 ? SIGN : 0) | BIAS + 63 - shift, magnitude << shift);
  }

  /// Rounds an extended value to a single or double.
  ///
  /// @return its bits; nothing is to be stored if {@link #storeBlocked} says so
  static long narrow(ExtendedArithmetic u, int e, long s, int fractionBits) {
    int exponentBits = fractionBits == SINGLE ? 8 : 11;
    int all = (1 << exponentBits) - 1;
    boolean negative = (e & SIGN) != 0;
    long sign = negative ? 1L << fractionBits + exponentBits : 0;
    long infinity = (long) all << fractionBits;
    switch (ExtendedArithmetic.classify(e, s)) {
      case ExtendedArithmetic.ZERO -> {
        return sign;
      }
      case ExtendedArithmetic.INFINITY -> {
        return sign | infinity;
      }
      case ExtendedArithmetic.UNSUPPORTED -> {
        u.flags |= INVALID;
        return 1L << fractionBits + exponentBits | infinity | 1L << fractionBits - 1;
      }
      case ExtendedArithmetic.QUIET_NAN, ExtendedArithmetic.SIGNALING_NAN -> {
        if ((s & ExtendedArithmetic.QUIET_BIT) == 0) {
          u.flags |= INVALID;
        }
        long fraction = (s & ~INTEGER_BIT | ExtendedArithmetic.QUIET_BIT) >>> 63 - fractionBits;
        return sign | infinity | fraction;
      }
      default -> {}
    }
    u.normalize(e, s);
    int biased = u.normalExponent - BIAS + (all >> 1);
    int drop = 63 - fractionBits;
    long kept = u.roundAt(negative, u.normalSignificand, 0, drop);
    int rounded = u.carried ? biased + 1 : biased;
    if (rounded <= 0) {
      if (!u.masked(UNDERFLOW)) {
        u.flags |= UNDERFLOW;
        u.roundedUp = false;
        return 0;
      }
      int shift = Math.min(1 - biased, 127);
      long high = shift < 64 ? u.normalSignificand >>> shift : 0;
      boolean lost = shift >= 64 || u.normalSignificand << 64 - shift != 0;
      kept = u.roundAt(negative, high, lost ? 1 : 0, drop);
      if (u.inexact) {
        u.flags |= UNDERFLOW | PRECISION;
      }
      // The integer bit, if rounding reached it, is the exponent 1.
      return sign | kept >>> drop;
    }
    if (rounded >= all) {
      u.flags |= OVERFLOW;
      if (!u.masked(OVERFLOW)) {
        u.roundedUp = false;
        return 0;
      }
      u.flags |= PRECISION;
      int direction = u.rounding();
      u.roundedUp =
          direction == ExtendedArithmetic.NEAREST
              || direction == (negative ? ExtendedArithmetic.DOWN : ExtendedArithmetic.UP);
      return sign | (u.roundedUp ? infinity : infinity - 1);
    }
    if (u.inexact) {
      u.flags |= PRECISION;
    }
    return sign | (long) rounded << fractionBits | (kept & ~INTEGER_BIT) >>> drop;
  }

  /// Whether an unmasked exception keeps a memory operand from being stored.
  static boolean storeBlocked(ExtendedArithmetic u) {
    return u.blocked()
        || ((u.flags & OVERFLOW) != 0 && !u.masked(OVERFLOW))
        || ((u.flags & UNDERFLOW) != 0 && !u.masked(UNDERFLOW));
  }

  /// Rounds an extended value to an integer.
  ///
  /// @param bits 16, 32 or 64
  /// @param direction how to round
  /// @return the integer; on an invalid operation the indefinite, which is the smallest one
  static long toInteger(ExtendedArithmetic u, int e, long s, int bits, int direction) {
    long indefinite = -1L << bits - 1;
    int kind = ExtendedArithmetic.classify(e, s);
    if (kind == ExtendedArithmetic.ZERO) {
      return 0;
    }
    int scale = (e & MAX_EXPONENT) - BIAS;
    if (kind >= ExtendedArithmetic.INFINITY || scale > 63) {
      u.flags |= INVALID;
      return indefinite;
    }
    boolean negative = (e & SIGN) != 0;
    long magnitude = integerPart(u, negative, scale, s, direction);
    // One more is allowed below zero; as unsigned numbers, -2^63 is right as well.
    long limit = negative ? -indefinite : ~indefinite;
    if (Long.compareUnsigned(magnitude, limit) > 0) {
      u.flags |= INVALID;
      u.roundedUp = false;
      return indefinite;
    }
    if (u.inexact) {
      u.flags |= PRECISION;
    }
    return negative ? -magnitude : magnitude;
  }

  /// The magnitude of a finite value under 2^64, rounded to an integer.
  private static long integerPart(
      ExtendedArithmetic u, boolean negative, int scale, long s, int direction) {
    long high;
    long low;
    if (scale == 63) {
      high = s;
      low = 0;
    } else if (scale >= 0) {
      high = s >>> 63 - scale;
      low = s << scale + 1;
    } else {
      high = 0;
      low = scale == -1 ? s : 1;
    }
    return u.roundAt(negative, high, low, 0, direction);
  }

  /// Rounds an extended value to packed decimal: the unit's result is bytes 9:8 and bytes 7:0.
  static void toDecimal(ExtendedArithmetic u, int e, long s) {
    boolean negative = (e & SIGN) != 0;
    int kind = ExtendedArithmetic.classify(e, s);
    long magnitude = 0;
    boolean invalid = kind >= ExtendedArithmetic.INFINITY;
    if (!invalid && kind != ExtendedArithmetic.ZERO) {
      int scale = (e & MAX_EXPONENT) - BIAS;
      invalid = scale > 62;
      if (!invalid) {
        magnitude = integerPart(u, negative, scale, s, u.rounding());
        invalid = Long.compareUnsigned(magnitude, DECIMAL_LIMIT) >= 0;
      }
    }
    if (invalid) {
      u.flags |= INVALID;
      u.roundedUp = false;
      // The packed decimal indefinite: SDM volume 1, table 4-4.
      u.set(0xFFFF, 0xC000_0000_0000_0000L);
      return;
    }
    if (kind != ExtendedArithmetic.ZERO && u.inexact) {
      u.flags |= PRECISION;
    }
    long digits = 0;
    for (int i = 0; i < 16; i++) {
      digits |= magnitude % 10 << 4 * i;
      magnitude /= 10;
    }
    int top = (int) (magnitude % 10 | magnitude / 10 << 4);
    u.set((negative ? 0x8000 : 0) | top, digits);
  }

  /// Makes an extended value of a packed decimal, as the unit's result.
  ///
  /// @param top bytes 9:8
  /// @param digits bytes 7:0
  static void fromDecimal(ExtendedArithmetic u, int top, long digits) {
    // Digits above nine are undefined; they count as what they are.
    long magnitude = (top >> 4 & 0xF) * 10L + (top & 0xF);
    for (int i = 15; i >= 0; i--) {
      magnitude = magnitude * 10 + (digits >>> 4 * i & 0xF);
    }
    fromInteger(u, magnitude);
    u.exponent |= top & SIGN;
  }
}
