package dev.partita.engine.software;

/// The code of a {@link Region}: the generated classes extend this.
abstract class RegionCode {
  /// Runs the region from its entry.
  ///
  /// When it returns or throws, the registers and flags are in `c`, {@link Cpu#regionBudget} is
  /// what is left of the budget, and for an exception {@link Cpu#regionSite} tells where.
  ///
  /// @param base RIP at the entry
  /// @param budget instructions after which to leave at the next loop; negative: nothing is run,
  ///     but all that the code refers to is resolved, for the sake of the compilers
  /// @return the number of the exit taken, an index in the region's tables of sites
  abstract int run(Cpu c, long base, int budget);
}
