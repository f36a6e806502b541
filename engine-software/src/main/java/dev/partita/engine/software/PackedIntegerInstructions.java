package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Packed integer and bitwise instructions on XMM registers; the arithmetic is {@link
/// PackedInteger}'s.
final class PackedIntegerInstructions {
  private PackedIntegerInstructions() {}

  /// Map 0F, prefix 66 (and the bitwise instructions of floating-point types, whatever the prefix).
  static @Nullable Operation create(Instruction i) {
    int op = i.opcode;
    if (!i.isMemory()) {
      Operation fast = registers(i);
      if (fast != null) {
        return fast;
      }
    }
    return switch (op) {
      case 0x74 -> new EqualBytesMemory(i);
      case 0x60, 0x61, 0x62, 0x6C -> new InterleaveLow(i);
      case 0x68, 0x69, 0x6A, 0x6D -> new InterleaveHigh(i);
      case 0x63, 0x67, 0x6B -> new Join(i, op);
      case 0xD1, 0xD2, 0xD3, 0xE1, 0xE2, 0xF1, 0xF2, 0xF3 -> new Shift(i);
      case 0x71, 0x72, 0x73 -> shiftByImmediate(i);
      case 0x54, 0x55, 0x56, 0x57 -> new Halves(i, op);
      default -> PackedInteger.isHalf(op) ? new Halves(i, op) : null;
    };
  }

  /// Map 0F38, prefix 66.
  static @Nullable Operation create38(Instruction i) {
    int op = i.opcode;
    return switch (op) {
      case 0x00 -> new ShuffleBytes(i);
      case 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x2B -> new Join(i, 0x3800 | op);
      case 0x04, 0x08, 0x09, 0x0A, 0x0B, 0x1C, 0x1D, 0x1E -> new Halves(i, 0x3800 | op);
      case 0x28, 0x29, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C -> new Halves(i, 0x3800 | op);
      case 0x3D, 0x3E, 0x3F, 0x40 -> new Halves(i, 0x3800 | op);
      case 0x17 -> new Test(i);
      case 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35 -> new Extend(i);
      case 0x2A -> i.isMemory() ? new VectorMoves.LoadAligned(i) : null;
      case 0x41 -> new MinimumPosition(i);
      default -> null;
    };
  }

  private static @Nullable Operation registers(Instruction i) {
    return switch (i.opcode) {
      case 0x57, 0xEF -> i.reg == i.rm ? new Zero(i) : new Xor(i);
      case 0x54, 0xDB -> new And(i);
      case 0x56, 0xEB -> new Or(i);
      case 0x74 -> i.reg == i.rm ? new Ones(i) : new EqualBytes(i);
      case 0x75, 0x76 -> i.reg == i.rm ? new Ones(i) : null;
      case 0xD4 -> new Add64(i);
      case 0xDA -> new MinimumBytes(i);
      case 0xF8 -> new SubtractBytes(i);
      case 0xFE -> new Add32(i);
      default -> null;
    };
  }

  // ---- The hottest, between registers

  /// PXOR, XORPS, XORPD of a register with itself.
  static final class Zero extends Operation {
    final int to;

    Zero(Instruction i) {
      this.to = 4 * i.reg;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = 0;
      c.xmm[to + 1] = 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.clear(to);
      v.clear(to + 1);
      return true;
    }
  }

  /// PCMPEQB, PCMPEQW, PCMPEQD of a register with itself.
  static final class Ones extends Operation {
    final int to;

    Ones(Instruction i) {
      this.to = 4 * i.reg;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = -1L;
      c.xmm[to + 1] = -1L;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      e.b.loadConstant(-1L);
      v.put(to);
      e.b.loadConstant(-1L);
      v.put(to + 1);
      return true;
    }
  }

  static final class Xor extends Operation {
    final int to;
    final int from;

    Xor(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] ^= x[from];
      x[to + 1] ^= x[from + 1];
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.halves(0xEF, to, to, from, 2);
      return true;
    }
  }

  static final class And extends Operation {
    final int to;
    final int from;

    And(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] &= x[from];
      x[to + 1] &= x[from + 1];
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.halves(0xDB, to, to, from, 2);
      return true;
    }
  }

  static final class Or extends Operation {
    final int to;
    final int from;

    Or(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] |= x[from];
      x[to + 1] |= x[from + 1];
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.halves(0xEB, to, to, from, 2);
      return true;
    }
  }

  static final class EqualBytes extends Operation {
    final int to;
    final int from;

    EqualBytes(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] = PackedInteger.equal(x[to], x[from], PackedInteger.H8, 7);
      x[to + 1] = PackedInteger.equal(x[to + 1], x[from + 1], PackedInteger.H8, 7);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.halves(0x74, to, to, from, 2);
      return true;
    }
  }

  static final class EqualBytesMemory extends Operation {
    final int to;
    final MemoryOperand memory;

    EqualBytesMemory(Instruction i) {
      this.to = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long address = XmmMemory.alignedRead(c, memory);
      long low = c.load64(address);
      long high = c.load64(address + 8);
      long[] x = c.xmm;
      x[to] = PackedInteger.equal(x[to], low, PackedInteger.H8, 7);
      x[to + 1] = PackedInteger.equal(x[to + 1], high, PackedInteger.H8, 7);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.loadOperand(memory, 16, true);
      v.packed.halves(0x74, to, to, YmmOperation.OPERAND, 2);
      return true;
    }
  }

  static final class SubtractBytes extends Operation {
    final int to;
    final int from;

    SubtractBytes(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] = PackedInteger.subtract(x[to], x[from], PackedInteger.H8);
      x[to + 1] = PackedInteger.subtract(x[to + 1], x[from + 1], PackedInteger.H8);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.halves(0xF8, to, to, from, 2);
      return true;
    }
  }

  static final class MinimumBytes extends Operation {
    final int to;
    final int from;

    MinimumBytes(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] = PackedInteger.minimumUnsigned(x[to], x[from], PackedInteger.H8, 7);
      x[to + 1] = PackedInteger.minimumUnsigned(x[to + 1], x[from + 1], PackedInteger.H8, 7);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.halves(0xDA, to, to, from, 2);
      return true;
    }
  }

  static final class Add32 extends Operation {
    final int to;
    final int from;

    Add32(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] = PackedInteger.add(x[to], x[from], PackedInteger.H32);
      x[to + 1] = PackedInteger.add(x[to + 1], x[from + 1], PackedInteger.H32);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.halves(0xFE, to, to, from, 2);
      return true;
    }
  }

  static final class Add64 extends Operation {
    final int to;
    final int from;

    Add64(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] += x[from];
      x[to + 1] += x[from + 1];
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.halves(0xD4, to, to, from, 2);
      return true;
    }
  }

  /// PMOVMSKB.
  static final class MoveMaskBytes extends Operation {
    final int to;
    final int from;

    MoveMaskBytes(Instruction i) {
      this.to = i.reg;
      this.from = 4 * i.rm;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      c.r[to] = PackedInteger.topBits(x[from]) | PackedInteger.topBits(x[from + 1]) << 8;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.topBits(from, 2);
      e.putInt(to);
      return true;
    }
  }

  // ---- The rest

  /// What works on each half alone.
  static final class Halves extends XmmOperation {
    final int op;

    Halves(Instruction i, int op) {
      super(i);
      this.op = op;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      x[to] = PackedInteger.half(op, x[to], low);
      x[to + 1] = PackedInteger.half(op, x[to + 1], high);
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.halves(op, to, first, from, 2);
    }
  }

  /// PACKSS, PACKUS, PHADD, PHSUB.
  static final class Join extends XmmOperation {
    final int op;

    Join(Instruction i, int op) {
      super(i);
      this.op = op;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      x[to] = PackedInteger.join(op, x[to], x[to + 1]);
      x[to + 1] = PackedInteger.join(op, low, high);
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.join(op, to, first, from);
    }
  }

  /// PUNPCKLBW, WD, DQ, QDQ; UNPCKLPS, UNPCKLPD.
  static final class InterleaveLow extends XmmOperation {
    final int log;

    InterleaveLow(Instruction i) {
      this(i, i.opcode == 0x6C ? 3 : i.opcode - 0x60);
    }

    InterleaveLow(Instruction i, int log) {
      super(i);
      this.log = log;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      if (log == 3) {
        x[to + 1] = low;
      } else {
        long a = x[to];
        x[to] = PackedInteger.interleaveLow(a, low, log);
        x[to + 1] = PackedInteger.interleaveHigh(a, low, log);
      }
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.interleave(to, first, from, log, false);
    }
  }

  /// PUNPCKHBW, WD, DQ, QDQ; UNPCKHPS, UNPCKHPD.
  static final class InterleaveHigh extends XmmOperation {
    final int log;

    InterleaveHigh(Instruction i) {
      this(i, i.opcode == 0x6D ? 3 : i.opcode - 0x68);
    }

    InterleaveHigh(Instruction i, int log) {
      super(i);
      this.log = log;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      long a = x[to + 1];
      if (log == 3) {
        x[to] = a;
        x[to + 1] = high;
      } else {
        x[to] = PackedInteger.interleaveLow(a, high, log);
        x[to + 1] = PackedInteger.interleaveHigh(a, high, log);
      }
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.interleave(to, first, from, log, true);
    }
  }

  /// PSRL, PSRA, PSLL with the count in a register or memory.
  static final class Shift extends XmmOperation {
    final int op;

    Shift(Instruction i) {
      super(i);
      this.op = i.opcode;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      x[to] = PackedInteger.shift(op, x[to], low);
      x[to + 1] = PackedInteger.shift(op, x[to + 1], low);
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.shiftBy(op, to, first, from, 2);
    }
  }

  private static @Nullable Operation shiftByImmediate(Instruction i) {
    int op = immediateShift(i);
    if (i.isMemory()) {
      return null;
    }
    if (i.opcode == 0x73 && (i.extension() == 3 || i.extension() == 7)) {
      return new ShiftBytes(i);
    }
    return op < 0 ? null : new ShiftImmediate(i, op);
  }

  /// The opcode of the form with the count in a register, or -1.
  static int immediateShift(Instruction i) {
    int size = i.opcode - 0x71;
    return switch (i.extension()) {
      case 2 -> 0xD1 + size;
      case 4 -> size == 2 ? -1 : 0xE1 + size;
      case 6 -> 0xF1 + size;
      default -> -1;
    };
  }

  static final class ShiftImmediate extends Operation {
    final int op;
    final int register;
    final int count;

    ShiftImmediate(Instruction i, int op) {
      this.op = op;
      this.register = 4 * i.rm;
      this.count = (int) i.immediate & 0xFF;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[register] = PackedInteger.shift(op, x[register], count);
      x[register + 1] = PackedInteger.shift(op, x[register + 1], count);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.shift(op, register, register, count, 2);
      return true;
    }
  }

  /// PSRLDQ, PSLLDQ.
  static final class ShiftBytes extends Operation {
    final boolean left;
    final int register;
    final int count;

    ShiftBytes(Instruction i) {
      this.left = i.extension() == 7;
      this.register = 4 * i.rm;
      this.count = (int) i.immediate & 0xFF;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      long low = x[register];
      long high = x[register + 1];
      if (left) {
        int n = Math.min(count, 16);
        x[register] = n <= 8 ? PackedInteger.align(low, 0, 8 - n) : 0;
        x[register + 1] =
            n <= 8 ? PackedInteger.align(high, low, 8 - n) : PackedInteger.align(low, 0, 16 - n);
      } else {
        x[register] = PackedShuffle.align(0, 0, high, low, count);
        x[register + 1] = PackedInteger.align(0, high, count);
      }
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      int n = Math.min(count, 16);
      if (left) {
        v.packed.align(register, register, -1, 16 - n);
      } else {
        v.packed.align(register, -1, register, n);
      }
      return true;
    }
  }

  static final class ShuffleBytes extends XmmOperation {
    ShuffleBytes(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      long a = x[to];
      long b = x[to + 1];
      x[to] = PackedInteger.shuffleBytes(a, b, low);
      x[to + 1] = PackedInteger.shuffleBytes(a, b, high);
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.shuffleBytes(to, first, from);
    }
  }

  /// PTEST: ZF = no common bit, CF = no bit of the second that the first has not.
  static final class Test extends XmmOperation {
    Test(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long a = c.xmm[to];
      long b = c.xmm[to + 1];
      int flags = ((a & low) | (b & high)) == 0 ? Cpu.ZF : 0;
      if (((~a & low) | (~b & high)) == 0) {
        flags |= Cpu.CF;
      }
      c.setArithmeticFlags(flags);
    }

    @Override
    int readsOnly() {
      return -1;
    }
  }

  /// PMOVSX, PMOVZX.
  static final class Extend extends XmmOperation {
    final int op;

    Extend(Instruction i) {
      super(i, bytes(i.opcode));
      this.op = i.opcode;
    }

    private static int bytes(int opcode) {
      return switch (opcode & 7) {
        case 0, 3, 5 -> 8;
        case 1, 4 -> 4;
        default -> 2;
      };
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int from = (op & 7) < 3 ? 8 : (op & 7) < 5 ? 16 : 32;
      int into =
          switch (op & 7) {
            case 0 -> 16;
            case 1, 3 -> 32;
            default -> 64;
          };
      boolean signed = (op & 0x10) == 0;
      c.xmm[to] = PackedShuffle.extend(low, from, into, signed);
      c.xmm[to + 1] = PackedShuffle.extend(low >>> 64 / into * from, from, into, signed);
    }
  }

  /// PHMINPOSUW.
  static final class MinimumPosition extends XmmOperation {
    MinimumPosition(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long least = 0xFFFF;
      long position = 0;
      for (int k = 7; k >= 0; k--) {
        long word = (k < 4 ? low : high) >>> 16 * (k & 3) & 0xFFFF;
        if (word <= least) {
          least = word;
          position = k;
        }
      }
      c.xmm[to] = least | position << 16;
      c.xmm[to + 1] = 0;
    }
  }
}
