package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// A VEX-coded instruction with a vector register or memory as its last source. A memory operand is
/// loaded first, to a place of its own in {@link Cpu#xmm}, so that {@link #apply} finds it as it
/// would a register. It need not be aligned.
///
/// Whatever bits of the destination an instruction of less than 256 bits does not write become 0:
/// Intel SDM volume 2, 2.3.10.1.
abstract class YmmOperation extends Operation {
  /// Where in {@link Cpu#xmm} a memory operand is put.
  static final int OPERAND = 64;

  /// Where in {@link Cpu#xmm} a result is put that may not be final: {@link Lifted}.
  static final int SCRATCH = 68;

  /// The same for the upper lane.
  static final int SCRATCH_HIGH = 72;

  /// Longs in {@link Cpu#xmm}.
  static final int STATE_SIZE = 76;

  /// ModR/M.reg as an index in {@link Cpu#xmm}.
  final int to;

  /// VEX.vvvv as an index in {@link Cpu#xmm}.
  final int first;

  /// ModR/M.rm, or {@link #OPERAND}.
  final int from;

  final @Nullable MemoryOperand memory;

  /// Bytes of the memory operand.
  final int size;

  /// 256 bits, not 128.
  final boolean wide;

  YmmOperation(Instruction i, int size, boolean wide) {
    this.to = 4 * i.reg;
    this.first = 4 * i.vexRegister();
    this.memory = i.memory;
    this.from = memory != null ? OPERAND : 4 * i.rm;
    this.size = size;
    this.wide = wide;
  }

  YmmOperation(Instruction i, int size) {
    this(i, size, i.vexLength != 0);
  }

  YmmOperation(Instruction i) {
    this(i, i.vexLength != 0 ? 32 : 16);
  }

  @Override
  final void execute(Cpu c) {
    c.requireAvx();
    var m = memory;
    if (m != null) {
      YmmMemory.load(c, m, size, OPERAND);
    }
    apply(c, c.xmm);
  }

  @Override
  boolean emit(RegionEmitter e) {
    if (!hasCode()) {
      return false;
    }
    e.vector.requireAvx();
    var m = memory;
    if (m != null) {
      e.vector.loadOperand(m, size, false);
    }
    emitApply(e.vector);
    return true;
  }

  /// Whether it has code of its own: {@link #emitApply}.
  boolean hasCode() {
    return false;
  }

  /// Emits what {@link #apply} does.
  void emitApply(VectorEmitter v) {
    throw new IllegalStateException("no code");
  }

  /// Elements of 64 bits that it works on.
  final int elements() {
    return wide ? 4 : 2;
  }

  /// Emits the end of the work: without 256 bits, the upper half becomes 0.
  final void emitUpper(VectorEmitter v) {
    if (!wide) {
      v.clearUpper(to);
    }
  }

  /// Does the work: from x[from] and what follows, and mostly x[first], to x[to].
  abstract void apply(Cpu c, long[] x);

  /// Writes a result of 128 bits.
  final void set(long[] x, long low, long high) {
    x[to] = low;
    x[to + 1] = high;
    x[to + 2] = 0;
    x[to + 3] = 0;
  }

  final void set(long[] x, long r0, long r1, long r2, long r3) {
    x[to] = r0;
    x[to + 1] = r1;
    x[to + 2] = r2;
    x[to + 3] = r3;
  }

  @Override
  int readsOnly() {
    return MemoryOperand.registers(memory);
  }
}
