package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

final class SimdConversions {
  private SimdConversions() {}

  static @Nullable Operation create(Instruction i, int prefix) {
    return null;
  }

  static @Nullable Operation create3a(Instruction i) {
    return null;
  }
}
