package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Instructions that move elements about in XMM registers: shuffles, blends, insertions and
/// extractions, alignment. Meaning: Intel SDM volume 2, the instruction of the class's name.
final class PackedShuffle {
  private PackedShuffle() {}

  /// Map 0F.
  ///
  /// @param prefix the mandatory prefix: 0, 0x66, 0xF3, 0xF2
  static @Nullable Operation create(Instruction i, int prefix) {
    return switch (i.opcode) {
      case 0x14 ->
          prefix > 0x66
              ? null
              : new PackedIntegerInstructions.InterleaveLow(i, prefix == 0 ? 2 : 3);
      case 0x15 ->
          prefix > 0x66
              ? null
              : new PackedIntegerInstructions.InterleaveHigh(i, prefix == 0 ? 2 : 3);
      case 0x50 -> prefix > 0x66 || i.isMemory() ? null : new MoveMask(i, prefix == 0x66);
      case 0x70 -> prefix == 0 ? null : new Shuffle(i, prefix);
      case 0xC4 -> prefix == 0x66 ? new InsertWord(i) : null;
      case 0xC5 -> prefix == 0x66 && !i.isMemory() ? new Extract(i, 0xC5) : null;
      case 0xC6 ->
          switch (prefix) {
            case 0 -> new ShuffleSingles(i);
            case 0x66 -> new ShuffleDoubles(i);
            default -> null;
          };
      default -> null;
    };
  }

  /// Map 0F3A, prefix 66.
  static @Nullable Operation create3a(Instruction i) {
    return switch (i.opcode) {
      case 0x0C, 0x0D, 0x0E -> new Blend(i);
      case 0x0F -> new Align(i);
      case 0x14, 0x15, 0x16, 0x17 -> new Extract(i, i.opcode);
      case 0x20, 0x22 -> new Insert(i);
      case 0x21 -> new InsertSingle(i);
      case 0x42 -> new SumsOfDifferences(i);
      default -> null;
    };
  }

  // ---- Semantics

  /// Bytes 7:0 of a 32-byte value shifted right by bytes.
  ///
  /// @param d bits 255:192; c, b and a are those below, a the lowest
  static long align(long d, long c, long b, long a, int bytes) {
    return switch (bytes >> 3) {
      case 0 -> PackedInteger.align(b, a, bytes);
      case 1 -> PackedInteger.align(c, b, bytes & 7);
      case 2 -> PackedInteger.align(d, c, bytes & 7);
      case 3 -> PackedInteger.align(0, d, bytes & 7);
      default -> 0;
    };
  }

  /// The elements in the low bits, extended to fill 64 bits.
  ///
  /// @param from bits of an element before
  /// @param into bits of an element after
  static long extend(long a, int from, int into, boolean signed) {
    long r = 0;
    for (int at = 0, k = 0; at < 64; at += into, k += from) {
      long element = a >>> k << 64 - from;
      element = signed ? element >> 64 - from : element >>> 64 - from;
      r |= (into == 64 ? element : element & (1L << into) - 1) << at;
    }
    return r;
  }

  /// A mask of elements from the low bits of a number.
  ///
  /// @param width bits of an element
  static long mask(int bits, int width) {
    long r = 0;
    long one = width == 64 ? -1L : (1L << width) - 1;
    for (int at = 0; at < 64; at += width) {
      if ((bits >> at / width & 1) != 0) {
        r |= one << at;
      }
    }
    return r;
  }

  // ---- Operations

  /// PSHUFD, PSHUFLW, PSHUFHW.
  static final class Shuffle extends XmmOperation {
    final int prefix;
    final int control;

