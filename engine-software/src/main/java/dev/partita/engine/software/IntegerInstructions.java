package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

final class IntegerInstructions {
  private IntegerInstructions() {}

  static @Nullable Operation create(Instruction i) {
    return null;
  }
}
