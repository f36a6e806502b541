package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

final class VectorInstructions {
  private VectorInstructions() {}

  static @Nullable Operation create(Instruction i) {
    return null;
  }
}
