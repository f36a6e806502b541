package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The images of x87 and SSE state in memory, against the host's processor.
class StateImageDifferentialTest {
  private static final int RUNS = Integer.getInteger("partita.differential.runs", 600);

  /// Where the image is, in the state's memory; 64-byte aligned.
  private static final int IMAGE = 0x400;

  @BeforeEach
  void needsTheHost() {
    NativeProcessor.require();
  }

  /// Sets of components: x87, SSE, and AVX if the host has it.
  private static final int COMPONENTS = NativeProcessor.has("avx") ? 8 : 4;

  /// An instruction with an absolute memory operand at the image.
  private static byte[] code(String before, int extension) {
    long address = MachineState.MEMORY + IMAGE;
    return InstructionForms.parse(
        "%s %02X 25 %08X"
            .formatted(before, extension << 3 | 4, Integer.reverseBytes((int) address))
            .trim());
  }

  private static void compare(byte[] code, MachineState state) {
    Differential.compare(code, state, Differential.ALL_FLAGS);
    var expected = NativeProcessor.run(code, state);
    var actual = EngineProcessor.run(code, state);
    for (int i = 0; i < 24; i++) {
      assertThat(actual.x87[i])
          .as("%s: byte %d of the image after", Differential.bytes(code), i)
          .isEqualTo(expected.x87[i]);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "D9, 5, false",
    "D9, 4, false",
    "66 D9, 4, false",
    "DD, 4, false",
    "66 DD, 4, false",
    "D9, 6, true",
    "66 D9, 6, true",
    "48 D9, 6, true",
    "DD, 6, true",
    "66 DD, 6, true",
    "D9, 7, true",
    "DD, 7, true"
  })
  void environmentsAgree(String opcode, int extension, boolean stores) {
    var random = new Random(extension);
    for (int i = 0; i < RUNS; i++) {
      var state = X87States.random(random, true);
      if (!stores) {
        for (int j = 0; j < 108; j++) {
          state.memory[IMAGE + j] = (byte) random.nextInt();
        }
      }
      compare(code(opcode, extension), state);
    }
  }

  @ParameterizedTest
  @CsvSource({"0F AE, 0", "48 0F AE, 0"})
  void savedImagesAgree(String opcode, int extension) {
    var random = new Random(extension);
    for (int i = 0; i < RUNS; i++) {
      var state = X87States.random(random, true);
      state.mxcsr = random.nextInt() & 0xFFFF;
      compare(code(opcode, extension), state);
    }
  }

  @ParameterizedTest
  @CsvSource({"0F AE, 1", "48 0F AE, 1"})
  void restoredImagesAgree(String opcode, int extension) {
    var random = new Random(extension);
    for (int i = 0; i < RUNS; i++) {
      var state = X87States.random(random, true);
      randomImage(random, state);
      compare(code(opcode, extension), state);
    }
  }

  private static void randomImage(Random random, MachineState state) {
    for (int j = 0; j < 512; j++) {
      state.memory[IMAGE + j] = (byte) random.nextInt();
    }
    // Canonical pointers, whatever the host's width of them.
    state.setMemory(IMAGE + 8, state.memory(IMAGE + 8) << 16 >> 16);
    state.setMemory(IMAGE + 16, state.memory(IMAGE + 16) << 16 >> 16);
    // MXCSR: only bits that exist.
    state.memory[IMAGE + 26] = 0;
    state.memory[IMAGE + 27] = 0;
  }

  @ParameterizedTest
  @CsvSource({"0F AE, 4", "48 0F AE, 4", "0F AE, 6", "48 0F AE, 6", "0F C7, 4", "48 0F C7, 4"})
  void extendedSavesAgree(String opcode, int extension) {
    var random = new Random(opcode.hashCode() + extension);
    for (int i = 0; i < RUNS; i++) {
      var state = X87States.random(random, true);
      state.mxcsr = random.nextInt() & 0xFFFF;
      state.general[Cpu.RAX] = random.nextInt(COMPONENTS);
      state.general[Cpu.RDX] = 0;
      compare(code(opcode, extension), state);
    }
  }

