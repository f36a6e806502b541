package dev.partita.engine.software;

/// Why control leaves a region.
enum RegionExit {
  /// A jump, a call or the next instruction leads out of it.
  JUMP("by jump"),

  /// An indirect jump or a return leads where none was seen to lead, or an operation has set RIP.
  INDIRECT("by indirect jump"),

  /// A loop stops: something else is to be looked at, or the budget is used up.
  LOOP("in loop"),

  /// Before an access that is not in the {@link Tlb}, or an instruction that faults: it is
  /// interpreted.
  MISSED("by miss"),

  /// An exception of a called operation, or code that writes itself.
  THROWN("by exception");

  /// For operators.
  final String words;

  RegionExit(String words) {
    this.words = words;
  }
}