    Shuffle(Instruction i, int prefix) {
      super(i);
      this.prefix = prefix;
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      switch (prefix) {
        case 0x66 -> {
          x[to] =
              PackedInteger.dword(low, high, control)
                  | PackedInteger.dword(low, high, control >> 2) << 32;
          x[to + 1] =
              PackedInteger.dword(low, high, control >> 4)
                  | PackedInteger.dword(low, high, control >> 6) << 32;
        }
        case 0xF2 -> {
          x[to] = PackedInteger.shuffleWords(low, control);
          x[to + 1] = high;
        }
        default -> {
          x[to] = low;
          x[to + 1] = PackedInteger.shuffleWords(high, control);
        }
      }
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      if (prefix == 0x66) {
        v.packed.shuffleDwords(to, from, from, control);
      } else {
        v.packed.shuffleWords(to, from, control, prefix != 0xF2);
      }
    }
  }

  /// SHUFPS.
  static final class ShuffleSingles extends XmmOperation {
    final int control;

    ShuffleSingles(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      long a = x[to];
      long b = x[to + 1];
      x[to] = PackedInteger.dword(a, b, control) | PackedInteger.dword(a, b, control >> 2) << 32;
      x[to + 1] =
          PackedInteger.dword(low, high, control >> 4)
              | PackedInteger.dword(low, high, control >> 6) << 32;
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.shuffleDwords(to, first, from, control);
    }
  }

  /// SHUFPD.
  static final class ShuffleDoubles extends XmmOperation {
    final int control;

    ShuffleDoubles(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      x[to] = x[to + (control & 1)];
      x[to + 1] = (control & 2) == 0 ? low : high;
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.choose(to, first + (control & 1), from + (control >> 1 & 1));
    }
  }

  /// MOVMSKPS, MOVMSKPD.
  static final class MoveMask extends Operation {
    final int to;
    final int from;
    final boolean doubles;

    MoveMask(Instruction i, boolean doubles) {
      this.to = i.reg;
      this.from = 4 * i.rm;
      this.doubles = doubles;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long low = c.xmm[from];
      long high = c.xmm[from + 1];
      c.r[to] =
          doubles
              ? low >>> 63 | high >>> 63 << 1
              : low >>> 31 & 1 | low >>> 63 << 1 | (high >>> 31 & 1) << 2 | high >>> 63 << 3;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      v.packed.signs(from, doubles, 2);
      e.putInt(to);
      return true;
    }
  }

  /// BLENDPS, BLENDPD, PBLENDW.
  static final class Blend extends XmmOperation {
    final long maskLow;
    final long maskHigh;

    Blend(Instruction i) {
      super(i);
      int width = i.opcode == 0x0C ? 32 : i.opcode == 0x0D ? 64 : 16;
      int control = (int) i.immediate & 0xFF;
      this.maskLow = mask(control, width);
      this.maskHigh = mask(control >> 64 / width, width);
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      x[to] = PackedInteger.select(maskLow, low, x[to]);
      x[to + 1] = PackedInteger.select(maskHigh, high, x[to + 1]);
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.blend(to, first, from, maskLow, maskHigh);
    }
  }

  /// PBLENDVB, BLENDVPS, BLENDVPD: by the top bits of XMM0's elements.
  static final class BlendVariable extends XmmOperation {
    final int width;

    BlendVariable(Instruction i) {
      super(i);
      this.width = i.opcode == 0x10 ? 8 : i.opcode == 0x14 ? 32 : 64;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      long maskHigh = mask(x[1]);
      x[to] = PackedInteger.select(mask(x[0]), low, x[to]);
      x[to + 1] = PackedInteger.select(maskHigh, high, x[to + 1]);
    }

    private long mask(long a) {
      return switch (width) {
        case 8 -> PackedInteger.spread(a & PackedInteger.H8, 7);
        case 32 -> PackedInteger.spread(a & PackedInteger.H32, 31);
        default -> a >> 63;
      };
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.blendVariable(to, first, from, width);
    }
  }

  /// PALIGNR.
  static final class Align extends XmmOperation {
    final int bytes;

    Align(Instruction i) {
      super(i);
      this.bytes = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      long a = x[to];
      long b = x[to + 1];
      x[to] = align(b, a, high, low, bytes);
      x[to + 1] = align(0, b, a, high, bytes);
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.packed.align(to, first, from, bytes);
    }
  }

