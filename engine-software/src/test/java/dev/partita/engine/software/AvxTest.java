package dev.partita.engine.software;

import java.io.ByteArrayOutputStream;
import java.util.Random;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Every VEX-coded form of the vector registers, against the host's processor: registers and
/// memory, all 256 bits of every register compared. The notation is {@link VexForms}'.
class AvxTest {
  private static final int RUNS = Integer.getInteger("partita.differential.runs", 60);

  private static final String AVX_MOVES =
      """
      NP 0F 10 W? L? rm
      66 0F 10 W? L? rm
      NP 0F 11 W? L? rm
      66 0F 11 W? L? rm
      F3 0F 10 W? L? m
      F2 0F 10 W? L? m
      F3 0F 10 W? L? vr
      F2 0F 10 W? L? vr
      F3 0F 11 W? L? m
      F2 0F 11 W? L? m
      F3 0F 11 W? L? vr
      F2 0F 11 W? L? vr
      NP 0F 12 W? L0 vrm
      66 0F 12 W? L0 vm
      F3 0F 12 W? L? rm
      F2 0F 12 W? L? rm
      NP 0F 13 W? L0 m
      66 0F 13 W? L0 m
      NP 0F 16 W? L0 vrm
      66 0F 16 W? L0 vm
      F3 0F 16 W? L? rm
      NP 0F 17 W? L0 m
      66 0F 17 W? L0 m
      NP 0F 28 W? L? rma
      66 0F 28 W? L? rma
      NP 0F 29 W? L? rma
      66 0F 29 W? L? rma
      NP 0F 2B W? L? ma
      66 0F 2B W? L? ma
      NP 0F 50 W? L? rG
      66 0F 50 W? L? rG
      66 0F 6E W? L0 rmg
      66 0F 6F W? L? rma
      F3 0F 6F W? L? rm
      66 0F 7E W? L0 rmg
      F3 0F 7E W? L0 rm
      66 0F 7F W? L? rma
      F3 0F 7F W? L? rm
      66 0F D6 W? L0 rm
      66 0F E7 W? L? ma
      F2 0F F0 W? L? m
      66 0F38 2A W? L? ma
      66 0F D7 W? L0 rG
      66 0F C4 W? L0 vrmgi
      66 0F C5 W? L0 rGi
      66 0F3A 14 W? L0 rmgi
      66 0F3A 15 W? L0 rmgi
      66 0F3A 16 W? L0 rmgi
      66 0F3A 17 W? L0 rmgi
      66 0F3A 20 W? L0 vrmgi
      66 0F3A 21 W? L0 vrmi
      66 0F3A 22 W? L0 vrmgi
      66 0F38 18 W0 L? m
      66 0F38 19 W0 L1 m
      66 0F38 1A W0 L1 m
      66 0F3A 18 W0 L1 vrmi
      66 0F3A 19 W0 L1 rmi
      """;

  private static final String AVX_SHUFFLES =
      """
      NP 0F 14 W? L? vrm
      66 0F 14 W? L? vrm
      NP 0F 15 W? L? vrm
      66 0F 15 W? L? vrm
      NP 0F C6 W? L? vrmi
      66 0F C6 W? L? vrmi
      66 0F 70 W? L0 rmi
      F3 0F 70 W? L0 rmi
      F2 0F 70 W? L0 rmi
      66 0F38 00 W? L0 vrm
      66 0F38 0C W0 L? vrm
      66 0F38 0D W0 L? vrm
      66 0F3A 04 W0 L? rmi
      66 0F3A 05 W0 L? rmi
      66 0F3A 06 W0 L1 vrmi
      66 0F3A 0C W? L? vrmi
      66 0F3A 0D W? L? vrmi
      66 0F3A 0E W? L0 vrmi
      66 0F3A 0F W? L0 vrmi
      66 0F3A 4A W0 L? vrmi
      66 0F3A 4B W0 L? vrmi
      66 0F3A 4C W0 L0 vrmi
      66 0F38 20 W? L0 rm
      66 0F38 21 W? L0 rm
      66 0F38 22 W? L0 rm
      66 0F38 23 W? L0 rm
      66 0F38 24 W? L0 rm
      66 0F38 25 W? L0 rm
      66 0F38 30 W? L0 rm
      66 0F38 31 W? L0 rm
      66 0F38 32 W? L0 rm
      66 0F38 33 W? L0 rm
      66 0F38 34 W? L0 rm
      66 0F38 35 W? L0 rm
      NP 0F 54 W? L? vrm
      66 0F 54 W? L? vrm
      NP 0F 55 W? L? vrm
      66 0F 55 W? L? vrm
      NP 0F 56 W? L? vrm
      66 0F 56 W? L? vrm
      NP 0F 57 W? L? vrm
      66 0F 57 W? L? vrm
      66 0F38 0E W0 L? rm
      66 0F38 0F W0 L? rm
      66 0F38 17 W? L? rm
      """;

