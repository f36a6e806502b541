package dev.partita.engine.software;

import static dev.partita.engine.software.X87.DENORMAL;
import static dev.partita.engine.software.X87.INVALID;
import static dev.partita.engine.software.X87.OVERFLOW;
import static dev.partita.engine.software.X87.PRECISION;
import static dev.partita.engine.software.X87.UNDERFLOW;
import static dev.partita.engine.software.X87.ZERO_DIVIDE;

/// Arithmetic on 80-bit extended values, exactly as the x87 unit does it: Intel SDM volume 1, 4.8,
/// 4.9 and chapter 8.
///
/// A value is an `int` with the sign in bit 15 and the biased exponent below it, and a `long`
/// significand with an explicit integer bit. Each operation leaves its result in {@link #exponent},
/// {@link #significand}, {@link #flags} and {@link #roundedUp}; one object serves one processor.
///
/// If {@link #blocked()} says so after an operation, an exception that is found before the
/// computation is unmasked: there is no result.
final class ExtendedArithmetic {
  /// What a value is.
  static final int ZERO = 0;

  static final int NORMAL = 1;
  static final int DENORMAL_NUMBER = 2;
  static final int INFINITY = 3;
  static final int UNSUPPORTED = 4;
  static final int QUIET_NAN = 5;
  static final int SIGNALING_NAN = 6;

  static final int SIGN = 0x8000;
  static final int MAX_EXPONENT = 0x7FFF;
  static final int BIAS = 0x3FFF;
  static final long INTEGER_BIT = 1L << 63;
  static final long QUIET_BIT = 1L << 62;

  /// The default NaN ("real indefinite").
  static final int INDEFINITE_EXPONENT = 0xFFFF;

  static final long INDEFINITE_SIGNIFICAND = 3L << 62;

  /// What is added to or taken from the exponent of a result that an unmasked overflow or underflow
  /// delivers: SDM volume 1, 8.5.4.
  private static final int WRAP = 0x6000;

  // Rounding control: control word bits 11:10.
  static final int NEAREST = 0;
  static final int DOWN = 1;
  static final int UP = 2;
  static final int TRUNCATE = 3;

  /// The result: sign and exponent.
  int exponent;

  /// The result: significand.
  long significand;

  /// Exceptions of the operation, as in the status word.
  int flags;

  /// An inexact result was rounded away from zero: C1.
  boolean roundedUp;

  /// A memory operand was a denormal single or double before it became the operand.
  boolean denormalOperand;

  private int control;

  // What normalize(), roundAt() and square root leave.
  int normalExponent;
  long normalSignificand;
  boolean carried;
  boolean inexact;

  /// Before each operation.
  ///
  /// @param control the control word in force
  void begin(int control) {
    this.control = control;
    flags = 0;
    roundedUp = false;
    denormalOperand = false;
  }

  boolean blocked() {
    return (flags & ~control & (INVALID | DENORMAL | ZERO_DIVIDE)) != 0;
  }

  boolean masked(int exception) {
    return (control & exception) != 0;
  }

  /// Rounds to nearest for the rest of the operation.
  void roundToNearest() {
    control &= ~(3 << 10);
  }

  int rounding() {
    return control >> 10 & 3;
  }

  static int classify(int exponent, long significand) {
    int e = exponent & MAX_EXPONENT;
    if (e == 0) {
      return significand == 0 ? ZERO : DENORMAL_NUMBER;
    }
    if (significand >= 0) {
      return UNSUPPORTED;
    }
    if (e != MAX_EXPONENT) {
      return NORMAL;
    }
    if (significand == INTEGER_BIT) {
      return INFINITY;
    }
    return (significand & QUIET_BIT) != 0 ? QUIET_NAN : SIGNALING_NAN;
  }

  static boolean isNan(int kind) {
    return kind >= QUIET_NAN;
  }

  void set(int exponent, long significand) {
    this.exponent = exponent;
    this.significand = significand;
  }

  /// An invalid operation: the indefinite.
  void invalid() {
    flags |= INVALID;
    set(INDEFINITE_EXPONENT, INDEFINITE_SIGNIFICAND);
  }

  void zero(boolean negative) {
    set(negative ? SIGN : 0, 0);
  }

  void infinity(boolean negative) {
    set(negative ? SIGN | MAX_EXPONENT : MAX_EXPONENT, INTEGER_BIT);
  }

