package dev.partita.engine.software;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/// What an instruction of user mode can see and change: registers and one area of memory. Mutable;
/// the differential tests give a copy to the host's processor and one to the engine.
final class MachineState {
  /// Linear address of the code under test, on the host and in the guest.
  static final long CODE = 0x20_0000L;

  /// Linear address of {@link #memory}.
  static final long MEMORY = 0x30_0000L;

  /// Bytes in {@link #memory}: one page.
  static final int MEMORY_SIZE = 4096;

  /// Where {@link #random} lets RSP point: the upper part of the memory.
  static final long STACK = MEMORY + 0xC00;

  /// Bytes of the FXSAVE image before the XMM registers.
  static final int X87_SIZE = 160;

  private static final long[] INTERESTING = {
    0,
    1,
    2,
    3,
    -1,
    -2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x1_0000,
    0x7FFF_FFFFL,
    0x8000_0000L,
    0xFFFF_FFFFL,
    0x1_0000_0000L,
    0xFFFF_FFFF_8000_0000L,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    Long.MIN_VALUE + 1,
    0x5555_5555_5555_5555L,
    0xAAAA_AAAA_AAAA_AAAAL,
    0x0123_4567_89AB_CDEFL,
    0x8080_8080_8080_8080L,
    0x7F7F_7F7F_7F7F_7F7FL,
    // Floating point: one, minus one, infinities, NaNs, denormals, limits; single and double
    0x3F80_0000_3F80_0000L,
    0xBF80_0000_3F00_0000L,
    0x7F80_0000_FF80_0000L,
    0x7FC0_0000_7FA0_0000L,
    0x0000_0001_8000_0000L,
    0x7F7F_FFFF_0080_0000L,
    0x4F00_0000_CF00_0000L,
    0x3FF0_0000_0000_0000L,
    0xBFF0_0000_0000_0000L,
    0x7FF0_0000_0000_0000L,
    0xFFF0_0000_0000_0000L,
    0x7FF8_0000_0000_0000L,
    0x7FF4_0000_0000_0001L,
    0x7FEF_FFFF_FFFF_FFFFL,
    0x0010_0000_0000_0000L,
    0x000F_FFFF_FFFF_FFFFL,
    0x41E0_0000_0000_0000L,
    0xC1E0_0000_0020_0000L,
    0x43E0_0000_0000_0000L,
    0x3FE0_0000_0000_0000L,
    0x4004_0000_0000_0000L
  };

