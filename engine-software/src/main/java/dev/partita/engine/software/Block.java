package dev.partita.engine.software;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A straight run of decoded instructions in one page of physical memory, entered only at the top.
/// Position-independent: the same block serves every linear address and every processor that maps
/// the
/// page and runs in the same {@link #mode}.
final class Block {
  final Operation[] operations;

  /// What the interpreter executes.
  final Operation[] steps;

  /// Number of guest instructions: operations without the closing {@link Advance}.
  final int instructions;

  /// Bytes of code.
  final int length;

  /// Address of the first byte, as an offset in the partition's RAM.
  final long address;

  /// {@link Cpu#mode} this was decoded for.
  final int mode;

  /// When the last instruction reaches into the next linear page: where that page was, as an offset
  /// in
  /// RAM; else -1.
  final long secondPage;

  /// The page's other blocks with the same hash.
  @Nullable Block nextInPage;

  /// False once the code was written over: not to be entered again. Racy reads are fine: a
  /// processor that
  /// must not miss it synchronises by other means first.
  boolean valid = true;

  Block(
      Operation[] operations,
      int instructions,
      int length,
      long address,
      int mode,
      long secondPage) {
    this.operations = operations;
    this.steps = (mode & Cpu.MODE_SINGLE) == 0 ? InterpretedSteps.of(operations) : operations;
    this.instructions = instructions;
    this.length = length;
    this.address = address;
    this.mode = mode;
    this.secondPage = secondPage;
  }

  // Where execution went on from here, within the page. Two, for the two ways of a conditional
  // jump. Racy: other processors may overwrite one, whole.
  private @Nullable Block first;
  private @Nullable Block second;

  /// Executions by the interpreter that are left until this is worth a region. Racy: a count lost
  /// does not matter.
  int heat = SoftwareProcessor.HEAT;

  /// How often it is to get hot before it is watched again. Racy, like {@link #heat}.
  private int spared;

  /// Times that a block, once found not to be worth a region of its own, gets hot before it is
  /// looked at again: while it is watched, all runs in the interpreter.
  private static final int SPARED = 256;

  /// The region that begins here.
  volatile @Nullable Region region;

  /// The regions that hold this block. Guarded by this.
  private @Nullable List<Region> regions;

  /// Where an indirect jump at the end went, as distances from this block's RIP. Racy.
  private long[] seen = NONE_SEEN;

  private static final long[] NONE_SEEN = {};
  private static final int MAX_SEEN = 16;

  /// It got hot, but no region that begins here is worth its making.
  void notWorthwhile() {
    spared = SPARED;
  }

  /// It got hot: whether to look if a region is worth its making.
  boolean mayBeWatched() {
    return spared <= 0 || --spared == 0;
  }

  /// Notes where an indirect jump went.
  void sawTarget(long delta) {
    long[] known = seen;
    for (long one : known) {
      if (one == delta) {
        return;
      }
    }
    if (known.length < MAX_SEEN) {
      var more = Arrays.copyOf(known, known.length + 1);
      more[known.length] = delta;
      seen = more;
    }
  }

  long[] seenTargets() {
    return seen;
  }

  /// Notes a region made from this block.
  ///
  /// @return false if the block is no longer valid
  synchronized boolean joined(Region region) {
    if (!valid) {
      return false;
    }
    var list = regions;
    if (list == null) {
      list = new ArrayList<>(2);
      regions = list;
    }
    list.add(region);
    return true;
  }

  /// A region was given up.
  synchronized void left(Region region) {
    if (regions != null) {
      regions.remove(region);
    }
  }

  /// The code was written over: neither this nor a region made from it may be entered again.
  void invalidate(DropReason reason) {
    List<Region> mine;
    synchronized (this) {
      valid = false;
      mine = regions;
      regions = null;
    }
    if (mine != null) {
      mine.forEach(region -> region.invalidate(reason));
    }
  }

  /// The block that followed before when RIP moved by `delta` from this block's start, or null.
  @Nullable Block linkTarget(long delta) {
    long to = address + delta;
    var target = first;
    if (target != null && target.address == to) {
      return target;
    }
    target = second;
    return target != null && target.address == to ? target : null;
  }

  /// Remembers what followed, if it lies in the same page and so depends on no other translation.
  void link(long delta, Block target) {
    if (secondPage >= 0
        || target.secondPage >= 0
        || target.address - address != delta
        || (target.address ^ address) >>> 12 != 0) {
      return;
    }
    var old = first;
    if (old == null || !old.valid || old.address == target.address) {
      first = target;
    } else {
      second = target;
    }
  }

  /// How many operations come before one.
  int before(Operation operation) {
    int n = 0;
    while (operations[n].start < operation.start) {
      n++;
    }
    return n;
  }

  /// Whether this block's bytes meet a stretch of RAM.
  boolean overlaps(long from, long to) {
    if (secondPage < 0) {
      return address < to && from < address + length;
    }
    int inFirst = Math.min(length, 4096 - (int) (address & 0xFFF));
    return (address < to && from < address + inFirst)
        || (secondPage < to && from < secondPage + length - inFirst);
  }

  /// Closes a block whose last instruction does not set RIP itself.
  static final class Advance extends Operation {
    @Override
    void execute(Cpu c) {
      c.rip = c.ripMasked(c.r[Cpu.RIP_BASE] + end);
    }

    @Override
    Follow follow() {
      return Follow.NEXT;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.next();
      return true;
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }
}