  /// Packed integer opcodes of map 0F and 0F38 that AVX has with 128 bits and AVX2 with 256.
  private static final String[] INTEGERS = {
    "60", "61", "62", "63", "64", "65", "66", "67", "68", "69", "6A", "6B", "6C", "6D", "74", "75",
    "76", "D4", "D5", "D8", "D9", "DA", "DB", "DC", "DD", "DE", "DF", "E0", "E3", "E4", "E5", "E8",
    "E9", "EA", "EB", "EC", "ED", "EE", "EF", "F4", "F5", "F6", "F8", "F9", "FA", "FB", "FC", "FD",
    "FE"
  };

  private static final String[] INTEGERS_38 = {
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "0A", "0B", "28", "29", "2B", "37", "38",
    "39", "3A", "3B", "3C", "3D", "3E", "3F", "40"
  };

  private static final String AVX_INTEGERS =
      """
      66 0F38 1C W? L0 rm
      66 0F38 1D W? L0 rm
      66 0F38 1E W? L0 rm
      66 0F38 41 W? L0 rm
      66 0F3A 42 W? L0 vrmi
      66 0F3A 60 W? L0 rmi
      66 0F3A 61 W? L0 rmi
      66 0F3A 62 W? L0 rmi
      66 0F3A 63 W? L0 rmi
      """;

  private static final String AVX2 =
      """
      66 0F38 1C W? L1 rm
      66 0F38 1D W? L1 rm
      66 0F38 1E W? L1 rm
      66 0F3A 42 W? L1 vrmi
      66 0F D7 W? L1 rG
      66 0F 70 W? L1 rmi
      F3 0F 70 W? L1 rmi
      F2 0F 70 W? L1 rmi
      66 0F38 00 W? L1 vrm
      66 0F3A 0E W? L1 vrmi
      66 0F3A 0F W? L1 vrmi
      66 0F3A 4C W0 L1 vrmi
      66 0F38 20 W? L1 rm
      66 0F38 21 W? L1 rm
      66 0F38 22 W? L1 rm
      66 0F38 23 W? L1 rm
      66 0F38 24 W? L1 rm
      66 0F38 25 W? L1 rm
      66 0F38 30 W? L1 rm
      66 0F38 31 W? L1 rm
      66 0F38 32 W? L1 rm
      66 0F38 33 W? L1 rm
      66 0F38 34 W? L1 rm
      66 0F38 35 W? L1 rm
      66 0F38 18 W0 L? r
      66 0F38 19 W0 L1 r
      66 0F38 58 W0 L? rm
      66 0F38 59 W0 L? rm
      66 0F38 5A W0 L1 m
      66 0F38 78 W0 L? rm
      66 0F38 79 W0 L? rm
      66 0F38 16 W0 L1 vrm
      66 0F38 36 W0 L1 vrm
      66 0F3A 00 W1 L1 rmi
      66 0F3A 01 W1 L1 rmi
      66 0F3A 02 W0 L? vrmi
      66 0F3A 38 W0 L1 vrmi
      66 0F3A 39 W0 L1 rmi
      66 0F3A 46 W0 L1 vrmi
      """;