  /// Handles an operand that is a NaN or unsupported.
  ///
  /// @return whether that settled the result
  boolean settleNan(int ae, long as) {
    int kind = classify(ae, as);
    if (kind < UNSUPPORTED) {
      return false;
    }
    if (kind == UNSUPPORTED) {
      invalid();
      return true;
    }
    if (kind == SIGNALING_NAN) {
      flags |= INVALID;
    }
    set(ae, as | QUIET_BIT);
    return true;
  }

  /// Handles operands of which one is a NaN or unsupported: SDM volume 1, table 4-7.
  ///
  /// @return whether that settled the result
  boolean settleNans(int ae, long as, int be, long bs) {
    int a = classify(ae, as);
    int b = classify(be, bs);
    if (a < UNSUPPORTED && b < UNSUPPORTED) {
      return false;
    }
    if (a == UNSUPPORTED || b == UNSUPPORTED) {
      invalid();
      return true;
    }
    if (a == SIGNALING_NAN || b == SIGNALING_NAN) {
      flags |= INVALID;
    }
    boolean first;
    if (!isNan(a) || !isNan(b)) {
      first = isNan(a);
    } else if (a != b) {
      first = a == QUIET_NAN;
    } else if (as != bs) {
      first = Long.compareUnsigned(as, bs) > 0;
    } else {
      first = (ae & SIGN) == 0;
    }
    set(first ? ae : be, (first ? as : bs) | QUIET_BIT);
    return true;
  }

  void noteDenormals(int ae, long as, int be, long bs) {
    noteDenormal(ae, as);
    noteDenormal(be, bs);
  }

  void noteDenormal(int e, long s) {
    if (denormalOperand || ((e & MAX_EXPONENT) == 0 && s != 0)) {
      flags |= DENORMAL;
    }
  }

  /// Brings a finite value that is not zero to a significand with the integer bit set, in {@link
  /// #normalSignificand} and {@link #normalExponent} (biased, may be below 1).
  void normalize(int e, long s) {
    int shift = Long.numberOfLeadingZeros(s);
    normalSignificand = s << shift;
    normalExponent = Math.max(e & MAX_EXPONENT, 1) - shift;
  }

  // ---- Rounding
  // -------------------------------------------------------------------------------------

  /// Low bits of the significand that precision control leaves out.
  private int precisionDrop() {
    return switch (control >> 8 & 3) {
      case 0 -> 40;
      case 2 -> 11;
      default -> 0;
    };
  }

  /// Rounds a significand of 128 bits to its upper 64 less some low bits, without regard to the
  /// exponent; sets {@link #carried} (the result is then the integer bit alone, one exponent up),
  /// {@link #inexact} and {@link #roundedUp}.
  long roundAt(boolean negative, long high, long low, int drop) {
    return roundAt(negative, high, low, drop, rounding());
  }

  /// As {@link #roundAt(boolean, long, long, int)} in a given direction.
  long roundAt(boolean negative, long high, long low, int drop, int direction) {
    long dropped = drop == 0 ? 0 : high & (1L << drop) - 1;
    long kept = high - dropped;
    inexact = (dropped | low) != 0;
    boolean up = false;
    if (inexact) {
      switch (direction) {
        case NEAREST -> {
          int comparison;
          if (drop == 0) {
            comparison = Long.compareUnsigned(low, INTEGER_BIT);
          } else {
            comparison = Long.compare(dropped, 1L << drop - 1);
            if (comparison == 0 && low != 0) {
              comparison = 1;
            }
          }
          up = comparison > 0 || (comparison == 0 && (kept >>> drop & 1) != 0);
        }
        case DOWN -> up = negative;
        case UP -> up = !negative;
        default -> {}
      }
    }
    carried = false;
    roundedUp = up;
    if (up) {
      kept += 1L << drop;
      if (kept == 0) {
        // From all ones to a power of two; only a significand with the integer bit can.
        kept = INTEGER_BIT;
        carried = true;
      }
    }
    return kept;
  }

  /// Makes the result of a value, rounded to the precision in force.
  ///
  /// @param biased exponent with bias, any size
  /// @param high significand with the integer bit set
  /// @param low further bits of the significand, the last one sticky
  void round(boolean negative, int biased, long high, long low) {
    round(negative, biased, high, low, precisionDrop());
  }

  /// As {@link #round(boolean, int, long, long)}, to 64 bits whatever the precision control.
  void roundFull(boolean negative, int biased, long high, long low) {
    round(negative, biased, high, low, 0);
  }

