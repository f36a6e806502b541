package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

final class SimdFloatInstructions {
  private SimdFloatInstructions() {}

  static @Nullable Operation create(Instruction i, int prefix) {
    return null;
  }

  static @Nullable Operation create3a(Instruction i) {
    return null;
  }
}
