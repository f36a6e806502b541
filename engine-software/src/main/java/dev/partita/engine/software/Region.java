package dev.partita.engine.software;

import java.util.HashSet;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// A piece of hot guest code that was translated to a method of the JVM: several blocks with the
/// jumps between them. Position-independent, as blocks are; shared by all processors.
final class Region {
  /// {@link #ripOffset} of an exit that has set {@link Cpu#rip} itself.
  static final long DYNAMIC = Long.MIN_VALUE;

  /// The blocks it was made from; the first is the entry.
  final Block[] blocks;

  /// Linear pages other than the entry's that the code spans, relative to it, in pages.
  final int[] pageDistance;

  /// Where each of them was, as an offset in RAM.
  final long[] pageOffset;

  final RegionCode code;

  /// Where it can be entered.
  final Block[] entries;

  /// From the first entry's RIP to that of each.
  final long[] entryOffset;

  /// By site: RIP as a distance from the entry's, or {@link #DYNAMIC}.
  final long[] ripOffset;

  /// Beside the instructions that were not executed: the first of them is the one after STI.
  static final int IN_SHADOW = 1 << 16;

  /// By site: the instructions of the block under way that were not executed, and
  /// {@link #IN_SHADOW}.
  final int[] notExecuted;

  /// By site: whose indirect jump or return leaves there.
  private final RegionShape.@Nullable Node[] indirect;

  /// How often it was left by jumps of all kinds, estimated. Racy.
  private int left;

  /// When it is to be looked at whether more of what comes after them is known.
  private int reviewed = REVIEW;

  /// Exits that cost about as much as another region.
  private static final int REVIEW = 1 << 18;

  /// Bytes of bytecode.
  final int codeSize;

  /// Operations with code of their own, and those that are called.
  final int emitted;

  final int called;

  /// For tables by region.
  final int slot = System.identityHashCode(this);

  /// False once any of its code was written over: not to be entered again, and to be left when the
  /// processor that runs it is the one that wrote.
  volatile boolean valid = true;

  /// What it was made from.
  final RegionShape shape;

  /// Made for the JVM's optimizing compiler.
  final boolean optimized;

  /// By site: why control leaves there, when nothing is thrown.
  private final RegionExit[] exits;

  /// Told when it is given up; null until it is in use.
  volatile @Nullable RegionJournal journal;

  /// Instructions executed, estimated. Racy: some may be lost.
  long executed;

  Region(
      RegionShape shape,
      boolean optimized,
      Block[] blocks,
      int[] pageDistance,
      long[] pageOffset,
      RegionCode code,
      Block[] entries,
      long[] entryOffset,
      long[] ripOffset,
      int[] notExecuted,
      Map<Integer, RegionShape.Node> indirect,
      int codeSize,
      int emitted,
      int called) {
    this.shape = shape;
    this.optimized = optimized;
    this.blocks = blocks;
    this.pageDistance = pageDistance;
    this.pageOffset = pageOffset;
    this.code = code;
    this.entries = entries;
    this.entryOffset = entryOffset;
    this.ripOffset = ripOffset;
    this.notExecuted = notExecuted;
    this.indirect = new RegionShape.@Nullable Node[ripOffset.length];
    indirect.forEach((site, node) -> this.indirect[site] = node);
    this.codeSize = codeSize;
    this.emitted = emitted;
    this.called = called;
    this.exits = exits(shape, ripOffset);
  }

  private static RegionExit[] exits(RegionShape shape, long[] ripOffset) {
    var inside = new HashSet<Long>();
    shape.nodes.forEach(node -> inside.add(node.offset));
    var exits = new RegionExit[ripOffset.length];
    for (int i = 0; i < exits.length; i++) {
      exits[i] =
          ripOffset[i] == DYNAMIC
              ? RegionExit.INDIRECT
              : inside.contains(ripOffset[i]) ? RegionExit.LOOP : RegionExit.JUMP;
    }
    return exits;
  }

  /// Why the last run of a processor ended.
  RegionExit exit(Cpu c) {
    if (c.regionThrown != null) {
      return RegionExit.THROWN;
    }
    return c.regionMissed ? RegionExit.MISSED : exits[c.regionSite];
  }

  /// A processor left it by an indirect jump or a return: notes where to.
  ///
  /// @param base RIP of the first entry
  void sawTarget(Cpu c, long base) {
    var from = indirect[c.regionSite];
    if (from != null) {
      from.block.sawTarget(c.rip - (base + from.offset));
    }
  }

  /// Processors left it by jumps.
  ///
  /// @return whether this happened so often that it is worth to see whether a region that goes on
  ///     there can be made
  boolean wasLeft(int times) {
    int all = left + times;
    left = all;
    if (all < reviewed) {
      return false;
    }
    // Overflow: never again.
    reviewed = all > Integer.MAX_VALUE / 4 ? Integer.MAX_VALUE : 4 * all;
    return true;
  }

  /// It takes the place of another, and is to be looked at when that would have been.
  void reviewLike(Region other) {
    reviewed = other.reviewed;
  }

  /// The index of an entry.
  int entryOf(Block block) {
    var all = entries;
    if (all[0] != block) {
      for (int i = 1; i < all.length; i++) {
        if (all[i] == block) {
          return i;
        }
      }
    }
    return 0;
  }

  /// Runs it from its first entry, RIP; sets RIP.
  int run(Cpu c, int limit) {
    return run(c, 0, limit);
  }

  /// Runs it from an entry, which is at RIP; sets RIP. It ends before an instruction whose memory
  /// access is not for it: then {@link Cpu#regionMissed} is set, and that instruction is to be
  /// interpreted.
  ///
  /// @param limit instructions after which to leave at the next loop, at least 0
  /// @return instructions executed; or -1 - that, and {@link Cpu#regionThrown} is to be thrown
  int run(Cpu c, int entry, int limit) {
    long base = c.rip - entryOffset[entry];
    c.regionEntry = entry;
    code.run(c, base, limit);
    int site = c.regionSite;
    long offset = ripOffset[site];
    if (offset != DYNAMIC) {
      c.rip = base + offset;
    }
    int left = notExecuted[site];
    if (left >= IN_SHADOW) {
      left -= IN_SHADOW;
      if (c.regionThrown == null) {
        c.owner.beginInterruptShadow();
      }
    }
    c.regionMissed = left != 0;
    int executed = limit - c.regionBudget - left;
    return c.regionThrown == null ? executed : -1 - executed;
  }

  /// Throws what a run has met.
  static RuntimeException thrown(Cpu c) {
    var thrown = c.regionThrown;
    c.regionThrown = null;
    if (thrown instanceof Error error) {
      throw error;
    }
    return thrown instanceof RuntimeException exception
        ? exception
        : new IllegalStateException(thrown);
  }

  /// The code was written over, or the region is not worth its room.
  void invalidate(DropReason reason) {
    entry().heat = SoftwareProcessor.HEAT;
    retire(reason);
  }

  /// Not to be entered again.
  void retire(DropReason reason) {
    var told = journal;
    journal = null;
    if (told != null) {
      told.dropped(this, reason);
    }
    valid = false;
    for (var block : entries) {
      if (block.region == this) {
        block.region = null;
      }
    }
    for (var block : blocks) {
      block.left(this);
    }
  }

  Block entry() {
    return blocks[0];
  }
}