  private void round(boolean negative, int biased, long high, long low, int drop) {
    int sign = negative ? SIGN : 0;
    long kept = roundAt(negative, high, low, drop);
    int e = carried ? biased + 1 : biased;
    if (e <= 0) {
      if (masked(UNDERFLOW)) {
        roundDenormal(negative, biased, high, low, drop);
        return;
      }
      flags |= UNDERFLOW;
      e += WRAP;
      if (e <= 0) {
        // Too small even so: only FSCALE gets here.
        zero(negative);
        flags |= PRECISION;
        return;
      }
    } else if (e >= MAX_EXPONENT) {
      flags |= OVERFLOW;
      if (masked(OVERFLOW)) {
        overflow(negative, drop);
        return;
      }
      e -= WRAP;
      if (e >= MAX_EXPONENT) {
        infinity(negative);
        flags |= PRECISION;
        roundedUp = true;
        return;
      }
    }
    if (inexact) {
      flags |= PRECISION;
    }
    set(sign | e, kept);
  }

  private void roundDenormal(boolean negative, int biased, long high, long low, int drop) {
    int shift = 1 - biased;
    long h;
    long l;
    if (shift < 64) {
      h = high >>> shift;
      l = high << 64 - shift | low >>> shift | (low << 64 - shift != 0 ? 1 : 0);
    } else if (shift < 128) {
      int s = shift - 64;
      h = 0;
      l = high >>> s | (low != 0 || (s != 0 && high << 64 - s != 0) ? 1 : 0);
    } else {
      h = 0;
      l = 1;
    }
    long kept = roundAt(negative, h, l, drop);
    if (inexact) {
      flags |= UNDERFLOW | PRECISION;
    }
    int e = kept < 0 ? 1 : 0;
    set(negative ? SIGN | e : e, kept);
  }

  private void overflow(boolean negative, int drop) {
    flags |= PRECISION;
    boolean toInfinity =
        switch (rounding()) {
          case NEAREST -> true;
          case DOWN -> negative;
          case UP -> !negative;
          default -> false;
        };
    roundedUp = toInfinity;
    if (toInfinity) {
      infinity(negative);
    } else {
      int e = MAX_EXPONENT - 1;
      set(negative ? SIGN | e : e, -1L << drop);
    }
  }

  // ---- Addition, multiplication, division, square root
  // ----------------------------------------------

  /// a + b.
  void add(int ae, long as, int be, long bs) {
    if (settleNans(ae, as, be, bs)) {
      return;
    }
    boolean negativeA = (ae & SIGN) != 0;
    boolean negativeB = (be & SIGN) != 0;
    boolean infiniteA = classify(ae, as) == INFINITY;
    boolean infiniteB = classify(be, bs) == INFINITY;
    if (infiniteA && infiniteB && negativeA != negativeB) {
      invalid();
      return;
    }
    noteDenormals(ae, as, be, bs);
    if (infiniteA || infiniteB) {
      infinity(infiniteA ? negativeA : negativeB);
      return;
    }
    if (as == 0 && bs == 0) {
      zero(negativeA == negativeB ? negativeA : rounding() == DOWN);
      return;
    }
    if (as == 0) {
      normalize(be, bs);
      round(negativeB, normalExponent, normalSignificand, 0);
      return;
    }
    normalize(ae, as);
    int ea = normalExponent;
    long ha = normalSignificand;
    if (bs == 0) {
      round(negativeA, ea, ha, 0);
      return;
    }
    normalize(be, bs);
    int eb = normalExponent;
    long hb = normalSignificand;
    if (ea < eb || (ea == eb && Long.compareUnsigned(ha, hb) < 0)) {
      int e = ea;
      ea = eb;
      eb = e;
      long h = ha;
      ha = hb;
      hb = h;
      boolean n = negativeA;
      negativeA = negativeB;
      negativeB = n;
    }
    addMagnitudes(negativeA, ea, ha, hb, ea - eb, negativeA != negativeB);
  }

