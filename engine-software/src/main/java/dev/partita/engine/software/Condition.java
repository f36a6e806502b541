package dev.partita.engine.software;

/// The sixteen conditions of Jcc, SETcc and CMOVcc: Intel SDM volume 1, appendix B ("EFLAGS
/// Condition Codes").
final class Condition {
  private Condition() {}

  /// Whether a condition holds.
  ///
  /// @param condition the opcode's low four bits
  static boolean holds(Cpu c, int condition) {
    boolean even =
        switch (condition >> 1) {
          case 0 -> c.of();
          case 1 -> c.cf();
          case 2 -> c.zf();
          case 3 -> c.cf() || c.zf();
          case 4 -> c.sf();
          case 5 -> c.pf();
          case 6 -> less(c);
          default -> c.zf() || less(c);
        };
    return even == ((condition & 1) == 0);
  }

  /// SF is not OF: less, signed.
  static boolean less(Cpu c) {
    long f = c.flagCarry;
    return (c.flagResult ^ f << 63 ^ f ^ f << 1) < 0;
  }
}
