package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

final class SystemInstructions {
  private SystemInstructions() {}

  static @Nullable Operation create(Instruction i) {
    return null;
  }
}