  /// The larger magnitude plus or minus the smaller, which lies `distance` bits lower.
  private void addMagnitudes(
      boolean negative, int e, long larger, long smaller, int distance, boolean subtract) {
    long high;
    long low;
    boolean sticky = false;
    if (distance == 0) {
      high = smaller;
      low = 0;
    } else if (distance < 64) {
      high = smaller >>> distance;
      low = smaller << 64 - distance;
    } else if (distance == 64) {
      high = 0;
      low = smaller;
    } else if (distance < 128) {
      high = 0;
      low = smaller >>> distance - 64;
      sticky = smaller << 128 - distance != 0;
    } else {
      high = 0;
      low = 0;
      sticky = true;
    }
    if (!subtract) {
      long sum = larger + high;
      if (Long.compareUnsigned(sum, larger) < 0) {
        low = sum << 63 | low >>> 1 | low & 1;
        sum = sum >>> 1 | INTEGER_BIT;
        e++;
      }
      round(negative, e, sum, sticky ? low | 1 : low);
      return;
    }
    // larger:0 - high:low - (something below the last bit)
    long differenceLow = -low;
    long differenceHigh = larger - high - (low != 0 ? 1 : 0);
    if (sticky) {
      if (differenceLow == 0) {
        differenceHigh--;
      }
      differenceLow--;
      differenceLow |= 1;
    }
    if ((differenceHigh | differenceLow) == 0) {
      zero(rounding() == DOWN);
      return;
    }
    int shift = Long.numberOfLeadingZeros(differenceHigh);
    if (shift == 64) {
      shift += Long.numberOfLeadingZeros(differenceLow);
      differenceHigh = differenceLow << shift - 64;
      differenceLow = 0;
    } else if (shift != 0) {
      differenceHigh = differenceHigh << shift | differenceLow >>> 64 - shift;
      differenceLow <<= shift;
    }
    round(negative, e - shift, differenceHigh, differenceLow);
  }

  /// a - b. A NaN keeps its sign, so this is not the addition of -b.
  void subtract(int ae, long as, int be, long bs) {
    if (!settleNans(ae, as, be, bs)) {
      add(ae, as, be ^ SIGN, bs);
    }
  }

  /// a * b.
  void multiply(int ae, long as, int be, long bs) {
    if (settleNans(ae, as, be, bs)) {
      return;
    }
    boolean negative = ((ae ^ be) & SIGN) != 0;
    boolean infinite = classify(ae, as) == INFINITY || classify(be, bs) == INFINITY;
    if (infinite && (as == 0 || bs == 0)) {
      invalid();
      return;
    }
    noteDenormals(ae, as, be, bs);
    if (infinite) {
      infinity(negative);
      return;
    }
    if (as == 0 || bs == 0) {
      zero(negative);
      return;
    }
    normalize(ae, as);
    int e = normalExponent;
    long a = normalSignificand;
    normalize(be, bs);
    e += normalExponent - BIAS + 1;
    long high = Math.unsignedMultiplyHigh(a, normalSignificand);
    long low = a * normalSignificand;
    if (high >= 0) {
      high = high << 1 | low >>> 63;
      low <<= 1;
      e--;
    }
    round(negative, e, high, low);
  }

  /// a / b.
  void divide(int ae, long as, int be, long bs) {
    if (settleNans(ae, as, be, bs)) {
      return;
    }
    boolean negative = ((ae ^ be) & SIGN) != 0;
    boolean infiniteA = classify(ae, as) == INFINITY;
    boolean infiniteB = classify(be, bs) == INFINITY;
    if ((infiniteA && infiniteB) || (as == 0 && bs == 0)) {
      invalid();
      return;
    }
    if (bs == 0 && !infiniteA) {
      flags |= ZERO_DIVIDE;
      infinity(negative);
      return;
    }
    noteDenormals(ae, as, be, bs);
    if (infiniteA) {
      infinity(negative);
      return;
    }
    if (infiniteB || as == 0) {
      zero(negative);
      return;
    }
    normalize(ae, as);
    int e = normalExponent;
    long a = normalSignificand;
    normalize(be, bs);
    long b = normalSignificand;
    e += BIAS - normalExponent;
    long low = 0;
    if (Long.compareUnsigned(a, b) >= 0) {
      low = a << 63;
      a >>>= 1;
    } else {
      e--;
    }
    long quotient = divide(a, low, b);
    long remainder = low - quotient * b;
    long tail = 0;
    if (remainder != 0) {
      // Above, at or below one half of the last bit.
      int half = Long.compareUnsigned(remainder, b - remainder);
      tail = half < 0 ? 1 : half == 0 ? INTEGER_BIT : INTEGER_BIT | 1;
    }
    round(negative, e, quotient, tail);
  }

