package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// VEX-coded moves to, from and between vector registers. Meaning: Intel SDM volume 2, the
/// instruction of the class's name or comment.
final class AvxMoves {
  private AvxMoves() {}

  // ---- Whole registers

  /// VMOVAPS and its like between registers.
  static final class Copy extends Operation {
    final int to;
    final int from;
    final boolean wide;

    Copy(int to, int from, boolean wide) {
      this.to = 4 * to;
      this.from = 4 * from;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      x[to] = x[from];
      x[to + 1] = x[from + 1];
      x[to + 2] = wide ? x[from + 2] : 0;
      x[to + 3] = wide ? x[from + 3] : 0;
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.copy(to, from, wide ? 4 : 2);
      if (!wide) {
        v.clearUpper(to);
      }
      return true;
    }
  }

  /// VMOVUPS, VMOVUPD, VMOVDQU, VLDDQU from memory, 256 bits.
  static final class Load32 extends Operation {
    final int to;
    final MemoryOperand memory;

    Load32(Instruction i) {
      this.to = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      YmmMemory.load32(c, memory, memory.readAddress(c, 32), to);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.loadOperand(memory, 32, false);
      v.copy(to, YmmOperation.OPERAND, 4);
      return true;
    }
  }

  /// The same, 128 bits.
  static final class Load16 extends Operation {
    final int to;
    final MemoryOperand memory;

    Load16(Instruction i) {
      this.to = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      YmmMemory.load16(c, memory, memory.readAddress(c, 16), to);
      c.xmm[to + 2] = 0;
      c.xmm[to + 3] = 0;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.loadOperand(memory, 16, false);
      v.copy(to, YmmOperation.OPERAND, 2);
      v.clearUpper(to);
      return true;
    }
  }

  /// VMOVAPS, VMOVAPD, VMOVDQA, VMOVNTDQA from memory.
  static final class LoadAligned extends Operation {
    final int to;
    final boolean wide;
    final MemoryOperand memory;

    LoadAligned(Instruction i) {
      this.to = 4 * i.reg;
      this.wide = i.vexLength != 0;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      if (wide) {
        YmmMemory.load32(c, memory, YmmMemory.aligned(c, memory.readAddress(c, 32), 32), to);
      } else {
        YmmMemory.load16(c, memory, YmmMemory.aligned(c, memory.readAddress(c, 16), 16), to);
        c.xmm[to + 2] = 0;
        c.xmm[to + 3] = 0;
      }
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.loadOperand(memory, wide ? 32 : 16, true);
      v.copy(to, YmmOperation.OPERAND, wide ? 4 : 2);
      if (!wide) {
        v.clearUpper(to);
      }
      return true;
    }
  }

  /// VMOVUPS, VMOVUPD, VMOVDQU to memory.
  static final class Store extends Operation {
    final int from;
    final boolean wide;
    final MemoryOperand memory;

    Store(Instruction i) {
      this.from = 4 * i.reg;
      this.wide = i.vexLength != 0;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      if (wide) {
        YmmMemory.store32(c, memory, memory.writeAddress(c, 32), from);
      } else {
        YmmMemory.store16(c, memory, memory.writeAddress(c, 16), from);
      }
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.store(memory, wide ? 32 : 16, from, false);
      return true;
    }
  }

  /// VMOVAPS, VMOVAPD, VMOVDQA, VMOVNTPS, VMOVNTPD, VMOVNTDQ to memory.
  static final class StoreAligned extends Operation {
    final int from;
    final boolean wide;
    final MemoryOperand memory;

    StoreAligned(Instruction i) {
      this.from = 4 * i.reg;
      this.wide = i.vexLength != 0;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      if (wide) {
        YmmMemory.store32(c, memory, YmmMemory.aligned(c, memory.writeAddress(c, 32), 32), from);
      } else {
        YmmMemory.store16(c, memory, YmmMemory.aligned(c, memory.writeAddress(c, 16), 16), from);
      }
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.store(memory, wide ? 32 : 16, from, true);
      return true;
    }
  }