  @ParameterizedTest
  @CsvSource({"0F AE, 5, false", "48 0F AE, 5, false", "0F AE, 5, true", "48 0F AE, 5, true"})
  void extendedRestoresAgree(String opcode, int extension, boolean compacted) {
    var random = new Random(opcode.hashCode() + extension);
    for (int i = 0; i < RUNS; i++) {
      var state = X87States.random(random, true);
      randomImage(random, state);
      for (int j = 0; j < 64; j += 8) {
        state.setMemory(IMAGE + 512 + j, 0);
      }
      int present = random.nextInt(COMPONENTS);
      state.setMemory(IMAGE + 512, present);
      if (compacted) {
        state.setMemory(IMAGE + 520, 1L << 63 | present | random.nextInt(COMPONENTS));
      }
      state.general[Cpu.RAX] = random.nextInt(COMPONENTS);
      state.general[Cpu.RDX] = 0;
      compare(code(opcode, extension), state);
    }
  }

  @Test
  void initialStateIsSavedAsNotInUse() {
    // FNINIT leaves the registers, so: restore nothing (all components initial), then save.
    var state = MachineState.random(new Random(5));
    for (int j = 0; j < 576; j += 8) {
      state.setMemory(IMAGE + j, 0x5555_5555_5555_5555L);
    }
    for (int j = 0; j < 64; j += 8) {
      state.setMemory(IMAGE + 512 + j, 0);
    }
    state.setMemory(IMAGE + 24, 0x1F80);
    state.general[Cpu.RAX] = 3;
    state.general[Cpu.RDX] = 0;
    var restore = code("0F AE", 5);
    var save = code("0F AE", 6);
    var both = java.util.Arrays.copyOf(restore, restore.length + save.length);
    System.arraycopy(save, 0, both, restore.length, save.length);
    var after = EngineProcessor.run(both, state);
    assertThat(after.memory(IMAGE + 512)).isZero();
    assertThat(after.memory(IMAGE)).isEqualTo(0x5555_5555_5555_5555L);
    Differential.compare(both, state, Differential.ALL_FLAGS);
  }

  /// XGETBV of XINUSE after state became initial in several ways.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        // VZEROUPPER
        "C5F877",
        // VZEROALL
        "C5FC77",
        // VZEROALL, then VPCMPEQB xmm0, xmm0, xmm0
        "C5FC77 C5F974C0",
        // VZEROALL, then VPCMPEQB ymm9, ymm9, ymm9
        "C5FC77 C4413574C9"
      })
  void componentsInUseAgree(String code) {
    NativeProcessor.requireFeatures("avx2", "xgetbv1");
    var random = new Random(6);
    for (int mxcsr : new int[] {0x1F80, 0x1F81, 0x9FC0}) {
      var state = X87States.random(random, true);
      state.mxcsr = mxcsr;
      // mov ecx, 1; xgetbv; and eax, 7; xor edx, edx
      var bytes = InstructionForms.parse(code + "B901000000 0F01D0 83E007 31D2");
      Differential.compare(bytes, state, 0);
    }
  }

  /// The same seen by the instructions that save only what is in use.
  @ParameterizedTest
  @CsvSource({"C5F877, 0F AE, 6", "C5FC77, 0F AE, 6", "C5F877, 0F C7, 4", "C5FC77, 0F C7, 4"})
  void initialComponentsAreNotSaved(String before, String opcode, int extension) {
    NativeProcessor.requireFeatures("avx2", "xsavec");
    var random = new Random(7);
    for (int mask = 0; mask < 8; mask++) {
      var state = X87States.random(random, true);
      state.general[Cpu.RAX] = mask;
      state.general[Cpu.RDX] = 0;
      state.mxcsr = (mask & 1) != 0 ? 0x1F80 : 0x1FA0;
      var first = InstructionForms.parse(before);
      var save = code(opcode, extension);
      var both = java.util.Arrays.copyOf(first, first.length + save.length);
      System.arraycopy(save, 0, both, first.length, save.length);
      compare(both, state);
    }
  }
}
