package dev.partita.engine.software;

/// The code of a {@link Region}: the generated classes extend this.
abstract class RegionCode {
  /// Runs the region from its entry.
  ///
  /// When it returns, the registers and flags are in `c`, {@link Cpu#regionBudget} is what is
  /// left of the budget, {@link Cpu#regionSite} tells where it left, and {@link Cpu#regionThrown}
  /// what it met, to be thrown. (It throws nothing itself: with handlers of exceptions, the
  /// compilers take several times as long.)
  ///
  /// @param base RIP at the entry
  /// @param budget instructions after which to leave at the next loop; negative: nothing is run,
  ///     but all that the code refers to is resolved, for the sake of the compilers
  abstract void run(Cpu c, long base, int budget);
}