  /// PINSRW.
  static final class InsertWord extends Operation {
    final int to;
    final int shift;
    final int from;
    final @Nullable MemoryOperand memory;

    InsertWord(Instruction i) {
      int position = (int) i.immediate & 7;
      this.to = 4 * i.reg + (position >> 2);
      this.shift = 16 * (position & 3);
      this.from = i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long word = memory == null ? c.get16(from) : memory.load16(c);
      c.xmm[to] = c.xmm[to] & ~(0xFFFFL << shift) | word << shift;
    }
  }

  /// PINSRB, PINSRD, PINSRQ.
  static final class Insert extends Operation {
    final int to;
    final int shift;
    final int bits;
    final int from;
    final @Nullable MemoryOperand memory;

    Insert(Instruction i) {
      int position = (int) i.immediate & 0xFF;
      this.bits = i.opcode == 0x20 ? 8 : i.rexW() ? 64 : 32;
      int inHalf = 64 / bits;
      this.to = 4 * i.reg + (position / inHalf & 1);
      this.shift = bits * (position & inHalf - 1);
      this.from = i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long value =
          memory == null
              ? c.r[from]
              : switch (bits) {
                case 8 -> memory.load8(c);
                case 32 -> memory.load32(c);
                default -> memory.load64(c);
              };
      long mask = -1L >>> 64 - bits;
      c.xmm[to] = c.xmm[to] & ~(mask << shift) | (value & mask) << shift;
    }
  }

  /// PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS; PEXTRW of map 0F is opcode C5.
  static final class Extract extends Operation {
    final int to;
    final int from;
    final int shift;
    final int bits;
    final @Nullable MemoryOperand memory;

    Extract(Instruction i, int opcode) {
      this.bits =
          switch (opcode) {
            case 0x14 -> 8;
            case 0x15, 0xC5 -> 16;
            case 0x16 -> i.rexW() ? 64 : 32;
            default -> 32;
          };
      int position = (int) i.immediate & 0xFF;
      int inHalf = 64 / bits;
      this.to = opcode == 0xC5 ? i.reg : i.rm;
      this.from = 4 * (opcode == 0xC5 ? i.rm : i.reg) + (position / inHalf & 1);
      this.shift = bits * (position & inHalf - 1);
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
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
  }

  /// INSERTPS.
  static final class InsertSingle extends XmmOperation {
    final int source;
    final int shift;
    final int half;
    final long keepLow;
    final long keepHigh;

    InsertSingle(Instruction i) {
      super(i, 4);
      int control = (int) i.immediate & 0xFF;
      // Bits 7:6 choose the element of a register source; memory is one element.
      this.source = i.isMemory() ? 0 : control >> 6;
      this.shift = 32 * (control >> 4 & 1);
      this.half = control >> 5 & 1;
      this.keepLow = ~mask(control, 32);
      this.keepHigh = ~mask(control >> 2, 32);
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      long single = PackedInteger.dword(low, high, source);
      x[to + half] = x[to + half] & ~(0xFFFF_FFFFL << shift) | single << shift;
      x[to] &= keepLow;
      x[to + 1] &= keepHigh;
    }
  }

  /// MPSADBW.
  static final class SumsOfDifferences extends XmmOperation {
    final int control;

    SumsOfDifferences(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 7;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long[] x = c.xmm;
      int bytes = (control & 4) == 0 ? 0 : 4;
      int block = (int) PackedInteger.dword(low, high, control);
      long a = align(0, 0, x[to + 1], x[to], bytes);
      long above = align(0, 0, 0, x[to + 1], bytes);
      // Sums 0 to 3 start at bytes 0 to 3, sums 4 to 7 at bytes 4 to 7.
      long second = align(0, 0, above, a, 4);
      x[to] = PackedInteger.sumsOfDifferences(a, above, block);
      x[to + 1] = PackedInteger.sumsOfDifferences(second, above >>> 32, block);
    }
  }
}
