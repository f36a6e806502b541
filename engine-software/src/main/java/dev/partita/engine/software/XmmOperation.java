package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// An SSE instruction with an XMM register first and an XMM register or memory second: loads the
/// second operand, then does its work. For all but the hottest.
abstract class XmmOperation extends Operation {
  /// ModR/M.reg as an index in {@link Cpu#xmm}.
  final int to;

  /// ModR/M.rm as an index in {@link Cpu#xmm}, when there is no memory operand.
  final int from;

  final @Nullable MemoryOperand memory;

  /// Bytes of the memory operand: 2, 4, 8, or 16 and aligned. What is not loaded is 0.
  final int size;

  XmmOperation(Instruction i, int size) {
    this.to = 4 * i.reg;
    this.from = 4 * i.rm;
    this.memory = i.memory;
    this.size = size;
  }

  XmmOperation(Instruction i) {
    this(i, 16);
  }

  @Override
  final void execute(Cpu c) {
    c.requireSse();
    var m = memory;
    if (m == null) {
      apply(c, c.xmm[from], c.xmm[from + 1]);
    } else if (size == 16) {
      long address = XmmMemory.alignedRead(c, m);
      long low = c.load64(address);
      apply(c, low, c.load64(address + 8));
    } else {
      apply(c, loadPart(c, m), 0);
    }
  }

  @Override
  int readsOnly() {
    return MemoryOperand.registers(memory);
  }

  private long loadPart(Cpu c, MemoryOperand m) {
    return switch (size) {
      case 2 -> m.load16(c);
      case 4 -> m.load32(c) & 0xFFFF_FFFFL;
      default -> m.load64(c);
    };
  }

  @Override
  boolean emit(RegionEmitter e) {
    if (!hasLane()) {
      return false;
    }
    e.vector.requireSse();
    var m = memory;
    if (m != null) {
      e.vector.loadOperand(m, size, size == 16);
    }
    emitLane(e.vector, to, to, m == null ? from : YmmOperation.OPERAND);
    return true;
  }

  /// Whether it has code of its own: {@link #emitLane}.
  boolean hasLane() {
    return false;
  }

  /// Emits what {@link #apply} does; indices are those of {@link Cpu#xmm}.
  ///
  /// @param to where the lane of the destination begins
  /// @param first where that of the first operand does: with SSE, the destination
  /// @param from where that of the second operand does
  void emitLane(VectorEmitter v, int to, int first, int from) {
    throw new IllegalStateException("no code");
  }

  /// Does the work.
  ///
  /// @param low bits 63:0 of the second operand
  /// @param high bits 127:64
  abstract void apply(Cpu c, long low, long high);
}
