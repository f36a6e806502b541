package dev.partita.engine.software;

/// An SSE instruction in its VEX-coded form: with a destination of its own, and the same work done
/// on each 128-bit lane. What the work is stays with the SSE instruction, which here has room
/// beyond the registers for its destination; so nothing is changed before both lanes are through.
final class Lifted extends YmmOperation {
  /// Register numbers of that room.
  static final int REGISTER = SCRATCH / 4;

  static final int REGISTER_HIGH = SCRATCH_HIGH / 4;

  final XmmOperation low;
  final XmmOperation high;

  /// @param low made with {@link #REGISTER} as its destination
  /// @param high made with {@link #REGISTER_HIGH}; unused if the instruction is of 128 bits
  /// @param size bytes of the memory operand
  Lifted(Instruction i, XmmOperation low, XmmOperation high, int size, boolean wide) {
    super(i, size, wide);
    this.low = low;
    this.high = high;
  }

  @Override
  void apply(Cpu c, long[] x) {
    x[SCRATCH] = x[first];
    x[SCRATCH + 1] = x[first + 1];
    low.apply(c, x[from], x[from + 1]);
    if (wide) {
      x[SCRATCH_HIGH] = x[first + 2];
      x[SCRATCH_HIGH + 1] = x[first + 3];
      high.apply(c, x[from + 2], x[from + 3]);
      set(x, x[SCRATCH], x[SCRATCH + 1], x[SCRATCH_HIGH], x[SCRATCH_HIGH + 1]);
    } else {
      set(x, x[SCRATCH], x[SCRATCH + 1]);
    }
  }

  @Override
  boolean hasCode() {
    return low.hasLane();
  }

  @Override
  void emitApply(VectorEmitter v) {
    // Lane by lane: none reads what the other writes.
    low.emitLane(v, to, first, from);
    if (wide) {
      high.emitLane(v, to + 2, first + 2, from + 2);
    } else {
      v.clearUpper(to);
    }
  }

  /// An SSE instruction that writes no XMM register, in its VEX-coded form: the same.
  static final class Plain extends YmmOperation {
    final XmmOperation operation;

    Plain(Instruction i, XmmOperation operation) {
      super(i, operation.size, false);
      this.operation = operation;
    }

    @Override
    void apply(Cpu c, long[] x) {
      operation.apply(c, x[from], x[from + 1]);
    }

    @Override
    int readsOnly() {
      return -1;
    }
  }
}