  private static final String SHIFTS =
      """
      66 0F D1 W? L? vrm
      66 0F D2 W? L? vrm
      66 0F D3 W? L? vrm
      66 0F E1 W? L? vrm
      66 0F E2 W? L? vrm
      66 0F F1 W? L? vrm
      66 0F F2 W? L? vrm
      66 0F F3 W? L? vrm
      66 0F 71/2 W? L? vri
      66 0F 71/4 W? L? vri
      66 0F 71/6 W? L? vri
      66 0F 72/2 W? L? vri
      66 0F 72/4 W? L? vri
      66 0F 72/6 W? L? vri
      66 0F 73/2 W? L? vri
      66 0F 73/3 W? L? vri
      66 0F 73/6 W? L? vri
      66 0F 73/7 W? L? vri
      66 0F38 45 W? L? vrm
      66 0F38 46 W0 L? vrm
      66 0F38 47 W? L? vrm
      """;

  private static final String MASKED =
      """
      66 0F38 2C W0 L? vm
      66 0F38 2D W0 L? vm
      66 0F38 2E W0 L? vm
      66 0F38 2F W0 L? vm
      66 0F38 8C W? L? vm
      66 0F38 8E W? L? vm
      """;

  private static final String FLOATS =
      """
      NP 0F 51 W? L? rm
      66 0F 51 W? L? rm
      F3 0F 51 W? L? vrm
      F2 0F 51 W? L? vrm
      NP 0F 52 W? L? rm
      F3 0F 52 W? L? vrm
      NP 0F 53 W? L? rm
      F3 0F 53 W? L? vrm
      NP 0F C2 W? L? vrmi
      66 0F C2 W? L? vrmi
      F3 0F C2 W? L? vrmi
      F2 0F C2 W? L? vrmi
      NP 0F 2E W? L? rm
      66 0F 2E W? L? rm
      NP 0F 2F W? L? rm
      66 0F 2F W? L? rm
      66 0F 7C W? L? vrm
      F2 0F 7C W? L? vrm
      66 0F 7D W? L? vrm
      F2 0F 7D W? L? vrm
      66 0F D0 W? L? vrm
      F2 0F D0 W? L? vrm
      66 0F3A 08 W? L? rmi
      66 0F3A 09 W? L? rmi
      66 0F3A 0A W? L? vrmi
      66 0F3A 0B W? L? vrmi
      66 0F3A 40 W? L? vrmi
      66 0F3A 40 W? L? vrmi
      66 0F3A 41 W? L0 vrmi
      NP 0F 5A W? L? rm
      66 0F 5A W? L? rm
      F3 0F 5A W? L? vrm
      F2 0F 5A W? L? vrm
      NP 0F 5B W? L? rm
      66 0F 5B W? L? rm
      F3 0F 5B W? L? rm
      66 0F E6 W? L? rm
      F3 0F E6 W? L? rm
      F2 0F E6 W? L? rm
      F3 0F 2A W? L? vrmg
      F2 0F 2A W? L? vrmg
      F3 0F 2C W? L? rmG
      F2 0F 2C W? L? rmG
      F3 0F 2D W? L? rmG
      F2 0F 2D W? L? rmG
      """;

  private static void integers(MachineState state, RandomGenerator random) {}

  /// Small counts are as likely as others.
  private static void counts(MachineState state, RandomGenerator random) {
    for (int i = 0; i < 32; i++) {
      if (random.nextBoolean()) {
        state.xmm[i] = random.nextInt(70) | (long) random.nextInt(40) << 32 * random.nextInt(2);
        state.ymm[i] = random.nextInt(70) | (long) random.nextInt(40) << 32 * random.nextInt(2);
      }
    }
    for (int i = 0; i < MachineState.MEMORY_SIZE; i += 8) {
      if (random.nextBoolean()) {
        state.setMemory(i, random.nextInt(70) | (long) random.nextInt(40) << 32);
      }
    }
  }

