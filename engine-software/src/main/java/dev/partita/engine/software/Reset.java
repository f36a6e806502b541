package dev.partita.engine.software;

/// State after power-up, INIT and SIPI.
final class Reset {
  private Reset() {}

  /// @param init an INIT, which keeps more than a power-up reset does
  static void reset(Cpu c, boolean init) {
    c.modeChanged();
  }

  static void startup(Cpu c, int vector) {
    c.modeChanged();
  }
}
