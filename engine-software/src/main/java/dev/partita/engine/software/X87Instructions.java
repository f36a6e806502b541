package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

final class X87Instructions {
  private X87Instructions() {}

  static @Nullable Operation create(Instruction i) {
    return null;
  }
}