  static void numbers(MachineState state, RandomGenerator random) {
    boolean doubles = random.nextBoolean();
    for (int i = 0; i < 32; i++) {
      state.xmm[i] = doubles ? FloatOperands.next64(random) : FloatOperands.next32x2(random);
      state.ymm[i] = doubles ? FloatOperands.next64(random) : FloatOperands.next32x2(random);
    }
    for (int i = 0; i < MachineState.MEMORY_SIZE; i += 8) {
      state.setMemory(i, doubles ? FloatOperands.next64(random) : FloatOperands.next32x2(random));
    }
    state.mxcsr = FloatOperands.control(random);
    FloatOperands.relate(state, random);
  }

  private static void check(String form, VectorForms.Preparation preparation, int runs) {
    new VexForms(new Random(form.hashCode())).compare(form, runs, preparation);
  }

  private static Stream<String> of(String table) {
    return VexForms.lines(table).stream();
  }

  static Stream<String> avxForms() {
    var integers = Stream.of(INTEGERS).map(op -> "66 0F " + op + " W? L0 vrm");
    var more = Stream.of(INTEGERS_38).map(op -> "66 0F38 " + op + " W? L0 vrm");
    return Stream.of(of(AVX_MOVES), of(AVX_SHUFFLES), of(AVX_INTEGERS), integers, more)
        .flatMap(s -> s);
  }

  @ParameterizedTest
  @MethodSource("avxForms")
  void avx(String form) {
    NativeProcessor.requireFeatures("avx");
    check(form, AvxTest::integers, RUNS);
  }

  static Stream<String> avx2Forms() {
    var integers = Stream.of(INTEGERS).map(op -> "66 0F " + op + " W? L1 vrm");
    var more = Stream.of(INTEGERS_38).map(op -> "66 0F38 " + op + " W? L1 vrm");
    return Stream.of(of(AVX2), integers, more).flatMap(s -> s);
  }

  @ParameterizedTest
  @MethodSource("avx2Forms")
  void avx2(String form) {
    NativeProcessor.requireFeatures("avx2");
    check(form, AvxTest::integers, RUNS);
  }

  static Stream<String> shiftForms() {
    return of(SHIFTS);
  }

  @ParameterizedTest
  @MethodSource("shiftForms")
  void shifts(String form) {
    NativeProcessor.requireFeatures("avx2");
    check(form, AvxTest::counts, 2 * RUNS);
  }

  static Stream<String> maskedForms() {
    return of(MASKED);
  }

  @ParameterizedTest
  @MethodSource("maskedForms")
  void maskedMoves(String form) {
    NativeProcessor.requireFeatures("avx2");
    check(form, AvxTest::integers, 2 * RUNS);
  }

  static Stream<String> floatForms() {
    var arithmetic =
        Stream.of("58", "59", "5C", "5D", "5E", "5F")
            .flatMap(op -> Stream.of("NP", "66", "F3", "F2").map(p -> p + " 0F " + op))
            .map(s -> s + " W? L? vrm");
    return Stream.concat(arithmetic, of(FLOATS));
  }

  @ParameterizedTest
  @MethodSource("floatForms")
  void floats(String form) {
    NativeProcessor.requireFeatures("avx");
    check(form, AvxTest::numbers, 6 * RUNS);
  }

  static Stream<String> fusedForms() {
    return Stream.of("9", "A", "B")
        .flatMap(
            order ->
                Stream.of("6", "7", "8", "9", "A", "B", "C", "D", "E", "F")
                    .map(op -> "66 0F38 " + order + op + " W? L? vrm"));
  }

  @ParameterizedTest
  @MethodSource("fusedForms")
  void fusedMultiplyAdd(String form) {
    NativeProcessor.requireFeatures("avx", "fma");
    check(form, FusedOperands::prepare, 12 * RUNS);
  }