  // ---- Parts of registers

  /// VMOVSS, VMOVSD, VMOVQ from memory, VMOVQ between registers: the rest becomes 0.
  static final class Part extends YmmOperation {
    final long mask;

    /// @param size 4 or 8 bytes
    Part(Instruction i, int size) {
      super(i, size);
      this.mask = -1L >>> 64 - 8 * size;
    }

    @Override
    void apply(Cpu c, long[] x) {
      set(x, x[from] & mask, 0);
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      if (memory == null && mask != -1L) {
        throw new IllegalStateException("between registers a part is 8 bytes");
      }
      v.copy(to, from, 1);
      v.clear(to + 1);
      v.clearUpper(to);
    }
  }

  /// VMOVQ between registers in the form with the destination in ModR/M.rm.
  static final class PartBack extends Operation {
    final int to;
    final int from;

    PartBack(Instruction i) {
      this.to = 4 * i.rm;
      this.from = 4 * i.reg;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      x[to] = x[from];
      x[to + 1] = 0;
      x[to + 2] = 0;
      x[to + 3] = 0;
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.copy(to, from, 1);
      v.clear(to + 1);
      v.clearUpper(to);
      return true;
    }
  }

  /// VMOVSS, VMOVSD between registers: the low element of one, the rest of another.
  static final class Merge extends Operation {
    final int to;
    final int first;
    final int from;
    final long mask;

    Merge(int to, int first, int from, int size) {
      this.to = 4 * to;
      this.first = 4 * first;
      this.from = 4 * from;
      this.mask = -1L >>> 64 - 8 * size;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      x[to] = PackedInteger.select(mask, x[from], x[first]);
      x[to + 1] = x[first + 1];
      x[to + 2] = 0;
      x[to + 3] = 0;
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      if (mask == -1L) {
        v.packed.choose(to, from, first + 1);
      } else {
        v.packed.mergeSingle(to, first, from);
        v.copy(to + 1, first + 1, 1);
      }
      v.clearUpper(to);
      return true;
    }
  }

  /// VMOVLPS, VMOVLPD, VMOVHPS, VMOVHPD from memory; VMOVHLPS, VMOVLHPS.
  static final class Half extends YmmOperation {
    final int half;
    final int source;

    /// @param half the half that is replaced: 0 low, 1 high
    Half(Instruction i, int half) {
      super(i, 8, false);
      this.half = half;
      // Between registers: the other half of the source.
      this.source = i.isMemory() ? from : from + 1 - half;
    }

    @Override
    void apply(Cpu c, long[] x) {
      long other = x[first + 1 - half];
      set(x, half == 0 ? x[source] : other, half == 0 ? other : x[source]);
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      if (half == 0) {
        v.packed.choose(to, source, first + 1);
      } else {
        v.packed.choose(to, first, source);
      }
      v.clearUpper(to);
    }
  }

  /// VMOVSS, VMOVSD, VMOVQ, VMOVLPS, VMOVHPS and their like to memory.
  static final class StorePart extends Operation {
    final int from;
    final int size;
    final MemoryOperand memory;

    /// @param half 0 low, 1 high
    /// @param size 4 or 8 bytes
    StorePart(Instruction i, int half, int size) {
      this.from = 4 * i.reg + half;
      this.size = size;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      if (size == 8) {
        memory.store64(c, c.xmm[from]);
      } else {
        memory.store32(c, (int) c.xmm[from]);
      }
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.get(from);
      if (size == 4) {
        e.b.l2i();
      }
      e.store(memory, size);
      return true;
    }
  }

  // ---- General registers

  /// VMOVD, VMOVQ from a general register or memory.
  static final class FromGeneral extends Operation {
    final int to;
    final int from;
    final boolean wide;
    final @Nullable MemoryOperand memory;

