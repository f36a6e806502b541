package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Division of RDX:RAX by 64 bits.
final class Division {
  private Division() {}

  /// DIV: quotient to RAX, remainder to RDX.
  ///
  /// @throws GuestFault a divide error if the divisor is 0 or the quotient needs more than 64 bits
  static void unsigned128(Cpu c, long divisor) {
    long high = c.r[Cpu.RDX];
    long low = c.r[Cpu.RAX];
    if (Long.compareUnsigned(high, divisor) >= 0) {
      throw c.raise(GuestFault.DIVIDE_ERROR);
    }
    long quotient = quotient(high, low, divisor);
    c.r[Cpu.RAX] = quotient;
    c.r[Cpu.RDX] = low - quotient * divisor;
  }

  /// IDIV: quotient to RAX, remainder (with the dividend's sign) to RDX.
  ///
  /// @throws GuestFault a divide error if the divisor is 0 or the quotient does not fit 64 bits
  static void signed128(Cpu c, long divisor) {
    long high = c.r[Cpu.RDX];
    long low = c.r[Cpu.RAX];
    boolean negativeDividend = high < 0;
    boolean negative = negativeDividend != divisor < 0;
    if (negativeDividend) {
      low = -low;
      high = ~high + (low == 0 ? 1 : 0);
    }
    long absolute = Math.abs(divisor);
    if (Long.compareUnsigned(high, absolute) >= 0) {
      throw c.raise(GuestFault.DIVIDE_ERROR);
    }
    long quotient = quotient(high, low, absolute);
    long remainder = low - quotient * absolute;
    // As an unsigned number it may be up to 2^63 - 1, or 2^63 if the result is negative.
    if (quotient < 0 && !(negative && quotient == Long.MIN_VALUE)) {
      throw c.raise(GuestFault.DIVIDE_ERROR);
    }
    c.r[Cpu.RAX] = negative ? -quotient : quotient;
    c.r[Cpu.RDX] = negativeDividend ? -remainder : remainder;
  }

  /// The quotient of a 128-bit number by a larger divisor than its upper half: schoolbook division
  /// with two digits of 32 bits (Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D).
  static long quotient(long high, long low, long divisor) {
    if (high == 0) {
      return Long.divideUnsigned(low, divisor);
    }
    // Normalised so that the divisor's top bit is set: then a digit's estimate is at most 2 too
    // large.
    int shift = Long.numberOfLeadingZeros(divisor);
    long d = divisor << shift;
    long upper = shift == 0 ? high : high << shift | low >>> 64 - shift;
    long lower = low << shift;
    long firstDigit = digit(upper, lower >>> 32, d);
    long rest = (upper << 32 | lower >>> 32) - firstDigit * d;
    long secondDigit = digit(rest, lower & 0xFFFF_FFFFL, d);
    return firstDigit << 32 | secondDigit;
  }

  /// One 32-bit digit of the quotient of `upper * 2^32 + next` by a normalised divisor above
  /// `upper`.
  private static long digit(long upper, long next, long d) {
    long dHigh = d >>> 32;
    long dLow = d & 0xFFFF_FFFFL;
    long estimate = Long.divideUnsigned(upper, dHigh);
    long left = upper - estimate * dHigh;
    while (estimate >>> 32 != 0 || Long.compareUnsigned(estimate * dLow, left << 32 | next) > 0) {
      estimate--;
      left += dHigh;
      if (left >>> 32 != 0) {
        break;
      }
    }
    return estimate;
  }

  // ---- For the code of regions: what is thrown is left in Cpu.regionThrown; with null for the
  // processor nothing happens.

  /// Whether DIV of 32 bits is a division of positive ints.
  static boolean simple32(int high, int low, int divisor) {
    return (high | (low | divisor) >> 31) == 0 && divisor != 0;
  }

  static boolean simple64(long high, long low, long divisor) {
    return (high | (low | divisor) >> 63) == 0 && divisor != 0;
  }

  /// Whether IDIV is a division of the lower half that cannot overflow.
  static boolean simpleSigned32(int high, int low, int divisor) {
    return high == low >> 31 && (divisor + 1 & -2) != 0;
  }

  static boolean simpleSigned64(long high, long low, long divisor) {
    return high == low >> 63 && (divisor + 1 & -2) != 0;
  }

  /// DIV and IDIV of 32 bits: the quotient. The remainder follows from it.
  static int quotient32(@Nullable Cpu c, int high, int low, int divisor, boolean signed) {
    if (c == null) {
      return 0;
    }
    long dividend = (long) high << 32 | low & 0xFFFF_FFFFL;
    long by = signed ? divisor : divisor & 0xFFFF_FFFFL;
    if (by != 0) {
      long quotient = signed ? dividend / by : Long.divideUnsigned(dividend, by);
      if (signed ? (int) quotient == quotient : quotient >>> 32 == 0) {
        return (int) quotient;
      }
    }
    c.regionThrown = c.raise(GuestFault.DIVIDE_ERROR);
    return 0;
  }

  /// DIV and IDIV of 64 bits: the quotient.
  static long quotient64(@Nullable Cpu c, long high, long low, long divisor, boolean signed) {
    if (c == null) {
      return 0;
    }
    long[] r = c.r;
    long rax = r[Cpu.RAX];
    long rdx = r[Cpu.RDX];
    try {
      r[Cpu.RAX] = low;
      r[Cpu.RDX] = high;
      if (signed) {
        signed128(c, divisor);
      } else {
        unsigned128(c, divisor);
      }
      return r[Cpu.RAX];
    } catch (GuestFault e) {
      c.regionThrown = e;
      return 0;
    } finally {
      r[Cpu.RAX] = rax;
      r[Cpu.RDX] = rdx;
    }
  }
}
