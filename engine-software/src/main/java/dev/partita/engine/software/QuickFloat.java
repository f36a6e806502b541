package dev.partita.engine.software;

/// The usual case of {@link SimdFloat} in pieces so small that the JVM's first compiler inlines
/// them into a region: what Java's operation gives, and whether that is all there is to it. If it
/// is not, the operation is called, which decides anew.
///
/// The checks presume {@link SimdFloat#quickInexact}, but for those of a choice and a comparison.
final class QuickFloat {
  private QuickFloat() {}

  // ---- Double

  static long add(long a, long b) {
    return Double.doubleToRawLongBits(Double.longBitsToDouble(a) + Double.longBitsToDouble(b));
  }

  static long subtract(long a, long b) {
    return Double.doubleToRawLongBits(Double.longBitsToDouble(a) - Double.longBitsToDouble(b));
  }

  static long multiply(long a, long b) {
    return Double.doubleToRawLongBits(Double.longBitsToDouble(a) * Double.longBitsToDouble(b));
  }

  static long divide(long a, long b) {
    return Double.doubleToRawLongBits(Double.longBitsToDouble(a) / Double.longBitsToDouble(b));
  }

  @SuppressWarnings("unused")
  static long squareRoot(long a, long b) {
    return Double.doubleToRawLongBits(Math.sqrt(Double.longBitsToDouble(b)));
  }

  static long minimum(long a, long b) {
    return Double.longBitsToDouble(a) < Double.longBitsToDouble(b) ? a : b;
  }

  static long maximum(long a, long b) {
    return Double.longBitsToDouble(a) > Double.longBitsToDouble(b) ? a : b;
  }

  static boolean holdsSum(long a, long b, long r) {
    return (SimdFloat.large(r) || r == 0) && comparable(a, b);
  }

  static boolean holdsProduct(long a, long b, long r) {
    return SimdFloat.large(r) && comparable(a, b);
  }

  @SuppressWarnings("unused")
  static boolean holdsRoot(long a, long b, long r) {
    return SimdFloat.large(r) && SimdFloat.usual(b);
  }

  @SuppressWarnings("unused")
  static boolean holdsChoice(long a, long b, long r) {
    return comparable(a, b);
  }

  static boolean comparable(long a, long b) {
    return SimdFloat.usual(a) && SimdFloat.usual(b);
  }

  /// -1, 0, 1 for less, equal, greater.
  static int order(long a, long b) {
    double x = Double.longBitsToDouble(a);
    double y = Double.longBitsToDouble(b);
    return x < y ? -1 : x == y ? 0 : 1;
  }

  // ---- Single

  static int add(int a, int b) {
    return Float.floatToRawIntBits(Float.intBitsToFloat(a) + Float.intBitsToFloat(b));
  }

  static int subtract(int a, int b) {
    return Float.floatToRawIntBits(Float.intBitsToFloat(a) - Float.intBitsToFloat(b));
  }

  static int multiply(int a, int b) {
    return Float.floatToRawIntBits(Float.intBitsToFloat(a) * Float.intBitsToFloat(b));
  }

  static int divide(int a, int b) {
    return Float.floatToRawIntBits(Float.intBitsToFloat(a) / Float.intBitsToFloat(b));
  }

  @SuppressWarnings("unused")
  static int squareRoot(int a, int b) {
    return Float.floatToRawIntBits((float) Math.sqrt(Float.intBitsToFloat(b)));
  }

  static int minimum(int a, int b) {
    return Float.intBitsToFloat(a) < Float.intBitsToFloat(b) ? a : b;
  }

  static int maximum(int a, int b) {
    return Float.intBitsToFloat(a) > Float.intBitsToFloat(b) ? a : b;
  }

  static boolean holdsSum(int a, int b, int r) {
    return (SimdFloat.large(r) || r == 0) && comparable(a, b);
  }

  static boolean holdsProduct(int a, int b, int r) {
    return SimdFloat.large(r) && comparable(a, b);
  }

  @SuppressWarnings("unused")
  static boolean holdsRoot(int a, int b, int r) {
    return SimdFloat.large(r) && SimdFloat.usual(b);
  }

  @SuppressWarnings("unused")
  static boolean holdsChoice(int a, int b, int r) {
    return comparable(a, b);
  }

  static boolean comparable(int a, int b) {
    return SimdFloat.usual(a) && SimdFloat.usual(b);
  }

  static int order(int a, int b) {
    float x = Float.intBitsToFloat(a);
    float y = Float.intBitsToFloat(b);
    return x < y ? -1 : x == y ? 0 : 1;
  }

  // ---- Two singles

  static long addTwo(long a, long b) {
    return SimdFloat.pair(add((int) a, (int) b), add((int) (a >>> 32), (int) (b >>> 32)));
  }

  static long subtractTwo(long a, long b) {
    return SimdFloat.pair(subtract((int) a, (int) b), subtract((int) (a >>> 32), (int) (b >>> 32)));
  }

  static long multiplyTwo(long a, long b) {
    return SimdFloat.pair(multiply((int) a, (int) b), multiply((int) (a >>> 32), (int) (b >>> 32)));
  }

  static long divideTwo(long a, long b) {
    return SimdFloat.pair(divide((int) a, (int) b), divide((int) (a >>> 32), (int) (b >>> 32)));
  }

  static long squareRootTwo(long a, long b) {
    return SimdFloat.pair(
        squareRoot((int) a, (int) b), squareRoot((int) (a >>> 32), (int) (b >>> 32)));
  }

  static long minimumTwo(long a, long b) {
    return SimdFloat.pair(minimum((int) a, (int) b), minimum((int) (a >>> 32), (int) (b >>> 32)));
  }

  static long maximumTwo(long a, long b) {
    return SimdFloat.pair(maximum((int) a, (int) b), maximum((int) (a >>> 32), (int) (b >>> 32)));
  }

  // ---- Conversion

  static boolean exactDouble(long value) {
    return value << 10 >> 10 == value;
  }

  static boolean exactSingle(long value) {
    return value << 39 >> 39 == value;
  }

  static long toDouble(long value) {
    return Double.doubleToRawLongBits(value);
  }

  static long toSingle(long value) {
    return SimdFloat.unsigned(Float.floatToRawIntBits(value));
  }

  /// Small enough for every width of integer, and either no precision is lost or that is noted
  /// already.
  static boolean truncatesDouble(int mxcsr, long a) {
    return SimdFloat.quickInexact(mxcsr)
        && SimdFloat.usual(a)
        && Math.abs(Double.longBitsToDouble(a)) < 0x7FFF_FFFF;
  }

  static boolean truncatesSingle(int mxcsr, long a) {
    return SimdFloat.quickInexact(mxcsr)
        && SimdFloat.usual((int) a)
        && Math.abs(Float.intBitsToFloat((int) a)) < 0x4000_0000;
  }

  static long truncateDouble(long a) {
    return (long) Double.longBitsToDouble(a);
  }

  static long truncateSingle(long a) {
    return (long) Float.intBitsToFloat((int) a);
  }

  static boolean usual(int a) {
    return SimdFloat.usual(a);
  }

  static long widen(long a) {
    return Double.doubleToRawLongBits(Float.intBitsToFloat((int) a));
  }

  static int narrow(long a) {
    return Float.floatToRawIntBits((float) Double.longBitsToDouble(a));
  }

  static boolean holdsNarrow(long a, int r) {
    return SimdFloat.large(r) && SimdFloat.usual(a);
  }
}
