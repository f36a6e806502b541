package dev.partita.engine.software;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// x87 instructions in 16- and 32-bit code against the host's processor: environments, whole
/// states, and the pointers in them.
class X87LegacyModeTest {
  private static final int RUNS = Integer.getInteger("partita.differential.runs", 300);
  private static final int OPERAND = 0x400;

  /// With the operand at [BX] in 16-bit and at [EDI] in 32-bit code. Each may follow an instruction
  /// that raises an unmasked exception.
  private static final String[] CODE = {
    "D9 37", // FNSTENV
    "66 D9 37",
    "DD 37", // FNSAVE
    "66 DD 37",
    "D9 3F", // FNSTCW
    "DD 3F" // FNSTSW
  };

  private static final String[] LOADS = {
    "D9 27", // FLDENV
    "66 D9 27",
    "DD 27", // FRSTOR
    "66 DD 27"
  };

  private static final String[] BEFORE = {
    "", "D8 37", "DC 07", "DB 1F", "D9 E8", "DE C1", "D9 1F", "DF 37", "DB 2F"
  };

  @ParameterizedTest
  @EnumSource(LegacyMode.class)
  void storedEnvironmentsAgree(LegacyMode mode) {
    mode.require();
    var random = new Random(mode.size);
    for (int i = 0; i < RUNS; i++) {
      for (var code : CODE) {
        var state = state(mode, random);
        var before = BEFORE[random.nextInt(BEFORE.length)];
        mode.compare(InstructionForms.parse(before + code), state, Differential.ALL_FLAGS);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(LegacyMode.class)
  void loadedEnvironmentsAgree(LegacyMode mode) {
    mode.require();
    var random = new Random(mode.size);
    for (int i = 0; i < RUNS; i++) {
      for (var code : LOADS) {
        var state = state(mode, random);
        for (int j = 0; j < 108; j++) {
          state.memory[OPERAND + j] = (byte) random.nextInt();
        }
        // What was loaded is seen in what is stored then.
        mode.compare(InstructionForms.parse(code + "DD 37"), state, Differential.ALL_FLAGS);
      }
    }
  }

  private static MachineState state(LegacyMode mode, Random random) {
    var state = X87States.random(random, true);
    for (int i = 0; i < 8; i++) {
      state.general[i] &= 0xFFFF_FFFFL;
    }
    state.general[Cpu.RBX] = mode.memoryOffset() + OPERAND;
    state.general[Cpu.RDI] = mode.memoryOffset() + OPERAND;
    return state;
  }
}