    FromGeneral(Instruction i) {
      this.to = 4 * i.reg;
      this.from = i.rm;
      this.wide = i.rexW() && i.is64();
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long value;
      if (wide) {
        value = memory == null ? c.r[from] : memory.load64(c);
      } else {
        value = (memory == null ? c.get32(from) : memory.load32(c)) & 0xFFFF_FFFFL;
      }
      long[] x = c.xmm;
      x[to] = value;
      x[to + 1] = 0;
      x[to + 2] = 0;
      x[to + 3] = 0;
    }

    @Override
    int readsOnly() {
      return memory == null ? 1 << from : MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.fromGeneral(e, to, memory, from, wide ? 8 : 4);
      v.clear(to + 1);
      v.clearUpper(to);
      return true;
    }
  }

  /// VPINSRB, VPINSRW, VPINSRD, VPINSRQ.
  static final class Insert extends Operation {
    final int to;
    final int first;
    final int half;
    final int shift;
    final int bits;
    final int from;
    final @Nullable MemoryOperand memory;

    Insert(Instruction i, int bits) {
      int position = (int) i.immediate & 0xFF;
      int inHalf = 64 / bits;
      this.bits = bits;
      this.to = 4 * i.reg;
      this.first = 4 * i.vexRegister();
      this.half = position / inHalf & 1;
      this.shift = bits * (position & inHalf - 1);
      this.from = i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      var m = memory;
      long value =
          m == null
              ? c.r[from]
              : switch (bits) {
                case 8 -> m.load8(c);
                case 16 -> m.load16(c);
                case 32 -> m.load32(c);
                default -> m.load64(c);
              };
      long[] x = c.xmm;
      long mask = -1L >>> 64 - bits << shift;
      long low = x[first];
      long high = x[first + 1];
      x[to] = half == 0 ? low & ~mask | value << shift & mask : low;
      x[to + 1] = half == 0 ? high : high & ~mask | value << shift & mask;
      x[to + 2] = 0;
      x[to + 3] = 0;
    }

    @Override
    int readsOnly() {
      return memory == null ? 1 << from : MemoryOperand.registers(memory);
    }
  }

  /// VMOVD, VMOVQ to a general register or memory; VPEXTRB, VPEXTRW, VPEXTRD, VPEXTRQ, VEXTRACTPS.
  static final class Extract extends Operation {
    final int to;
    final int from;
    final int shift;
    final int bits;
    final @Nullable MemoryOperand memory;

    /// @param position of the element
    Extract(Instruction i, int to, int register, int bits, int position) {
      int inHalf = 64 / bits;
      this.to = to;
      this.from = 4 * register + (position / inHalf & 1);
      this.shift = bits * (position & inHalf - 1);
      this.bits = bits;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long value = c.xmm[from] >>> shift & -1L >>> 64 - bits;
      var m = memory;
      if (m == null) {
        c.r[to] = value;
        return;
      }
      switch (bits) {
        case 8 -> m.store8(c, (int) value);
        case 16 -> m.store16(c, (int) value);
        case 32 -> m.store32(c, (int) value);
        default -> m.store64(c, value);
      }
    }

    @Override
    int readsOnly() {
      return memory == null ? -1 : MemoryOperand.registers(memory);
    }
  }

  /// VMOVMSKPS, VMOVMSKPD.
  static final class MoveMask extends Operation {
    final int to;
    final int from;
    final boolean doubles;
    final boolean wide;

    MoveMask(Instruction i, boolean doubles) {
      this.to = i.reg;
      this.from = 4 * i.rm;
      this.doubles = doubles;
      this.wide = i.vexLength != 0;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      c.r[to] = signs(c.xmm, from, doubles, wide);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireAvx();
      v.packed.signs(from, doubles, wide ? 4 : 2);
      e.putInt(to);
      return true;
    }
  }

  /// The sign bits of all elements, the lowest element's in bit 0.
  static int signs(long[] x, int from, boolean doubles, boolean wide) {
    int r = signs(x[from], x[from + 1], doubles);
    if (wide) {
      r |= signs(x[from + 2], x[from + 3], doubles) << (doubles ? 2 : 4);
    }
    return r;
  }

