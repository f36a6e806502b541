package dev.partita.engine.software;

import dev.partita.engine.software.RegionFlags.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Flags where ways of a region meet, as at the head of a loop: each way has others, and mostly
/// they are set anew before anything reads them, but an instruction that comes before may fault.
///
/// What the flags follow from is then often in registers still: a loop ends with a comparison of
/// two of them. Instead of making the flags on each way, the way leaves its number in a local
/// ({@link OperandEmitter#WAY}), and the stubs that leave the region make them from the registers.
///
/// That is right only for a block in which nothing but stubs wants the flags until they are set,
/// and no such register is written before. Whether it is so shows when the block is emitted: the
/// region is emitted again with what was learned, until nothing new was.
final class FlagJoins {
  /// More ways make the stubs long.
  private static final int MAX_WAYS = 3;

  /// How flags follow from registers.
  ///
  /// @param kind ADD, SUB or LOGIC
  /// @param size of the operands in bytes
  /// @param x a register: the first operand; the result if `isResult`, or for LOGIC
  /// @param y the register that is the second operand, or -1
  /// @param constant the second operand if that is no register
  record Origin(Kind kind, int size, int x, int y, long constant, boolean isResult) {
    int registers() {
      return 1 << x | (y < 0 ? 0 : 1 << y);
    }

    /// Of a binary operation on registers, if its flags can be made of them afterwards.
    static @Nullable Origin of(Kind kind, int operation, int size, int x, int y, long constant) {
      boolean isResult = !Arithmetic.comparesOnly(operation);
      boolean known =
          switch (kind) {
            case ADD, SUB -> !isResult || x != y;
            case LOGIC -> isResult || x == y || y < 0;
            default -> false;
          };
      return known && x < 16 && y < 16 ? new Origin(kind, size, x, y, constant, isResult) : null;
    }
  }

  private final OperandEmitter e;
  private final @Nullable FlagJoins before;
  private final boolean enabled;
  private final boolean[] refused;

  /// Registers that are written while the flags of the meeting hold, as bits.
  private final int[] written;

  private final List<List<Origin>> ways = new ArrayList<>();

  /// Whether what is emitted lies behind all blocks, so that all ways are known.
  boolean inStubs;

  private boolean resolved;

  /// @param nodes how many the region has
  /// @param before of the emission before, or null
  FlagJoins(OperandEmitter e, int nodes, boolean enabled, @Nullable FlagJoins before) {
    this.e = e;
    this.before = before;
    this.enabled = enabled;
    refused = before == null ? new boolean[nodes] : before.refused.clone();
    written = before == null ? new int[nodes] : before.written.clone();
    for (int i = 0; i < nodes; i++) {
      ways.add(new ArrayList<>());
    }
  }

  /// Whether something was learned that the emission did not know.
  boolean learned() {
    return enabled
        && (before == null
            || !Arrays.equals(refused, before.refused)
            || !Arrays.equals(written, before.written));
  }

  /// Whether ways to a node leave their number.
  private boolean at(int node) {
    return enabled && (before == null || !before.refused[node]);
  }

  /// What the flags are where a node begins.
  RegionFlags start(int node) {
    return at(node) ? new RegionFlags(Kind.JOINED, 0, -1, -1, -1, node, null) : RegionFlags.STORED;
  }

  /// What becomes of the flags on a way to a node that has others.
  ///
  /// @param dead they are set there before anything wants them
  /// @param way the number to leave in {@link OperandEmitter#WAY}, or -1
  record Meeting(boolean dead, int way) {
    /// Whether there is nothing to do.
    boolean isFree(RegionFlags flags) {
      return dead || (way < 0 && flags.kind() == Kind.STORED);
    }

    /// Whether they are not stored on the way.
    boolean isLate() {
      return dead || way > 0;
    }
  }

  /// @param state where the way begins
  Meeting meeting(int node, boolean dead, OperandEmitter.State state) {
    return new Meeting(dead, dead || !at(node) ? -1 : way(node, state.flags(), state.origin()));
  }

