package dev.partita.hypervisor;

import java.util.Collection;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// The CPUID leaves a guest sees. Immutable.
public final class CpuidTable {
  /// Stands for "any sub-leaf" in {@link Leaf#subleaf()}.
  public static final int ANY_SUBLEAF = -1;

  private final TreeMap<Long, Leaf> leaves = new TreeMap<>(Long::compareUnsigned);

  public CpuidTable(Collection<Leaf> leaves) {
    for (var leaf : leaves) {
      this.leaves.put(key(leaf.function, leaf.subleaf), leaf);
    }
  }

  private static long key(int function, int subleaf) {
    return (function & 0xFFFF_FFFFL) << 32 | (subleaf & 0xFFFF_FFFFL);
  }

  /// All leaves, in order of function and sub-leaf, unsigned.
  public List<Leaf> leaves() {
    return List.copyOf(leaves.values());
  }

  /// The leaf of exactly this function and sub-leaf, or of the function with any sub-leaf; null if
  /// there
  /// is none.
  public @Nullable Leaf find(int function, int subleaf) {
    var leaf = leaves.get(key(function, subleaf));
    return leaf != null ? leaf : leaves.get(key(function, ANY_SUBLEAF));
  }

  /// This table with some leaves added or replaced.
  public CpuidTable with(Collection<Leaf> changes) {
    var all = new TreeMap<Long, Leaf>(leaves);
    for (var leaf : changes) {
      all.put(key(leaf.function, leaf.subleaf), leaf);
    }
    return new CpuidTable(all.values());
  }

  /// One leaf.
  ///
  /// @param function EAX on input
  /// @param subleaf ECX on input, or {@link #ANY_SUBLEAF}
  public record Leaf(int function, int subleaf, int eax, int ebx, int ecx, int edx) {}
}
