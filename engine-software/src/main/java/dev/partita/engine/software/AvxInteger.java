package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// VEX-coded packed integer and bitwise instructions whose elements stay in place; the arithmetic
/// is {@link PackedInteger}'s.
final class AvxInteger {
  private AvxInteger() {}

  /// What {@link PackedInteger#half} knows.
  ///
  /// @param op the opcode in map 0F, or 0x3800 plus the opcode in map 0F38
  static Operation create(Instruction i, int op) {
    return switch (op) {
      case 0x54, 0xDB -> new And(i);
      case 0x55, 0xDF -> new AndNot(i);
      case 0x56, 0xEB -> new Or(i);
      case 0x57, 0xEF -> new Xor(i);
      case 0x74 -> new EqualBytes(i);
      case 0xD4 -> new Add64(i);
      case 0xDA -> new MinimumBytes(i);
      case 0xF8 -> new SubtractBytes(i);
      case 0xFE -> new Add32(i);
      default -> new Quarters(i, op);
    };
  }

  // ---- The hottest

  static final class And extends YmmOperation {
    And(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = x[first] & x[from];
      x[to + 1] = x[first + 1] & x[from + 1];
      x[to + 2] = wide ? x[first + 2] & x[from + 2] : 0;
      x[to + 3] = wide ? x[first + 3] & x[from + 3] : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0xDB, to, first, from, elements());
      emitUpper(v);
    }
  }

  static final class AndNot extends YmmOperation {
    AndNot(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = ~x[first] & x[from];
      x[to + 1] = ~x[first + 1] & x[from + 1];
      x[to + 2] = wide ? ~x[first + 2] & x[from + 2] : 0;
      x[to + 3] = wide ? ~x[first + 3] & x[from + 3] : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0xDF, to, first, from, elements());
      emitUpper(v);
    }
  }

  static final class Or extends YmmOperation {
    Or(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = x[first] | x[from];
      x[to + 1] = x[first + 1] | x[from + 1];
      x[to + 2] = wide ? x[first + 2] | x[from + 2] : 0;
      x[to + 3] = wide ? x[first + 3] | x[from + 3] : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0xEB, to, first, from, elements());
      emitUpper(v);
    }
  }

  static final class Xor extends YmmOperation {
    Xor(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = x[first] ^ x[from];
      x[to + 1] = x[first + 1] ^ x[from + 1];
      x[to + 2] = wide ? x[first + 2] ^ x[from + 2] : 0;
      x[to + 3] = wide ? x[first + 3] ^ x[from + 3] : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0xEF, to, first, from, elements());
      emitUpper(v);
    }
  }

  static final class EqualBytes extends YmmOperation {
    EqualBytes(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = equal(x[first], x[from]);
      x[to + 1] = equal(x[first + 1], x[from + 1]);
      x[to + 2] = wide ? equal(x[first + 2], x[from + 2]) : 0;
      x[to + 3] = wide ? equal(x[first + 3], x[from + 3]) : 0;
    }

    private static long equal(long a, long b) {
      return PackedInteger.equal(a, b, PackedInteger.H8, 7);
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0x74, to, first, from, elements());
      emitUpper(v);
    }
  }

  static final class MinimumBytes extends YmmOperation {
    MinimumBytes(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = minimum(x[first], x[from]);
      x[to + 1] = minimum(x[first + 1], x[from + 1]);
      x[to + 2] = wide ? minimum(x[first + 2], x[from + 2]) : 0;
      x[to + 3] = wide ? minimum(x[first + 3], x[from + 3]) : 0;
    }

    private static long minimum(long a, long b) {
      return PackedInteger.minimumUnsigned(a, b, PackedInteger.H8, 7);
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0xDA, to, first, from, elements());
      emitUpper(v);
    }
  }

  static final class SubtractBytes extends YmmOperation {
    SubtractBytes(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = PackedInteger.subtract(x[first], x[from], PackedInteger.H8);
      x[to + 1] = PackedInteger.subtract(x[first + 1], x[from + 1], PackedInteger.H8);
      x[to + 2] = wide ? PackedInteger.subtract(x[first + 2], x[from + 2], PackedInteger.H8) : 0;
      x[to + 3] = wide ? PackedInteger.subtract(x[first + 3], x[from + 3], PackedInteger.H8) : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0xF8, to, first, from, elements());
      emitUpper(v);
    }
  }

  static final class Add32 extends YmmOperation {
    Add32(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = PackedInteger.add(x[first], x[from], PackedInteger.H32);
      x[to + 1] = PackedInteger.add(x[first + 1], x[from + 1], PackedInteger.H32);
      x[to + 2] = wide ? PackedInteger.add(x[first + 2], x[from + 2], PackedInteger.H32) : 0;
      x[to + 3] = wide ? PackedInteger.add(x[first + 3], x[from + 3], PackedInteger.H32) : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0xFE, to, first, from, elements());
      emitUpper(v);
    }
  }

  static final class Add64 extends YmmOperation {
    Add64(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = x[first] + x[from];
      x[to + 1] = x[first + 1] + x[from + 1];
      x[to + 2] = wide ? x[first + 2] + x[from + 2] : 0;
      x[to + 3] = wide ? x[first + 3] + x[from + 3] : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(0xD4, to, first, from, elements());
      emitUpper(v);
    }
  }

  /// VPMOVMSKB.
  static final class MoveMaskBytes extends Operation {
    final int to;
    final int from;
    final boolean wide;

    MoveMaskBytes(Instruction i) {
      this.to = i.reg;
      this.from = 4 * i.rm;
      this.wide = i.vexLength != 0;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      int r = PackedInteger.topBits(x[from]) | PackedInteger.topBits(x[from + 1]) << 8;
      if (wide) {
        r |= PackedInteger.topBits(x[from + 2]) << 16 | PackedInteger.topBits(x[from + 3]) << 24;
      }
      c.set32(to, r);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.packed.topBits(from, wide ? 4 : 2);
      e.putInt(to);
      return true;
    }
  }

  // ---- The rest

  /// What works on each quarter alone.
  static final class Quarters extends YmmOperation {
    final int op;

    Quarters(Instruction i, int op) {
      super(i);
      this.op = op;
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = PackedInteger.half(op, x[first], x[from]);
      x[to + 1] = PackedInteger.half(op, x[first + 1], x[from + 1]);
      x[to + 2] = wide ? PackedInteger.half(op, x[first + 2], x[from + 2]) : 0;
      x[to + 3] = wide ? PackedInteger.half(op, x[first + 3], x[from + 3]) : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.halves(op, to, first, from, elements());
      emitUpper(v);
    }
  }

  // ---- Shifts

  /// VPSRL, VPSRA, VPSLL with one count for all, in an XMM register or memory.
  static final class Shift extends YmmOperation {
    final int op;

    Shift(Instruction i) {
      super(i, 16);
      this.op = i.opcode;
    }

    @Override
    void apply(Cpu c, long[] x) {
      long count = x[from];
      x[to] = PackedInteger.shift(op, x[first], count);
      x[to + 1] = PackedInteger.shift(op, x[first + 1], count);
      x[to + 2] = wide ? PackedInteger.shift(op, x[first + 2], count) : 0;
      x[to + 3] = wide ? PackedInteger.shift(op, x[first + 3], count) : 0;
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.shiftBy(op, to, first, from, elements());
      emitUpper(v);
    }
  }

  /// Opcodes 71 to 73: the destination is VEX.vvvv.
  static @Nullable Operation shiftByImmediate(Instruction i) {
    if (i.isMemory()) {
      return null;
    }
    if (i.opcode == 0x73 && (i.extension() == 3 || i.extension() == 7)) {
      return new ShiftBytes(i);
    }
    int op = PackedIntegerInstructions.immediateShift(i);
    return op < 0 ? null : new ShiftImmediate(i, op);
  }

  static final class ShiftImmediate extends Operation {
    final int op;
    final int to;
    final int from;
    final int count;
    final boolean wide;

    /// @param op the opcode of the form with the count in a register
    ShiftImmediate(Instruction i, int op) {
      this.op = op;
      this.to = 4 * i.vexRegister();
      this.from = 4 * i.rm;
      this.count = (int) i.immediate & 0xFF;
      this.wide = i.vexLength != 0;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      x[to] = PackedInteger.shift(op, x[from], count);
      x[to + 1] = PackedInteger.shift(op, x[from + 1], count);
      x[to + 2] = wide ? PackedInteger.shift(op, x[from + 2], count) : 0;
      x[to + 3] = wide ? PackedInteger.shift(op, x[from + 3], count) : 0;
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.packed.shift(op, to, from, count, wide ? 4 : 2);
      if (!wide) {
        v.clearUpper(to);
      }
      return true;
    }
  }

  /// VPSRLDQ, VPSLLDQ.
  static final class ShiftBytes extends Operation {
    final boolean left;
    final int to;
    final int from;
    final int count;
    final boolean wide;

    ShiftBytes(Instruction i) {
      this.left = i.extension() == 7;
      this.to = 4 * i.vexRegister();
      this.from = 4 * i.rm;
      this.count = Math.min((int) i.immediate & 0xFF, 16);
      this.wide = i.vexLength != 0;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      lane(x, to, x[from], x[from + 1]);
      if (wide) {
        lane(x, to + 2, x[from + 2], x[from + 3]);
      } else {
        x[to + 2] = 0;
        x[to + 3] = 0;
      }
    }

    private void lane(long[] x, int at, long low, long high) {
      if (left) {
        x[at] = PackedShuffle.align(high, low, 0, 0, 16 - count);
        x[at + 1] = PackedShuffle.align(0, high, low, 0, 16 - count);
      } else {
        x[at] = PackedShuffle.align(0, 0, high, low, count);
        x[at + 1] = PackedShuffle.align(0, 0, 0, high, count);
      }
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      for (int lane = 0; lane < (wide ? 4 : 2); lane += 2) {
        if (left) {
          v.packed.align(to + lane, from + lane, -1, 16 - count);
        } else {
          v.packed.align(to + lane, -1, from + lane, count);
        }
      }
      if (!wide) {
        v.clearUpper(to);
      }
      return true;
    }
  }

  /// VPSRLVD, VPSRLVQ, VPSRAVD, VPSLLVD, VPSLLVQ: a count for each element.
  static final class ShiftVariable extends YmmOperation {
    final int op;
    final boolean quadwords;

    ShiftVariable(Instruction i) {
      super(i);
      this.op = i.opcode;
      this.quadwords = i.rexW();
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = shift(x[first], x[from]);
      x[to + 1] = shift(x[first + 1], x[from + 1]);
      x[to + 2] = wide ? shift(x[first + 2], x[from + 2]) : 0;
      x[to + 3] = wide ? shift(x[first + 3], x[from + 3]) : 0;
    }

    private long shift(long a, long count) {
      if (quadwords) {
        return (count & -64) != 0 ? 0 : op == 0x45 ? a >>> count : a << count;
      }
      int low = element((int) a, (int) count);
      return SimdFloat.pair(low, element((int) (a >>> 32), (int) (count >>> 32)));
    }

    private int element(int a, int count) {
      boolean out = (count & -32) != 0;
      return switch (op) {
        case 0x45 -> out ? 0 : a >>> count;
        case 0x46 -> out ? a >> 31 : a >> count;
        default -> out ? 0 : a << count;
      };
    }
  }

  // ---- Tests

  /// VPTEST, VTESTPS, VTESTPD: ZF = no common bit, CF = no bit of the second that the first has
  /// not; of the bits in a mask.
  static final class Test extends YmmOperation {
    final long mask;

    /// @param mask all bits, or the elements' sign bits
    Test(Instruction i, long mask) {
      super(i);
      this.mask = mask;
    }

    @Override
    void apply(Cpu c, long[] x) {
      long both = x[to] & x[from] | x[to + 1] & x[from + 1];
      long second = ~x[to] & x[from] | ~x[to + 1] & x[from + 1];
      if (wide) {
        both |= x[to + 2] & x[from + 2] | x[to + 3] & x[from + 3];
        second |= ~x[to + 2] & x[from + 2] | ~x[to + 3] & x[from + 3];
      }
      c.setArithmeticFlags(((both & mask) == 0 ? Cpu.ZF : 0) | ((second & mask) == 0 ? Cpu.CF : 0));
    }

    @Override
    int readsOnly() {
      return -1;
    }
  }

  /// VPCMPESTRM, VPCMPESTRI, VPCMPISTRM, VPCMPISTRI.
  static final class CompareStrings extends Operation {
    final StringComparison operation;

    CompareStrings(Instruction i) {
      this.operation = new StringComparison(i);
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      operation.run(c);
      if ((operation.op & 1) == 0) {
        // The mask went to XMM0.
        c.xmm[2] = 0;
        c.xmm[3] = 0;
      }
    }
  }
}
