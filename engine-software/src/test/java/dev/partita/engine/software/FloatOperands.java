package dev.partita.engine.software;

import java.util.random.RandomGenerator;

/// Floating-point numbers for tests: special ones, those near the limits of the format and of
/// integers, pairs whose sum, product or quotient is exact or nearly so.
final class FloatOperands {
  private static final long[] SPECIAL = {
    0,
    1L << 63,
    0x7FF0_0000_0000_0000L,
    0xFFF0_0000_0000_0000L,
    0x7FF8_0000_0000_0000L,
    0xFFF8_0000_0000_0123L,
    0x7FF0_0000_0000_0001L,
    0xFFF4_0000_0000_0000L,
    1,
    0x800F_FFFF_FFFF_FFFFL,
    0x0010_0000_0000_0000L,
    0x0010_0000_0000_0001L,
    0x7FEF_FFFF_FFFF_FFFFL,
    0x3FF0_0000_0000_0000L,
    0xBFF0_0000_0000_0000L,
    0x3FE0_0000_0000_0000L,
    0x3FF8_0000_0000_0000L,
    0x41DF_FFFF_FFC0_0000L,
    0x41E0_0000_0000_0000L,
    0xC1E0_0000_0000_0000L,
    0xC1E0_0000_001F_FFFFL,
    0x43E0_0000_0000_0000L,
    0xC3E0_0000_0000_0000L,
    0x43DF_FFFF_FFFF_FFFFL,
    // Where single overflows and underflows
    0x47EF_FFFF_E000_0000L,
    0x47EF_FFFF_EFFF_FFFFL,
    0x47EF_FFFF_F000_0000L,
    0x3810_0000_0000_0000L,
    0x380F_FFFF_F000_0000L,
    0x380F_FFFF_E800_0000L,
    0x36A0_0000_0000_0000L,
    0x3690_0000_0000_0000L,
    0x3690_0000_0000_0001L
  };

  private static final int[] SPECIAL_SINGLE = {
    0,
    0x8000_0000,
    0x7F80_0000,
    0xFF80_0000,
    0x7FC0_0000,
    0xFFC0_0123,
    0x7F80_0001,
    0xFFA0_0000,
    1,
    0x807F_FFFF,
    0x0080_0000,
    0x0080_0001,
    0x7F7F_FFFF,
    0x3F80_0000,
    0xBF80_0000,
    0x3F00_0000,
    0x3FC0_0000,
    0x4F00_0000,
    0xCF00_0000,
    0xCF00_0001,
    0x4EFF_FFFF,
    0x5F00_0000,
    0xDF00_0000,
    0x5EFF_FFFF
  };

  private FloatOperands() {}

  static long next64(RandomGenerator random) {
    return switch (random.nextInt(10)) {
      case 0, 1 -> SPECIAL[random.nextInt(SPECIAL.length)];
      case 2 -> random.nextLong();
      case 3 -> Double.doubleToRawLongBits(random.nextInt(-1000, 1000));
      case 4 -> Double.doubleToRawLongBits(random.nextInt(-1000, 1000) / 8.0);
      // Denormal
      case 5 -> random.nextLong() & 0x800F_FFFF_FFFF_FFFFL & -1L >> random.nextInt(52);
      // An exponent near the lower limit
      case 6 -> random.nextLong() & 0x803F_FFFF_FFFF_FFFFL;
      // Near the upper one
      case 7 -> random.nextLong() & 0x801F_FFFF_FFFF_FFFFL | 0x7FC0_0000_0000_0000L;
      // Few significant bits
      case 8 ->
          (random.nextLong() & -1L << random.nextInt(52)) & 0x807F_FFFF_FFFF_FFFFL
              | 0x3FC0_0000_0000_0000L;
      default -> random.nextLong() & 0x83FF_FFFF_FFFF_FFFFL | 0x3E00_0000_0000_0000L;
    };
  }

  static int next32(RandomGenerator random) {
    return switch (random.nextInt(10)) {
      case 0, 1 -> SPECIAL_SINGLE[random.nextInt(SPECIAL_SINGLE.length)];
      case 2 -> random.nextInt();
      case 3 -> Float.floatToRawIntBits(random.nextInt(-1000, 1000));
      case 4 -> Float.floatToRawIntBits(random.nextInt(-1000, 1000) / 8.0f);
      case 5 -> random.nextInt() & 0x807F_FFFF & -1 >> random.nextInt(23);
      case 6 -> random.nextInt() & 0x81FF_FFFF;
      case 7 -> random.nextInt() & 0x80FF_FFFF | 0x7E00_0000;
      case 8 -> (random.nextInt() & -1 << random.nextInt(23)) & 0x83FF_FFFF | 0x3E00_0000;
      default -> random.nextInt() & 0x9FFF_FFFF | 0x3000_0000;
    };
  }

  static long next32x2(RandomGenerator random) {
    return next32(random) & 0xFFFF_FFFFL | (long) next32(random) << 32;
  }

  /// An MXCSR with all exceptions masked: any rounding mode, any flags.
  static int control(RandomGenerator random) {
    int m = 0x1F80;
    if (random.nextBoolean()) {
      m |= random.nextInt(4) << 13;
    }
    if (random.nextInt(3) == 0) {
      m |= random.nextInt(2) << 6 | random.nextInt(2) << 15;
    }
    if (random.nextBoolean()) {
      m |= random.nextInt(64);
    }
    return m;
  }

  /// Now and then makes registers depend on each other, so that results come close to exact ones.
  static void relate(MachineState state, RandomGenerator random) {
    if (random.nextInt(3) != 0) {
      return;
    }
    for (int k = 0; k < 16; k++) {
      int i = random.nextInt(32);
      int j = random.nextInt(32);
      double x = Double.longBitsToDouble(state.xmm[i]);
      double y = Double.longBitsToDouble(state.xmm[j]);
      double r =
          switch (random.nextInt(5)) {
            case 0 -> x * y;
            case 1 -> x * x;
            case 2 -> -x;
            case 3 -> x + y;
            default -> Math.nextUp(x);
          };
      state.xmm[random.nextInt(32)] = Double.doubleToRawLongBits(r);
    }
  }
}
