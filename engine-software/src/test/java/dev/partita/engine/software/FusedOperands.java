package dev.partita.engine.software;

import java.util.random.RandomGenerator;

/// Operands for fused multiplication and addition: products that nearly cancel with the addend, lie
/// far above or below it, underflow or overflow, next to all that {@link FloatOperands} knows.
final class FusedOperands {
  private FusedOperands() {}

  static void prepare(MachineState state, RandomGenerator random) {
    AvxTest.numbers(state, random);
    boolean doubles = random.nextBoolean();
    for (int n = 0; n < 24; n++) {
      long a = value(doubles, random);
      long b = value(doubles, random);
      long s = doubles ? addend64(a, b, random) : addend32x2(a, b, random);
      put(state, random.nextInt(), a);
      put(state, random.nextInt(), b);
      put(state, random.nextInt(), s);
    }
    if (random.nextBoolean()) {
      // The very same in whole registers, so that the three meet in one element.
      long a = value(doubles, random);
      long b = value(doubles, random);
      long s = doubles ? addend64(a, b, random) : addend32x2(a, b, random);
      for (int i = 0; i < 64; i++) {
        put(
            state,
            i,
            switch (i >> 2 & 3) {
              case 0 -> a;
              case 1 -> b;
              default -> s;
            });
      }
    }
  }

  private static void put(MachineState state, int number, long value) {
    int i = number & 31;
    if ((number & 32) == 0) {
      state.xmm[i] = value;
    } else {
      state.ymm[i] = value;
    }
  }

  private static long value(boolean doubles, RandomGenerator random) {
    return doubles ? FloatOperands.next64(random) : FloatOperands.next32x2(random);
  }

  private static long addend64(long a, long b, RandomGenerator random) {
    double x = Double.longBitsToDouble(a);
    double y = Double.longBitsToDouble(b);
    double r =
        switch (random.nextInt(6)) {
          case 0 -> -(x * y);
          case 1 -> x * y;
          case 2 -> Math.nextUp(-(x * y));
          case 3 -> -(x * y) * 0.5;
          case 4 -> Math.scalb(x * y, random.nextInt(-120, 120));
          default -> -Math.scalb(x * y, random.nextInt(-60, 60));
        };
    return Double.doubleToRawLongBits(r);
  }

  private static long addend32x2(long a, long b, RandomGenerator random) {
    long low = addend32((int) a, (int) b, random) & 0xFFFF_FFFFL;
    return low | (long) addend32((int) (a >>> 32), (int) (b >>> 32), random) << 32;
  }

  private static int addend32(int a, int b, RandomGenerator random) {
    float x = Float.intBitsToFloat(a);
    float y = Float.intBitsToFloat(b);
    float r =
        switch (random.nextInt(6)) {
          case 0 -> -(x * y);
          case 1 -> x * y;
          case 2 -> Math.nextUp(-(x * y));
          case 3 -> -(x * y) * 0.5f;
          case 4 -> Math.scalb(x * y, random.nextInt(-60, 60));
          default -> -Math.scalb(x * y, random.nextInt(-30, 30));
        };
    return Float.floatToRawIntBits(r);
  }
}
