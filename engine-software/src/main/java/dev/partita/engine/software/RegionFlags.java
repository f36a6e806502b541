package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// What the arithmetic flags follow from at a point in a region, known when it is translated:
/// which operation, and which locals hold its operands and result. The two longs of {@link Cpu}
/// are made of it only where they are needed.
///
/// Locals are longs for operands of 8 bytes, else ints; operands of 1 and 2 bytes are
/// zero-extended, results have any bits above.
///
/// @param size bytes
/// @param a the local of the first operand
/// @param b of the second
/// @param r of the result
/// @param count of a shift
/// @param before what holds for the flags that the operation leaves
record RegionFlags(
    Kind kind, int size, int a, int b, int r, int count, @Nullable RegionFlags before) {
  /// Kinds of operations.
  enum Kind {
    /// The two longs are in their own locals.
    STORED,
    /// Of a place where ways meet, the node `count`: see {@link FlagJoins}.
    JOINED,
    ADD,
    /// With carry.
    ADC,
    SUB,
    /// With borrow.
    SBB,
    LOGIC,
    INC,
    DEC,
    SHL,
    SHR,
    SAR,
    /// A shift by a count in the int local `b`; when that is 0, all flags are as before.
    SHL_BY,
    SHR_BY,
    SAR_BY,
    /// CF from the long in `a`, OF from the long in `b` (if that is not -1), the rest as before.
    ROTATE,
    /// CF from the long in `a`, the rest as before.
    CARRY,
    /// A multiplication: `r` is the low half as a long, sign-extended; `a` a long that is not 0 on
    /// overflow.
    MULTIPLY,
    /// Bit manipulation: the long `r` gives ZF and SF; CF is set if the long in `a` is not 0 (with
    /// -1 for the local it is clear); OF, AF and PF are clear.
    BITS,
    /// A comparison of floating-point numbers: the int in `r` is -1, 0, 1 or {@link
    /// SoftFloat#UNORDERED}.
    ORDER,
    /// A signed multiplication of 64 bits with a result of 64: `a` and `b` are the factors.
    PRODUCT
  }

  static final RegionFlags STORED = new RegionFlags(Kind.STORED, 0, -1, -1, -1, 0, null);

  int depth() {
    var b = before;
    return b == null ? 0 : 1 + b.depth();
  }

  /// Whether a local belongs to it.
  boolean uses(int local) {
    var before = this.before;
    return a == local || b == local || r == local || (before != null && before.uses(local));
  }

  boolean wide() {
    return size == 8;
  }

  /// Bits above the operand in a long.
  int shift() {
    return 64 - 8 * size;
  }
}