  private static int signs(long low, long high, boolean doubles) {
    if (doubles) {
      return (int) (low >>> 63 | high >>> 63 << 1);
    }
    return (int) (low >>> 31 & 1 | low >>> 63 << 1 | (high >>> 31 & 1) << 2 | high >>> 63 << 3);
  }

  // ---- Duplication

  /// VBROADCASTSS, VBROADCASTSD, VPBROADCASTB, W, D, Q.
  static final class Broadcast extends YmmOperation {
    final int bits;

    Broadcast(Instruction i, int bits) {
      super(i, bits / 8);
      this.bits = bits;
    }

    @Override
    void apply(Cpu c, long[] x) {
      long a = x[from];
      long r =
          switch (bits) {
            case 8 -> (a & 0xFF) * 0x0101_0101_0101_0101L;
            case 16 -> (a & 0xFFFF) * 0x0001_0001_0001_0001L;
            case 32 -> a & 0xFFFF_FFFFL | a << 32;
            default -> a;
          };
      set(x, r, r, wide ? r : 0, wide ? r : 0);
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.packed.broadcast(bits, to, from, elements());
      emitUpper(v);
    }
  }

  /// VBROADCASTF128, VBROADCASTI128.
  static final class BroadcastLane extends YmmOperation {
    BroadcastLane(Instruction i) {
      super(i, 16);
    }

    @Override
    void apply(Cpu c, long[] x) {
      set(x, x[from], x[from + 1], x[from], x[from + 1]);
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.copy(to, from, 2);
      v.copy(to + 2, from, 2);
    }
  }

  /// VMOVDDUP.
  static final class DuplicateDoubles extends YmmOperation {
    DuplicateDoubles(Instruction i) {
      super(i, i.vexLength != 0 ? 32 : 8);
    }

    @Override
    void apply(Cpu c, long[] x) {
      long low = x[from];
      long high = wide ? x[from + 2] : 0;
      set(x, low, low, high, high);
    }
  }

  /// VMOVSLDUP, VMOVSHDUP.
  static final class DuplicateSingles extends YmmOperation {
    final boolean odd;

    DuplicateSingles(Instruction i, boolean odd) {
      super(i);
      this.odd = odd;
    }

    @Override
    void apply(Cpu c, long[] x) {
      set(
          x,
          twice(x[from]),
          twice(x[from + 1]),
          wide ? twice(x[from + 2]) : 0,
          wide ? twice(x[from + 3]) : 0);
    }

    private long twice(long a) {
      return odd ? a >>> 32 | a & 0xFFFF_FFFF_0000_0000L : a & 0xFFFF_FFFFL | a << 32;
    }
  }

  // ---- Upper halves, control

  /// VZEROUPPER, VZEROALL. Outside 64-bit mode registers 8 to 15 stay as they are.
  static final class Clear extends Operation {
    final boolean all;
    final int registers;

    Clear(Instruction i) {
      this.all = i.vexLength != 0;
      this.registers = i.is64() ? 16 : 8;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      for (int at = 0; at < 4 * registers; at += 4) {
        if (all) {
          x[at] = 0;
          x[at + 1] = 0;
        }
        x[at + 2] = 0;
        x[at + 3] = 0;
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
      for (int at = 0; at < 4 * registers; at += 4) {
        if (all) {
          v.clear(at);
          v.clear(at + 1);
        }
        v.clearUpper(at);
      }
      return true;
    }
  }

  /// VLDMXCSR.
  static final class LoadControl extends Operation {
    final MemoryOperand memory;

    LoadControl(Instruction i) {
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      int value = memory.load32(c);
      if ((value & ~VectorControl.MXCSR_MASK) != 0) {
        throw c.generalProtection(0);
      }
      c.mxcsr = value;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  /// VSTMXCSR.
  static final class StoreControl extends Operation {
    final MemoryOperand memory;

    StoreControl(Instruction i) {
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      memory.store32(c, c.mxcsr);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }
}