  /// The square root.
  void squareRoot(int ae, long as) {
    if (settleNan(ae, as)) {
      return;
    }
    if (as == 0) {
      set(ae, as);
      return;
    }
    if ((ae & SIGN) != 0) {
      invalid();
      return;
    }
    noteDenormal(ae, as);
    if (classify(ae, as) == INFINITY) {
      set(ae, as);
      return;
    }
    normalize(ae, as);
    // significand * 2^(e - BIAS - 63) as n * 2^(even), n of 127 or 128 bits.
    int e = normalExponent - BIAS;
    long high = normalSignificand;
    long low = 0;
    if ((e & 1) == 0) {
      low = high << 63;
      high >>>= 1;
    }
    long root = root(high, low);
    long rootHigh = Math.unsignedMultiplyHigh(root, root);
    long rootLow = root * root;
    long remainderHigh = high - rootHigh - (Long.compareUnsigned(low, rootLow) < 0 ? 1 : 0);
    long remainderLow = low - rootLow;
    long tail = 0;
    if ((remainderHigh | remainderLow) != 0) {
      // (root + 1/2)^2 = root^2 + root + 1/4: the remainder tells the half.
      boolean above = remainderHigh != 0 || Long.compareUnsigned(remainderLow, root) > 0;
      tail = above ? INTEGER_BIT | 1 : 1;
    }
    round(false, (e >> 1) + BIAS, root, tail);
  }

  /// The integer part of the square root of a 128-bit number of at least 2^126.
  static long root(long high, long low) {
    // 53 bits from the host's square root, then one step of Newton's method, then exact.
    double estimate = Math.sqrt((double) (high >>> 1) * 2.0);
    long x = (long) (estimate * 0x1p31) << 1;
    if (x >= 0) {
      // 2^64 or above by rounding, or a little under 2^63.
      x = estimate >= 0x1p32 ? -1L : INTEGER_BIT;
    }
    if (Long.compareUnsigned(high, x) < 0) {
      long quotient = divide(high, low, x);
      x = (x >>> 1) + (quotient >>> 1) + (x & quotient & 1);
    }
    while (exceeds(x, high, low)) {
      x--;
    }
    while (x != -1L && !exceeds(x + 1, high, low)) {
      x++;
    }
    return x;
  }

  private static boolean exceeds(long x, long high, long low) {
    int comparison = Long.compareUnsigned(Math.unsignedMultiplyHigh(x, x), high);
    return comparison > 0 || (comparison == 0 && Long.compareUnsigned(x * x, low) > 0);
  }

  /// The quotient of a 128-bit number by a normalized one: schoolbook division with 32-bit digits.
  ///
  /// @param divisor with bit 63 set, greater than `high` (unsigned)
  static long divide(long high, long low, long divisor) {
    long first = digit(high, low >>> 32, divisor);
    long rest = (high << 32 | low >>> 32) - first * divisor;
    long second = digit(rest, low & 0xFFFF_FFFFL, divisor);
    return first << 32 | second;
  }

  /// The 32-bit quotient of `high * 2^32 + next` by the divisor.
  private static long digit(long high, long next, long divisor) {
    long top = divisor >>> 32;
    long bottom = divisor & 0xFFFF_FFFFL;
    long q = Long.divideUnsigned(high, top);
    long r = high - q * top;
    // The estimate from the divisor's upper half is at most two too large.
    while (r >>> 32 == 0
        && (q >>> 32 != 0 || Long.compareUnsigned(q * bottom, r << 32 | next) > 0)) {
      q--;
      r += top;
    }
    return q;
  }

  // ---- Comparison
  // -----------------------------------------------------------------------------------

  /// Compares a with b.
  ///
  /// @param quiet a quiet NaN is no exception (FUCOM)
  /// @return the condition codes C3, C2, C0
  int compare(int ae, long as, int be, long bs, boolean quiet) {
    int a = classify(ae, as);
    int b = classify(be, bs);
    if (a >= UNSUPPORTED || b >= UNSUPPORTED) {
      boolean bothQuiet = a != UNSUPPORTED && b != UNSUPPORTED;
      if (!quiet || !bothQuiet || a == SIGNALING_NAN || b == SIGNALING_NAN) {
        flags |= INVALID;
      }
      return X87.C3 | X87.C2 | X87.C0;
    }
    noteDenormals(ae, as, be, bs);
    if (a == ZERO && b == ZERO) {
      return X87.C3;
    }
    boolean negativeA = (ae & SIGN) != 0;
    if (a == ZERO || b == ZERO || negativeA != ((be & SIGN) != 0)) {
      boolean less = a == ZERO ? (be & SIGN) == 0 : negativeA;
      return less ? X87.C0 : 0;
    }
    // The exponent of denormals is that of 1.
    int c = Integer.compare(Math.max(ae & MAX_EXPONENT, 1), Math.max(be & MAX_EXPONENT, 1));
    if (c == 0) {
      c = Long.compareUnsigned(as, bs);
    }
    if (c == 0) {
      return X87.C3;
    }
    return c < 0 != negativeA ? X87.C0 : 0;
  }
}
