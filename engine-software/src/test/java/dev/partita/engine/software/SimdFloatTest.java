package dev.partita.engine.software;

import static dev.partita.engine.software.VectorForms.Source.BOTH;

import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Floating-point instructions on XMM registers, against the host's processor: all rounding modes,
/// denormals-are-zeros and flush-to-zero on and off, flags set and clear before.
class SimdFloatTest {
  private static final int RUNS = 800;

  private final VectorForms forms = new VectorForms(new Random(30));

  @BeforeEach
  void needsTheHost() {
    NativeProcessor.require();
  }

  private static void numbers(MachineState state, RandomGenerator random) {
    boolean doubles = random.nextBoolean();
    for (int i = 0; i < 32; i++) {
      state.xmm[i] = doubles ? FloatOperands.next64(random) : FloatOperands.next32x2(random);
    }
    for (int i = 0; i < MachineState.MEMORY_SIZE; i += 8) {
      state.setMemory(i, doubles ? FloatOperands.next64(random) : FloatOperands.next32x2(random));
    }
    for (int i = 0; i < 8; i++) {
      state.setRegister(i, 0xFFFF, FloatOperands.next32x2(random));
    }
    state.mxcsr = FloatOperands.control(random);
    FloatOperands.relate(state, random);
  }

  private void check(String prefix, String opcode, boolean immediate) {
    forms.compare(prefix, opcode, false, BOTH, immediate, RUNS, SimdFloatTest::numbers);
  }

  @ParameterizedTest
  @ValueSource(strings = {"51", "58", "59", "5C", "5D", "5E", "5F"})
  void arithmetic(String opcode) {
    for (String prefix : new String[] {"", "66", "F3", "F2"}) {
      check(prefix, "0F" + opcode, false);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"52", "53"})
  void approximations(String opcode) {
    check("", "0F" + opcode, false);
    check("F3", "0F" + opcode, false);
  }

  @Test
  void comparisons() {
    for (String prefix : new String[] {"", "66", "F3", "F2"}) {
      check(prefix, "0FC2", true);
    }
    for (String opcode : new String[] {"2E", "2F"}) {
      check("", "0F" + opcode, false);
      check("66", "0F" + opcode, false);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"7C", "7D", "D0"})
  void acrossAndAlternating(String opcode) {
    check("66", "0F" + opcode, false);
    check("F2", "0F" + opcode, false);
  }

  @ParameterizedTest
  @ValueSource(strings = {"08", "09", "0A", "0B"})
  void rounding(String opcode) {
    check("66", "0F3A" + opcode, true);
  }

  @ParameterizedTest
  @ValueSource(strings = {"40", "41"})
  void dotProducts(String opcode) {
    for (int i = 0; i < 4; i++) {
      check("66", "0F3A" + opcode, true);
    }
  }

  @Test
  void conversionsBetweenFormats() {
    for (String prefix : new String[] {"", "66", "F3", "F2"}) {
      check(prefix, "0F5A", false);
    }
  }

  @Test
  void conversionsOfPackedIntegers() {
    for (String prefix : new String[] {"", "66", "F3"}) {
      check(prefix, "0F5B", false);
    }
    for (String prefix : new String[] {"66", "F3", "F2"}) {
      check(prefix, "0FE6", false);
    }
  }

  @Test
  void conversionsWithMmxRegisters() {
    for (String opcode : new String[] {"2A", "2C", "2D"}) {
      check("", "0F" + opcode, false);
      check("66", "0F" + opcode, false);
    }
  }

  /// x87 registers in use: an instruction that goes to MMX state shows.
  private static void x87InUse(MachineState state, RandomGenerator random) {
    numbers(state, random);
    state.setTags(random.nextInt(256));
    state.setStatusWord(random.nextInt(8) << 11);
  }

  @Test
  void conversionsEnterMmxState() {
    for (String opcode : new String[] {"2A", "2C", "2D"}) {
      for (String prefix : new String[] {"", "66"}) {
        forms.compare(prefix, "0F" + opcode, false, BOTH, false, 300, SimdFloatTest::x87InUse);
      }
    }
  }

  @Test
  void conversionsWithGeneralRegisters() {
    for (String prefix : new String[] {"F3", "F2"}) {
      for (boolean wide : new boolean[] {false, true}) {
        forms.compare(prefix, "0F2A", wide, BOTH, false, RUNS, SimdFloatTest::numbers);
        toGeneral(prefix, "0F2C", wide);
        toGeneral(prefix, "0F2D", wide);
      }
    }
  }

  private static void toGeneral(String prefix, String opcode, boolean wide) {
    var random = new Random(31);
    var encoder = new InstructionForms(random);
    for (int n = 0; n < RUNS; n++) {
      var state = MachineState.random(random);
      numbers(state, random);
      int reg = encoder.register();
      var code =
          random.nextBoolean()
              ? encoder.registers(prefix, opcode, wide, reg, random.nextInt(16))
              : encoder.memory(state, prefix, opcode, wide, reg, 1);
      Differential.compare(code, state, Differential.ALL_FLAGS);
    }
  }
}
