package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// The harness of the differential tests itself.
class NativeProcessorTest {
  @BeforeEach
  void needsTheHost() {
    NativeProcessor.require();
  }

  @Test
  void noCodeChangesNothing() {
    var random = new Random(1);
    for (int i = 0; i < 100; i++) {
      var before = MachineState.random(random).withMmx(random);
      before.mxcsr = 0x1F80 | random.nextInt(64) | random.nextInt(4) << 13;
      assertThat(
              Differential.difference(
                  before, NativeProcessor.run(new byte[0], before), Differential.ALL_FLAGS))
          .isEmpty();
      assertThat(
              Differential.difference(
                  before, EngineProcessor.run(new byte[0], before), Differential.ALL_FLAGS))
          .isEmpty();
    }
  }

  @Test
  void hostExecutesRegisterAndMemoryForms() {
    var random = new Random(2);
    var forms = new InstructionForms(random);
    for (int i = 0; i < 1000; i++) {
      var before = MachineState.random(random);
      int reg = forms.register();
      // ADD [memory], reg, 64 bits
      var code = forms.memoryAt(before, MachineState.MEMORY + 0x318, "", "01", true, reg);
      var after = NativeProcessor.run(code, before);
      assertThat(after.memory(0x318)).isEqualTo(before.memory(0x318) + before.general[reg]);
      assertThat(after.general).isEqualTo(before.general);
    }
  }

  @Test
  void hostKeepsFloatingPointState() {
    var before = MachineState.random(new Random(3));
    // FLD1; ADDPS xmm1, xmm2 with rounding toward zero set: both states come back.
    before.mxcsr = 0x7F80;
    var after = NativeProcessor.run(InstructionForms.parse("D9 E8"), before);
    assertThat(after.statusWord() >> 11 & 7).isEqualTo(7);
    assertThat(after.tags()).isEqualTo(0x80);
    assertThat(after.significand(0)).isEqualTo(Long.MIN_VALUE);
    assertThat(after.exponent(0)).isEqualTo(0x3FFF);
    assertThat(after.mxcsr).isEqualTo(0x7F80);
  }
}