  /// The number of a way: 0 if its flags are stored or have to be.
  private int way(int node, RegionFlags flags, @Nullable Origin origin) {
    if (flags.kind() == Kind.STORED
        || origin == null
        || before == null
        || (before.written[node] & origin.registers()) != 0) {
      return 0;
    }
    var known = ways.get(node);
    int index = known.indexOf(origin);
    if (index < 0 && known.size() < MAX_WAYS) {
      index = known.size();
      known.add(origin);
    }
    return index + 1;
  }

  /// Notes that a register is written while flags hold.
  void note(RegionFlags flags, int register) {
    var base = base(flags);
    if (base.kind() == Kind.JOINED) {
      written[base.count()] |= 1 << register;
    }
  }

  /// Notes that flags of a meeting are read.
  void read(RegionFlags joined) {
    if (!resolved) {
      refused[joined.count()] = true;
    }
  }

  private static RegionFlags base(RegionFlags flags) {
    var at = flags;
    for (var before = at.before(); before != null; before = at.before()) {
      at = before;
    }
    return at;
  }

  /// Stores the two longs of flags, in a stub.
  void store(RegionFlags flags) {
    var base = base(flags);
    boolean joined = base.kind() == Kind.JOINED;
    if (joined && !inStubs) {
      refused[base.count()] = true;
    } else if (joined) {
      resolve(ways.get(base.count()));
    }
    if (flags.kind() != Kind.JOINED) {
      resolved = true;
      e.flagEmitter.store(flags);
      resolved = false;
    }
  }

  private void resolve(List<Origin> origins) {
    var b = e.b;
    var done = b.newLabel();
    for (int i = 0; i < origins.size(); i++) {
      var next = b.newLabel();
      b.iload(OperandEmitter.WAY).loadConstant(i + 1).if_icmpne(next);
      make(origins.get(i));
      b.goto_(done).labelBinding(next);
    }
    b.labelBinding(done);
  }

  private void make(Origin origin) {
    var b = e.b;
    int size = origin.size;
    boolean wide = size == 8;
    int first = OperandEmitter.JOIN;
    int second = first + 2;
    int result = first + 4;
    var kind = origin.kind;
    if (kind == Kind.LOGIC) {
      pushRegister(origin.x, size);
      if (origin.y < 0 && !origin.isResult) {
        e.constant(origin.constant, size);
        if (wide) {
          b.land();
        } else {
          b.iand();
        }
      }
      e.storeLocal(result, size);
      e.flagEmitter.store(new RegionFlags(kind, size, -1, -1, result, 0, null));
      return;
    }
    if (origin.y >= 0) {
      pushRegister(origin.y, size);
    } else {
      e.constant(origin.constant, size);
    }
    e.storeLocal(second, size);
    pushRegister(origin.x, size);
    e.storeLocal(origin.isResult ? result : first, size);
    e.push(origin.isResult ? result : first, size);
    e.push(second, size);
    if ((kind == Kind.ADD) == origin.isResult) {
      if (wide) {
        b.lsub();
      } else {
        b.isub();
      }
    } else if (wide) {
      b.ladd();
    } else {
      b.iadd();
    }
    if (size < 4) {
      b.loadConstant((int) Operands.mask(size)).iand();
    }
    e.storeLocal(origin.isResult ? first : result, size);
    e.flagEmitter.store(new RegionFlags(kind, size, first, second, result, 0, null));
  }

  /// Pushes a register operand: a long for 8 bytes, else an int, zero-extended. Its long is right:
  /// it was not written since the ways met.
  private void pushRegister(int register, int size) {
    var b = e.b;
    b.lload(OperandEmitter.LONG + 2 * register);
    if (size != 8) {
      b.l2i();
    }
    if (size < 4) {
      b.loadConstant((int) Operands.mask(size)).iand();
    }
  }
}
