package dev.partita.engine.software;

import java.util.random.RandomGenerator;

/// Runs one form of a vector instruction with random operands on the host and in the engine.
final class VectorForms {
  private final RandomGenerator random;
  private final InstructionForms forms;

  VectorForms(RandomGenerator random) {
    this.random = random;
    this.forms = new InstructionForms(random);
  }

  /// What an operand may be.
  enum Source {
    REGISTER,
    MEMORY,
    BOTH
  }

  /// Sets up a state before a run.
  interface Preparation {
    void prepare(MachineState state, RandomGenerator random);
  }

  /// Compares host and engine.
  ///
  /// @param immediate whether the form has an immediate byte: a random one is put there
  /// @param runs how often
  void compare(
      String prefix,
      String opcode,
      boolean rexW,
      Source source,
      boolean immediate,
      int runs,
      Preparation preparation) {
    for (int n = 0; n < runs; n++) {
      var state = MachineState.random(random).withMmx(random);
      preparation.prepare(state, random);
      var tail = immediate ? new byte[] {(byte) random.nextInt()} : new byte[0];
      int reg = random.nextInt(16);
      boolean register =
          source == Source.REGISTER || (source == Source.BOTH && random.nextBoolean());
      var code =
          register
              ? forms.registers(prefix, opcode, rexW, reg, random.nextInt(16), tail)
              : forms.memory(state, prefix, opcode, rexW, reg, 16, tail);
      Differential.compare(code, state, Differential.ALL_FLAGS);
    }
  }
}
