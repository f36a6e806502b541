package dev.partita.engine.software;

import java.util.random.RandomGenerator;

/// Random states of the x87 unit for the differential tests: all kinds of values in the registers,
/// all precisions and roundings.
final class X87States {
  private static final int[] EXPONENTS = {
    0, 1, 2, 0x3FBE, 0x3FC0, 0x3FFB, 0x3FFC, 0x3FFD, 0x3FFE, 0x3FFF, 0x4000, 0x4001, 0x400E, 0x401D,
    0x401E, 0x403A, 0x403C, 0x403D, 0x403E, 0x403F, 0x407E, 0x407F, 0x3F80, 0x3F81, 0x3F6A, 0x43FE,
    0x43FF, 0x3C00, 0x3C01, 0x3BCC, 0x7FFD, 0x7FFE, 0x7FFF, 0x0040, 0x4010, 0x5FFF, 0x2000
  };

  private static final long[] SIGNIFICANDS = {
    0x8000_0000_0000_0000L,
    0x8000_0000_0000_0001L,
    0xC000_0000_0000_0000L,
    0xC000_0000_0000_0001L,
    0xFFFF_FFFF_FFFF_FFFFL,
    0xFFFF_FFFF_FFFF_FFFEL,
    0xFFFF_FF00_0000_0000L,
    0xFFFF_FF80_0000_0000L,
    0xFFFF_FFFF_FFFF_F800L,
    0xFFFF_FFFF_FFFF_FC00L,
    0x8000_0080_0000_0000L,
    0x8000_0000_0000_0400L,
    0xB504_F333_F9DE_6484L,
    0xC90F_DAA2_2168_C235L,
    0xA000_0000_0000_0000L,
    0x8000_0000_8000_0000L,
    0x0000_0000_0000_0001L,
    0x4000_0000_0000_0000L,
    0x7FFF_FFFF_FFFF_FFFFL,
    0
  };

  private X87States() {}

  /// A state with random registers, control word and condition codes.
  ///
  /// @param unmasked exceptions may be unmasked; none is pending
  static MachineState random(RandomGenerator random, boolean unmasked) {
    var s = MachineState.random(random);
    int masks = unmasked ? random.nextInt(64) : 0x3F;
    int precision = new int[] {0, 1, 2, 3, 3}[random.nextInt(5)];
    s.setControlWord(masks | 0x40 | precision << 8 | random.nextInt(4) << 10);
    int codes = random.nextInt() & (X87.C0 | X87.C1 | X87.C2 | X87.C3);
    int sticky = random.nextInt(3) == 0 ? random.nextInt() & 0x7F & (masks | 0x40) : 0;
    s.setStatusWord(codes | sticky | random.nextInt(8) << 11);
    s.setTags(
        switch (random.nextInt(10)) {
          case 0 -> random.nextInt(256);
          case 1 -> 0xFF;
          default -> fullBut7(s);
        });
    for (int i = 0; i < 8; i++) {
      value(random, s, i);
    }
    if (random.nextInt(4) == 0) {
      // Neighbours and equals.
      s.setRegister(1, s.exponent(0) ^ (random.nextInt(4) == 0 ? 0x8000 : 0), s.significand(0));
      if (random.nextBoolean()) {
        s.setRegister(0, s.exponent(0), s.significand(0) ^ 1L << random.nextInt(64));
      }
    }
    return s;
  }

  /// ST(0) to ST(6) valid, ST(7) empty: room for a push.
  private static int fullBut7(MachineState s) {
    int top = s.statusWord() >> 11 & 7;
    return 0xFF & ~(1 << (top + 7 & 7));
  }

  private static void value(RandomGenerator random, MachineState s, int register) {
    int sign = random.nextInt(2) << 15;
    switch (random.nextInt(8)) {
      case 0 ->
          s.setRegister(
              register,
              sign | EXPONENTS[random.nextInt(EXPONENTS.length)],
              SIGNIFICANDS[random.nextInt(SIGNIFICANDS.length)]);
      case 1 ->
          s.setRegister(
              register, sign | 0x3FC0 + random.nextInt(0x80), SIGNIFICANDS[random.nextInt(16)]);
      case 2 -> {
        // A small integer or a fraction with few bits.
        long n = random.nextInt(1, 2000);
        int shift = Long.numberOfLeadingZeros(n);
        s.setRegister(register, sign | 0x3FFF + 63 - shift - random.nextInt(4), n << shift);
      }
      case 3 ->
          s.setRegister(
              register,
              sign | EXPONENTS[random.nextInt(EXPONENTS.length)],
              random.nextLong() | Long.MIN_VALUE);
      case 4 -> {
        // Denormal or near it
        s.setRegister(register, sign | random.nextInt(3), random.nextLong() >>> random.nextInt(64));
        if (s.exponent(register) << 17 != 0) {
          s.setRegister(register, s.exponent(register), s.significand(register) | Long.MIN_VALUE);
        }
      }
      case 5 -> s.setRegister(register, random.nextInt() & 0xFFFF, random.nextLong());
      default ->
          s.setRegister(
              register, sign | 0x3FF0 + random.nextInt(0x20), random.nextLong() | Long.MIN_VALUE);
    }
  }
}