  @ParameterizedTest
  @MethodSource("halfForms")
  void halfPrecision(String form) {
    NativeProcessor.requireFeatures("avx", "f16c");
    check(form, AvxTest::halves, 12 * RUNS);
  }

  static Stream<String> halfForms() {
    return Stream.of("66 0F38 13 W0 L? rm", "66 0F3A 1D W0 L? rmi");
  }

  /// Halves of all kinds, and singles where halves overflow and underflow.
  private static void halves(MachineState state, RandomGenerator random) {
    numbers(state, random);
    boolean singles = random.nextBoolean();
    for (int i = 0; i < 32; i++) {
      state.xmm[i] = singles ? nearHalves(random) : random.nextLong() & mask(random);
      state.ymm[i] = singles ? nearHalves(random) : random.nextLong() & mask(random);
    }
  }

  private static long mask(RandomGenerator random) {
    return switch (random.nextInt(4)) {
      case 0 -> 0x83FF_83FF_83FF_83FFL;
      case 1 -> 0x8200_8001_FC00_7C01L;
      default -> -1L;
    };
  }

  private static long nearHalves(RandomGenerator random) {
    return nearHalf(random) & 0xFFFF_FFFFL | (long) nearHalf(random) << 32;
  }

  private static int nearHalf(RandomGenerator random) {
    int r = random.nextInt() & 0x8000_0000;
    if (random.nextInt(6) == 0) {
      return FloatOperands.next32(random);
    }
    int exponent = random.nextInt(127 - 28, 127 + 18);
    int fraction = random.nextInt() & 0x7F_FFFF & -1 << random.nextInt(24);
    return r | exponent << 23 | (random.nextInt(4) == 0 ? ~fraction & 0x7F_FFFF : fraction);
  }

  static Stream<String> cipherForms() {
    return Stream.of(
        "66 0F38 DB W? L0 rm",
        "66 0F38 DC W? L0 vrm",
        "66 0F38 DD W? L0 vrm",
        "66 0F38 DE W? L0 vrm",
        "66 0F38 DF W? L0 vrm",
        "66 0F3A DF W? L0 rmi",
        "66 0F3A 44 W? L0 vrmi");
  }

  @ParameterizedTest
  @MethodSource("cipherForms")
  void ciphers(String form) {
    NativeProcessor.requireFeatures("avx", "aes", "pclmulqdq");
    check(form, AvxTest::integers, RUNS);
  }

  @ParameterizedTest
  @MethodSource("wideCipherForms")
  void wideCiphers(String form) {
    NativeProcessor.requireFeatures("avx", "vaes", "vpclmulqdq");
    check(form, AvxTest::integers, RUNS);
  }

  static Stream<String> wideCipherForms() {
    return cipherForms().filter(form -> form.contains("v")).map(form -> form.replace("L0", "L1"));
  }

  @Test
  void gathers() {
    NativeProcessor.requireFeatures("avx2");
    var random = new Random(70);
    var forms = new VexForms(random);
    for (int n = 0; n < 40 * RUNS; n++) {
      var state = MachineState.random(random);
      int to = random.nextInt(16);
      int mask = (to + 1 + random.nextInt(15)) % 16;
      int index = mask;
      while (index == mask || index == to) {
        index = random.nextInt(16);
      }
      int base = random.nextInt(4) == 0 ? 12 : random.nextInt(4);
      int opcode = 0x90 + random.nextInt(4);
      int displacement = random.nextInt(-1000, 1000);
      state.general[base] = MachineState.MEMORY + 0x600 - displacement;
      boolean quadwords = (opcode & 1) != 0;
      for (int k = 0; k < 2; k++) {
        state.xmm[2 * index + k] = gatherIndex(quadwords, random);
        state.ymm[2 * index + k] = gatherIndex(quadwords, random);
      }
      var code =
          forms.gather(
              opcode,
              random.nextInt(2),
              random.nextInt(2),
              to,
              mask,
              index,
              base,
              random.nextInt(4),
              displacement);
      Differential.compare(code, state, Differential.ALL_FLAGS, n % 16 == 0);
    }
  }

