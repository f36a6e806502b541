package dev.partita.engine.software;

import java.util.IdentityHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Counts what a processor interprets for a short while, from a block that got hot on: the region
/// that begins there is made of what ran then.
///
/// Used by the processor's thread.
final class Watch {
  /// Blocks after which it ends where the entry's code may run.
  private static final int BLOCKS = 1_500;

  /// Blocks after which one more way through the entry ends it.
  private static final int ENOUGH = 500;

  /// Blocks until it is given up.
  private static final int LONGEST = 10_000;

  /// Where the region is to begin.
  final Block entry;

  /// The entry's linear address.
  final long base;

  /// The region that is to be made again, if it is.
  final @Nullable Region replaces;

  private final Map<Block, int[]> runs = new IdentityHashMap<>();
  private final Map<Block, Map<Block, Integer>> went = new IdentityHashMap<>();
  private @Nullable Block before;
  private int watched;

  Watch(Block entry, long base, @Nullable Region replaces) {
    this.entry = entry;
    this.base = base;
    this.replaces = replaces;
  }

  /// A block is interpreted.
  void saw(Block block) {
    watched++;
    runs.computeIfAbsent(block, key -> new int[1])[0]++;
    if (before != null) {
      went.computeIfAbsent(before, key -> new IdentityHashMap<>()).merge(block, 1, Integer::sum);
    }
    before = block;
  }

  /// Whether enough was seen.
  ///
  /// @param c a processor between two blocks
  boolean isOver(Cpu c) {
    return watched >= ENOUGH && c.rip == base
        || watched >= BLOCKS && c.mode == entry.mode
        || watched >= LONGEST;
  }

  /// Which blocks came after a block, and how often.
  Map<Block, Integer> went(Block block) {
    return went.getOrDefault(block, Map.of());
  }

  /// How often a block ran.
  int runs(Block block) {
    var count = runs.get(block);
    return count == null ? 0 : count[0];
  }
}
