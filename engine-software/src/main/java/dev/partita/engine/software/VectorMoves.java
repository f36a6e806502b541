package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Moves to, from and between XMM registers: Intel SDM volume 2, the instruction of the class's
/// name.
final class VectorMoves {
  private VectorMoves() {}

  /// @param prefix the mandatory prefix: 0, 0x66, 0xF3, 0xF2
  static @Nullable Operation create(Instruction i, int prefix) {
    return switch (i.opcode) {
      case 0x10 ->
          switch (prefix) {
            case 0xF3 -> i.isMemory() ? new LoadScalar32(i) : new Merge32(4 * i.reg, 4 * i.rm);
            case 0xF2 -> i.isMemory() ? new LoadLow64(i) : new Merge64(4 * i.reg, 4 * i.rm);
            default -> unaligned(i);
          };
      case 0x11 ->
          switch (prefix) {
            case 0xF3 -> i.isMemory() ? new Store32(i) : new Merge32(4 * i.rm, 4 * i.reg);
            case 0xF2 -> i.isMemory() ? new Store64(i, 0) : new Merge64(4 * i.rm, 4 * i.reg);
            default -> i.isMemory() ? new Store(i) : new Copy(4 * i.rm, 4 * i.reg);
          };
      case 0x12 ->
          switch (prefix) {
            case 0 -> i.isMemory() ? new LoadHalf(i, 0) : new Half(4 * i.reg, 4 * i.rm + 1);
            case 0x66 -> i.isMemory() ? new LoadHalf(i, 0) : null;
            default -> new Duplicate(i, prefix == 0xF2 ? DOUBLES : EVEN_SINGLES);
          };
      case 0x13 -> prefix <= 0x66 && i.isMemory() ? new Store64(i, 0) : null;
      case 0x16 ->
          switch (prefix) {
            case 0 -> i.isMemory() ? new LoadHalf(i, 1) : new Half(4 * i.reg + 1, 4 * i.rm);
            case 0x66 -> i.isMemory() ? new LoadHalf(i, 1) : null;
            case 0xF3 -> new Duplicate(i, ODD_SINGLES);
            default -> null;
          };
      case 0x17 -> prefix <= 0x66 && i.isMemory() ? new Store64(i, 1) : null;
      case 0x28 -> prefix <= 0x66 ? aligned(i) : null;
      case 0x29 ->
          prefix > 0x66 ? null : i.isMemory() ? new StoreAligned(i) : new Copy(4 * i.rm, 4 * i.reg);
      case 0x2B -> prefix <= 0x66 && i.isMemory() ? new StoreAligned(i) : null;
      case 0x6E -> prefix != 0x66 ? null : i.rexW() ? new FromGeneral64(i) : new FromGeneral32(i);
      case 0x6F ->
          switch (prefix) {
            case 0x66 -> aligned(i);
            case 0xF3 -> unaligned(i);
            default -> null;
          };
      case 0x7E ->
          switch (prefix) {
            case 0x66 -> i.rexW() ? new ToGeneral64(i) : new ToGeneral32(i);
            case 0xF3 -> i.isMemory() ? new LoadLow64(i) : new CopyLow64(4 * i.reg, 4 * i.rm);
            default -> null;
          };
      case 0x7F ->
          switch (prefix) {
            case 0x66 -> i.isMemory() ? new StoreAligned(i) : new Copy(4 * i.rm, 4 * i.reg);
            case 0xF3 -> i.isMemory() ? new Store(i) : new Copy(4 * i.rm, 4 * i.reg);
            default -> null;
          };
      case 0xD6 ->
          prefix != 0x66
              ? null
              : i.isMemory() ? new Store64(i, 0) : new CopyLow64(4 * i.rm, 4 * i.reg);
      case 0xE7 -> prefix == 0x66 && i.isMemory() ? new StoreAligned(i) : null;
      case 0xF0 -> prefix == 0xF2 && i.isMemory() ? new Load(i) : null;
      default -> null;
    };
  }

  static Operation aligned(Instruction i) {
    return i.isMemory() ? new LoadAligned(i) : new Copy(4 * i.reg, 4 * i.rm);
  }

  private static Operation unaligned(Instruction i) {
    return i.isMemory() ? new Load(i) : new Copy(4 * i.reg, 4 * i.rm);
  }

  /// MOVAPS and its like between registers.
  static final class Copy extends Operation {
    final int to;
    final int from;