  private static long gatherIndex(boolean quadwords, RandomGenerator random) {
    long low = random.nextInt(-64, 64);
    return quadwords ? low : low & 0xFFFF_FFFFL | (long) random.nextInt(-64, 64) << 32;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        // VZEROUPPER, VZEROALL
        "C5F877",
        "C5FC77",
        // VSTMXCSR, VLDMXCSR [rsi]
        "C5F8AE1E",
        "C5F8AE16",
        // VMASKMOVDQU xmm1, xmm2 and xmm9, xmm10
        "C5F9F7CA",
        "C44179F7CA"
      })
  void withoutChoice(String code) {
    NativeProcessor.requireFeatures("avx");
    var random = new Random(71);
    for (int n = 0; n < RUNS; n++) {
      var state = MachineState.random(random);
      state.general[Cpu.RSI] = MachineState.MEMORY + 0x300;
      state.general[Cpu.RDI] = MachineState.MEMORY + 0x301 + random.nextInt(64);
      state.setMemory(0x300, 0x1F80 | random.nextInt(64) | random.nextInt(4) << 13);
      state.mxcsr = 0x1F80 | random.nextInt(64);
      Differential.compare(InstructionForms.parse(code), state, Differential.ALL_FLAGS);
    }
  }

  /// Registers named twice, in every way: what is read must be what was there before.
  @ParameterizedTest
  @MethodSource({"avxForms", "avx2Forms", "shiftForms", "floatForms", "fusedForms"})
  void registersNamedTwice(String form) {
    NativeProcessor.requireFeatures("avx2", "fma");
    var parsed = VexForms.Form.parse(form);
    if (!parsed.has('r') || parsed.has('G') || parsed.has('g')) {
      return;
    }
    var random = new Random(form.hashCode() + 1);
    var forms = new VexForms(random).few();
    for (int n = 0; n < RUNS / 3; n++) {
      var state = MachineState.random(random);
      if (random.nextBoolean()) {
        numbers(state, random);
      }
      Differential.compare(forms.encode(parsed, state), state, Differential.ALL_FLAGS, n % 16 == 0);
    }
  }

  /// Many instructions in a row, SSE's among them, on few registers: what each leaves in all 256
  /// bits is what the next one starts from.
  @Test
  void sequences() {
    NativeProcessor.requireFeatures("avx2", "fma");
    var random = new Random(72);
    var texts =
        Stream.of(avxForms(), avx2Forms(), shiftForms(), floatForms(), fusedForms())
            .flatMap(s -> s)
            .toList();
    var parsed =
        texts.stream()
            .map(VexForms.Form::parse)
            .filter(f -> f.has('r') && !f.has('G') && !f.has('g'))
            .map(VexForms.Form::ofRegisters)
            .toList();
    // MOVAPS, PXOR, ADDPD, MOVQ, CVTDQ2PD, PSHUFB, MOVHLPS of xmm7, xmm8
    String[] legacy = {
      "410F28F8", "66410FEFF8", "66410F58F8", "F3410F7EF8", "F3410FE6F8", "66410F3800F8", "410F12F8"
    };
    var forms = new VexForms(random).few();
    for (int n = 0; n < 10 * RUNS; n++) {
      var state = MachineState.random(random);
      numbers(state, random);
      var out = new ByteArrayOutputStream();
      for (int k = 0; k < 20; k++) {
        out.writeBytes(
            random.nextInt(6) == 0
                ? InstructionForms.parse(legacy[random.nextInt(legacy.length)])
                : forms.encode(parsed.get(random.nextInt(parsed.size())), state));
      }
      Differential.compare(out.toByteArray(), state, Differential.ALL_FLAGS);
    }
  }
}