  /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15. RSP must stay in {@link #memory}.
  final long[] general = new long[16];

  /// RFLAGS: the six arithmetic flags and DF count; the rest is as in user mode.
  long flags = 2;

  /// XMM registers: bits 63:0 of register n at 2 n, bits 127:64 after it.
  final long[] xmm = new long[32];

  /// The upper halves of the YMM registers: bits 191:128 of register n at 2 n, bits 255:192 after
  /// it. A host without AVX leaves them as they are.
  final long[] ymm = new long[32];

  int mxcsr = 0x1F80;

  /// The first bytes of an FXSAVE64 image: x87 state. Bytes 24 to 31 (MXCSR) do not count.
  final byte[] x87 = new byte[X87_SIZE];

  /// What is at {@link #MEMORY}.
  final byte[] memory = new byte[MEMORY_SIZE];

  MachineState() {
    general[Cpu.RSP] = STACK;
    // FCW after FNINIT; all registers empty.
    x87[0] = 0x7F;
    x87[1] = 0x03;
  }

  MachineState copy() {
    var s = new MachineState();
    System.arraycopy(general, 0, s.general, 0, 16);
    s.flags = flags;
    System.arraycopy(xmm, 0, s.xmm, 0, 32);
    System.arraycopy(ymm, 0, s.ymm, 0, 32);
    s.mxcsr = mxcsr;
    System.arraycopy(x87, 0, s.x87, 0, X87_SIZE);
    System.arraycopy(memory, 0, s.memory, 0, MEMORY_SIZE);
    return s;
  }

  /// A state of random and interesting values; x87 registers empty, all exceptions masked.
  static MachineState random(RandomGenerator random) {
    var s = new MachineState();
    for (int i = 0; i < 16; i++) {
      s.general[i] = interesting(random);
    }
    s.general[Cpu.RSP] = STACK + 8 * random.nextInt(0x40);
    s.flags = random.nextInt() & Cpu.ARITHMETIC | 2;
    for (int i = 0; i < 32; i++) {
      s.xmm[i] = interesting(random);
      s.ymm[i] = interesting(random);
    }
    for (int i = 0; i < MEMORY_SIZE; i += 8) {
      s.setMemory(i, interesting(random));
    }
    return s;
  }

  /// A value that is special in some size or format about as often as not.
  static long interesting(RandomGenerator random) {
    return switch (random.nextInt(8)) {
      case 0, 1, 2 -> INTERESTING[random.nextInt(INTERESTING.length)];
      case 3 -> random.nextInt(256) - 128;
      case 4 -> {
        long a = INTERESTING[random.nextInt(INTERESTING.length)];
        yield a + random.nextInt(3) - 1;
      }
      case 5 -> 1L << random.nextInt(64);
      default -> random.nextLong();
    };
  }

  /// Eight bytes of {@link #memory}, little-endian.
  long memory(int offset) {
    long v = 0;
    for (int i = 7; i >= 0; i--) {
      v = v << 8 | memory[offset + i] & 0xFF;
    }
    return v;
  }

  void setMemory(int offset, long value) {
    for (int i = 0; i < 8; i++) {
      memory[offset + i] = (byte) (value >>> 8 * i);
    }
  }

  int controlWord() {
    return x87[0] & 0xFF | (x87[1] & 0xFF) << 8;
  }

  void setControlWord(int value) {
    x87[0] = (byte) value;
    x87[1] = (byte) (value >> 8);
  }

  int statusWord() {
    return x87[2] & 0xFF | (x87[3] & 0xFF) << 8;
  }

  void setStatusWord(int value) {
    x87[2] = (byte) value;
    x87[3] = (byte) (value >> 8);
  }

  /// The abridged tag word: bit n set = physical register n is not empty.
  int tags() {
    return x87[4] & 0xFF;
  }

  void setTags(int value) {
    x87[4] = (byte) value;
  }

  /// The significand of ST(n) (or an MMX register, when TOP is 0).
  long significand(int n) {
    long v = 0;
    for (int i = 7; i >= 0; i--) {
      v = v << 8 | x87[32 + 16 * n + i] & 0xFF;
    }
    return v;
  }

  /// Sign and exponent of ST(n): 16 bits.
  int exponent(int n) {
    return x87[40 + 16 * n] & 0xFF | (x87[41 + 16 * n] & 0xFF) << 8;
  }

  void setRegister(int n, int exponent, long significand) {
    for (int i = 0; i < 8; i++) {
      x87[32 + 16 * n + i] = (byte) (significand >>> 8 * i);
    }
    x87[40 + 16 * n] = (byte) exponent;
    x87[41 + 16 * n] = (byte) (exponent >> 8);
  }

  /// Puts random values into the MMX registers, as after an MMX instruction.
  MachineState withMmx(RandomGenerator random) {
    setStatusWord(0);
    setTags(0xFF);
    for (int i = 0; i < 8; i++) {
      setRegister(i, 0xFFFF, interesting(random));
    }
    return this;
  }

  @Override
  public String toString() {
    var text = new StringBuilder();
    for (int i = 0; i < 16; i++) {
      text.append("r%d=%016x%s".formatted(i, general[i], i % 4 == 3 ? "\n" : " "));
    }
    text.append("flags=%x mxcsr=%x\n".formatted(flags, mxcsr));
    for (int i = 0; i < 16; i++) {
      text.append(
          "xmm%d=%016x_%016x%s".formatted(i, xmm[2 * i + 1], xmm[2 * i], i % 2 == 1 ? "\n" : " "));
    }
    for (int i = 0; i < 16; i++) {
      text.append(
          "ymm%d=%016x_%016x%s".formatted(i, ymm[2 * i + 1], ymm[2 * i], i % 2 == 1 ? "\n" : " "));
    }
    text.append("fcw=%04x fsw=%04x tags=%02x\n".formatted(controlWord(), statusWord(), tags()));
    for (int i = 0; i < 8; i++) {
      text.append(
          "st%d=%04x_%016x%s".formatted(i, exponent(i), significand(i), i % 4 == 3 ? "\n" : " "));
    }
    return text.toString();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof MachineState s
        && Arrays.equals(general, s.general)
        && flags == s.flags
        && Arrays.equals(xmm, s.xmm)
        && Arrays.equals(ymm, s.ymm)
        && mxcsr == s.mxcsr
        && Arrays.equals(x87, s.x87)
        && Arrays.equals(memory, s.memory);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(general);
  }
}