    Copy(int to, int from) {
      this.to = to;
      this.from = from;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] = x[from];
      x[to + 1] = x[from + 1];
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.copy(to, from, 2);
      return true;
    }
  }

  /// MOVUPS, MOVUPD, MOVDQU, LDDQU from memory.
  static final class Load extends Operation {
    final int to;
    final MemoryOperand memory;

    Load(Instruction i) {
      this.to = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long address = memory.readAddress(c, 16);
      long low = c.load64(address);
      long high = c.load64(address + 8 & memory.linearMask());
      c.xmm[to] = low;
      c.xmm[to + 1] = high;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.loadOperand(memory, 16, false);
      v.copy(to, YmmOperation.OPERAND, 2);
      return true;
    }
  }

  /// MOVAPS, MOVAPD, MOVDQA, MOVNTDQA from memory.
  static final class LoadAligned extends Operation {
    final int to;
    final MemoryOperand memory;

    LoadAligned(Instruction i) {
      this.to = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long address = XmmMemory.alignedRead(c, memory);
      long low = c.load64(address);
      c.xmm[to + 1] = c.load64(address + 8);
      c.xmm[to] = low;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.loadOperand(memory, 16, true);
      v.copy(to, YmmOperation.OPERAND, 2);
      return true;
    }
  }

  /// MOVUPS, MOVUPD, MOVDQU to memory.
  static final class Store extends Operation {
    final int from;
    final MemoryOperand memory;

    Store(Instruction i) {
      this.from = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      XmmMemory.store(c, memory, c.xmm[from], c.xmm[from + 1]);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.store(memory, 16, from, false);
      return true;
    }
  }

  /// MOVAPS, MOVAPD, MOVDQA, MOVNTPS, MOVNTPD, MOVNTDQ to memory.
  static final class StoreAligned extends Operation {
    final int from;
    final MemoryOperand memory;

    StoreAligned(Instruction i) {
      this.from = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      XmmMemory.storeAligned(c, memory, c.xmm[from], c.xmm[from + 1]);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.store(memory, 16, from, true);
      return true;
    }
  }

  /// MOVSS from memory.
  static final class LoadScalar32 extends Operation {
    final int to;
    final MemoryOperand memory;

    LoadScalar32(Instruction i) {
      this.to = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = memory.load32(c) & 0xFFFF_FFFFL;
      c.xmm[to + 1] = 0;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.loadOperand(memory, 4, false);
      v.copy(to, YmmOperation.OPERAND, 1);
      v.clear(to + 1);
      return true;
    }
  }

  /// MOVSD and MOVQ from memory.
  static final class LoadLow64 extends Operation {
    final int to;
    final MemoryOperand memory;

    LoadLow64(Instruction i) {
      this.to = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = memory.load64(c);
      c.xmm[to + 1] = 0;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.loadOperand(memory, 8, false);
      v.copy(to, YmmOperation.OPERAND, 1);
      v.clear(to + 1);
      return true;
    }
  }

  /// MOVLPS, MOVLPD, MOVHPS, MOVHPD from memory.
  static final class LoadHalf extends Operation {
    final int to;
    final MemoryOperand memory;

    LoadHalf(Instruction i, int half) {
      this.to = 4 * i.reg + half;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = memory.load64(c);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.loadOperand(memory, 8, false);
      v.copy(to, YmmOperation.OPERAND, 1);
      return true;
    }
  }

  /// MOVSS, and MOVD, to memory.
  static final class Store32 extends Operation {
    final int from;
    final MemoryOperand memory;

    Store32(Instruction i) {
      this.from = 4 * i.reg;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      memory.store32(c, (int) c.xmm[from]);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.get(from);
      e.b.l2i();
      e.store(memory, 4);
      return true;
    }
  }

  /// MOVSD, MOVQ, MOVLPS, MOVLPD, MOVHPS, MOVHPD to memory.
  static final class Store64 extends Operation {
    final int from;
    final MemoryOperand memory;

    Store64(Instruction i, int half) {
      this.from = 4 * i.reg + half;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      memory.store64(c, c.xmm[from]);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.get(from);
      e.store(memory, 8);
      return true;
    }
  }

  /// MOVSS between registers: the rest stays.
  static final class Merge32 extends Operation {
    final int to;
    final int from;

    Merge32(int to, int from) {
      this.to = to;
      this.from = from;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      x[to] = x[to] & 0xFFFF_FFFF_0000_0000L | x[from] & 0xFFFF_FFFFL;
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.mergeSingle(to, to, from);
      return true;
    }
  }

  /// MOVSD between registers: the upper half stays.
  static final class Merge64 extends Operation {
    final int to;
    final int from;

    Merge64(int to, int from) {
      this.to = to;
      this.from = from;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = c.xmm[from];
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.copy(to, from, 1);
      return true;
    }
  }

  /// MOVQ between registers: the upper half becomes 0.
  static final class CopyLow64 extends Operation {
    final int to;
    final int from;

    CopyLow64(int to, int from) {
      this.to = to;
      this.from = from;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = c.xmm[from];
      c.xmm[to + 1] = 0;
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.copy(to, from, 1);
      v.clear(to + 1);
      return true;
    }
  }

  /// MOVHLPS, MOVLHPS: one half to another.
  static final class Half extends Operation {
    final int to;
    final int from;

    Half(int to, int from) {
      this.to = to;
      this.from = from;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = c.xmm[from];
    }

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.copy(to, from, 1);
      return true;
    }
  }

  /// MOVD from a general register or memory.
  static final class FromGeneral32 extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    FromGeneral32(Instruction i) {
      this.to = 4 * i.reg;
      this.from = i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      int value = memory == null ? c.get32(from) : memory.load32(c);
      c.xmm[to] = value & 0xFFFF_FFFFL;
      c.xmm[to + 1] = 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.fromGeneral(e, to, memory, from, 4);
      v.clear(to + 1);
      return true;
    }
  }

  /// MOVQ from a general register or memory.
  static final class FromGeneral64 extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    FromGeneral64(Instruction i) {
      this.to = 4 * i.reg;
      this.from = i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.xmm[to] = memory == null ? c.r[from] : memory.load64(c);
      c.xmm[to + 1] = 0;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.fromGeneral(e, to, memory, from, 8);
      v.clear(to + 1);
      return true;
    }
  }

  /// MOVD to a general register or memory.
  static final class ToGeneral32 extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    ToGeneral32(Instruction i) {
      this.to = i.rm;
      this.from = 4 * i.reg;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      int value = (int) c.xmm[from];
      if (memory == null) {
        c.set32(to, value);
      } else {
        memory.store32(c, value);
      }
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.get(from);
      e.b.l2i();
      if (memory == null) {
        e.putInt(to);
      } else {
        e.store(memory, 4);
      }
      return true;
    }
  }

  /// MOVQ to a general register or memory.
  static final class ToGeneral64 extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    ToGeneral64(Instruction i) {
      this.to = i.rm;
      this.from = 4 * i.reg;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      if (memory == null) {
        c.r[to] = c.xmm[from];
      } else {
        memory.store64(c, c.xmm[from]);
      }
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.get(from);
      if (memory == null) {
        e.putLong(to);
      } else {
        e.store(memory, 8);
      }
      return true;
    }
  }

  private static final int DOUBLES = 0;
  private static final int EVEN_SINGLES = 1;
  private static final int ODD_SINGLES = 2;

  /// MOVDDUP, MOVSLDUP, MOVSHDUP.
  static final class Duplicate extends XmmOperation {
    final int kind;

    Duplicate(Instruction i, int kind) {
      super(i, kind == DOUBLES ? 8 : 16);
      this.kind = kind;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      switch (kind) {
        case DOUBLES -> {
          c.xmm[to] = low;
          c.xmm[to + 1] = low;
        }
        case EVEN_SINGLES -> {
          c.xmm[to] = low & 0xFFFF_FFFFL | low << 32;
          c.xmm[to + 1] = high & 0xFFFF_FFFFL | high << 32;
        }
        default -> {
          c.xmm[to] = low >>> 32 | low & 0xFFFF_FFFF_0000_0000L;
          c.xmm[to + 1] = high >>> 32 | high & 0xFFFF_FFFF_0000_0000L;
        }
      }
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      if (kind == DOUBLES) {
        v.packed.choose(to, from, from);
      } else {
        v.packed.shuffleDwords(
            to, from, from, kind == EVEN_SINGLES ? 0b10_10_00_00 : 0b11_11_01_01);
      }
    }
  }

  /// MOVNTI: to memory from a general register. Needs no SSE state.
  static final class StoreGeneral extends Operation {
    final int from;
    final boolean wide;
    final MemoryOperand memory;

    StoreGeneral(Instruction i) {
      this.from = i.reg;
      this.wide = i.rexW();
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      if (wide) {
        memory.store64(c, c.r[from]);
      } else {
        memory.store32(c, c.get32(from));
      }
    }
  }

  /// Where MASKMOVDQU and MASKMOVQ store: DS:RDI, or another segment by override.
  static MemoryOperand implicitDestination(Instruction i) {
    return new MemoryOperand(
        i.dataSegment(Cpu.DS), Cpu.RDI, Cpu.ZERO, 0, 0, i.addressSize, i.is64());
  }

  /// Stores selected bytes. All pages are checked before the first byte is written.
  static void storeMasked(Cpu c, MemoryOperand memory, long low, long high, int mask, int size) {
    if (mask == 0) {
      return;
    }
    long address = memory.writeAddress(c, size);
    if ((address & 0xFFF) + size > 4096) {
      c.mmu.probeWrite(address, size);
    }
    for (int k = 0; k < size; k++) {
      if ((mask >> k & 1) != 0) {
        long half = k < 8 ? low : high;
        c.store8(address + k & memory.linearMask(), (int) (half >>> 8 * (k & 7)) & 0xFF);
      }
    }
  }

  /// MASKMOVDQU: the bytes with a set top bit in the mask go to memory.
  static final class StoreMasked extends Operation {
    final int from;
    final int mask;
    final MemoryOperand memory;

    StoreMasked(Instruction i) {
      this.from = 4 * i.reg;
      this.mask = 4 * i.rm;
      this.memory = implicitDestination(i);
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long[] x = c.xmm;
      int bits = PackedInteger.topBits(x[mask]) | PackedInteger.topBits(x[mask + 1]) << 8;
      storeMasked(c, memory, x[from], x[from + 1], bits, 16);
    }
  }
}
