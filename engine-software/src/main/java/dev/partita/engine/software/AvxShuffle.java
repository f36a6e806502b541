package dev.partita.engine.software;

/// VEX-coded instructions that move elements about, and have no SSE form or one with fewer
/// operands. Meaning: Intel SDM volume 2, the instruction of the class's comment.
final class AvxShuffle {
  private AvxShuffle() {}

  /// VPSHUFB.
  static final class ShuffleBytes extends YmmOperation {
    ShuffleBytes(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      long a = x[first];
      long b = x[first + 1];
      long r0 = PackedInteger.shuffleBytes(a, b, x[from]);
      long r1 = PackedInteger.shuffleBytes(a, b, x[from + 1]);
      if (wide) {
        a = x[first + 2];
        b = x[first + 3];
        long r2 = PackedInteger.shuffleBytes(a, b, x[from + 2]);
        set(x, r0, r1, r2, PackedInteger.shuffleBytes(a, b, x[from + 3]));
      } else {
        set(x, r0, r1);
      }
    }
  }

  /// VBLENDPS, VBLENDPD, VPBLENDD, VPBLENDW: by an immediate.
  static final class Blend extends YmmOperation {
    final long mask0;
    final long mask1;
    final long mask2;
    final long mask3;

    Blend(Instruction i, int width) {
      super(i);
      int control = (int) i.immediate & 0xFF;
      int inQuarter = 64 / width;
      // Words: the same eight bits for each lane.
      int upper = width == 16 ? control : control >> 2 * inQuarter;
      this.mask0 = PackedShuffle.mask(control, width);
      this.mask1 = PackedShuffle.mask(control >> inQuarter, width);
      this.mask2 = PackedShuffle.mask(upper, width);
      this.mask3 = PackedShuffle.mask(upper >> inQuarter, width);
    }

    @Override
    void apply(Cpu c, long[] x) {
      x[to] = PackedInteger.select(mask0, x[from], x[first]);
      x[to + 1] = PackedInteger.select(mask1, x[from + 1], x[first + 1]);
      x[to + 2] = wide ? PackedInteger.select(mask2, x[from + 2], x[first + 2]) : 0;
      x[to + 3] = wide ? PackedInteger.select(mask3, x[from + 3], x[first + 3]) : 0;
    }
  }

  /// VPBLENDVB, VBLENDVPS, VBLENDVPD: by the top bits of a fourth register's elements.
  static final class BlendVariable extends YmmOperation {
    final int width;
    final int mask;

    BlendVariable(Instruction i, int width) {
      super(i);
      this.width = width;
      int register = (int) i.immediate >> 4 & 15;
      this.mask = 4 * (i.is64() ? register : register & 7);
    }

    @Override
    void apply(Cpu c, long[] x) {
      // Together, as the mask may be the destination.
      long m0 = spread(x[mask]);
      long m1 = spread(x[mask + 1]);
      long m2 = spread(x[mask + 2]);
      long m3 = spread(x[mask + 3]);
      x[to] = PackedInteger.select(m0, x[from], x[first]);
      x[to + 1] = PackedInteger.select(m1, x[from + 1], x[first + 1]);
      x[to + 2] = wide ? PackedInteger.select(m2, x[from + 2], x[first + 2]) : 0;
      x[to + 3] = wide ? PackedInteger.select(m3, x[from + 3], x[first + 3]) : 0;
    }

    private long spread(long a) {
      return switch (width) {
        case 8 -> PackedInteger.spread(a & PackedInteger.H8, 7);
        case 32 -> PackedInteger.spread(a & PackedInteger.H32, 31);
        default -> a >> 63;
      };
    }
  }

  /// VPERMILPS with an immediate.
  static final class PermuteSingles extends YmmOperation {
    final int control;

    PermuteSingles(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long[] x) {
      long a = x[from];
      long b = x[from + 1];
      long r0 = pair(a, b, control);
      long r1 = pair(a, b, control >> 4);
      if (wide) {
        a = x[from + 2];
        b = x[from + 3];
        set(x, r0, r1, pair(a, b, control), pair(a, b, control >> 4));
      } else {
        set(x, r0, r1);
      }
    }

    private static long pair(long a, long b, int control) {
      return PackedInteger.dword(a, b, control) | PackedInteger.dword(a, b, control >> 2) << 32;
    }
  }

  /// VPERMILPS with the control in a register.
  static final class PermuteSinglesVariable extends YmmOperation {
    PermuteSinglesVariable(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      long a = x[first];
      long b = x[first + 1];
      long r0 = pair(a, b, x[from]);
      long r1 = pair(a, b, x[from + 1]);
      if (wide) {
        a = x[first + 2];
        b = x[first + 3];
        set(x, r0, r1, pair(a, b, x[from + 2]), pair(a, b, x[from + 3]));
      } else {
        set(x, r0, r1);
      }
    }

    private static long pair(long a, long b, long control) {
      return PackedInteger.dword(a, b, (int) control)
          | PackedInteger.dword(a, b, (int) (control >>> 32)) << 32;
    }
  }

  /// VPERMILPD with an immediate: a bit for each element.
  static final class PermuteDoubles extends YmmOperation {
    final int control;

    PermuteDoubles(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xF;
    }

    @Override
    void apply(Cpu c, long[] x) {
      long r0 = x[from + (control & 1)];
      long r1 = x[from + (control >> 1 & 1)];
      if (wide) {
        set(x, r0, r1, x[from + 2 + (control >> 2 & 1)], x[from + 2 + (control >> 3)]);
      } else {
        set(x, r0, r1);
      }
    }
  }

  /// VPERMILPD with the control in a register: bit 1 of each element.
  static final class PermuteDoublesVariable extends YmmOperation {
    PermuteDoublesVariable(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      long r0 = x[first + one(x[from])];
      long r1 = x[first + one(x[from + 1])];
      if (wide) {
        set(x, r0, r1, x[first + 2 + one(x[from + 2])], x[first + 2 + one(x[from + 3])]);
      } else {
        set(x, r0, r1);
      }
    }

    private static int one(long control) {
      return (int) control >> 1 & 1;
    }
  }

  /// VPERMQ, VPERMPD: any four of four.
  static final class PermuteQuadwords extends YmmOperation {
    final int control;

    PermuteQuadwords(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long[] x) {
      set(
          x,
          x[from + (control & 3)],
          x[from + (control >> 2 & 3)],
          x[from + (control >> 4 & 3)],
          x[from + (control >> 6)]);
    }
  }

  /// VPERMD, VPERMPS: any eight of eight, by numbers in VEX.vvvv.
  static final class PermuteDoublewords extends YmmOperation {
    PermuteDoublewords(Instruction i) {
      super(i);
    }

    @Override
    void apply(Cpu c, long[] x) {
      set(
          x,
          pair(x, x[first]),
          pair(x, x[first + 1]),
          pair(x, x[first + 2]),
          pair(x, x[first + 3]));
    }

    private long pair(long[] x, long control) {
      return element(x, (int) control) | element(x, (int) (control >>> 32)) << 32;
    }

    private long element(long[] x, int number) {
      return x[from + (number >> 1 & 3)] >>> 32 * (number & 1) & 0xFFFF_FFFFL;
    }
  }

  /// VPERM2F128, VPERM2I128: each lane one of four, or 0.
  static final class PermuteLanes extends YmmOperation {
    final int control;

    PermuteLanes(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long[] x) {
      set(
          x,
          half(x, control, 0),
          half(x, control, 1),
          half(x, control >> 4, 0),
          half(x, control >> 4, 1));
    }

    private long half(long[] x, int choice, int half) {
      if ((choice & 8) != 0) {
        return 0;
      }
      return x[((choice & 2) == 0 ? first : from) + 2 * (choice & 1) + half];
    }
  }

  /// VINSERTF128, VINSERTI128.
  static final class InsertLane extends YmmOperation {
    final boolean upper;

    InsertLane(Instruction i) {
      super(i, 16);
      this.upper = (i.immediate & 1) != 0;
    }

    @Override
    void apply(Cpu c, long[] x) {
      if (upper) {
        set(x, x[first], x[first + 1], x[from], x[from + 1]);
      } else {
        set(x, x[from], x[from + 1], x[first + 2], x[first + 3]);
      }
    }
  }

  /// VEXTRACTF128, VEXTRACTI128.
  static final class ExtractLane extends Operation {
    final int to;
    final int from;
    final @org.jspecify.annotations.Nullable MemoryOperand memory;

    ExtractLane(Instruction i) {
      this.to = 4 * i.rm;
      this.from = 4 * i.reg + 2 * ((int) i.immediate & 1);
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      var m = memory;
      if (m != null) {
        YmmMemory.store16(c, m, m.writeAddress(c, 16), from);
        return;
      }
      long[] x = c.xmm;
      x[to] = x[from];
      x[to + 1] = x[from + 1];
      x[to + 2] = 0;
      x[to + 3] = 0;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  /// VPMOVSX, VPMOVZX: the low elements, extended to fill the register.
  static final class Extend extends YmmOperation {
    final int before;
    final int after;
    final boolean signed;

    Extend(Instruction i) {
      this(i, i.opcode & 7);
    }

    private Extend(Instruction i, int kind) {
      super(i, (i.vexLength != 0 ? 32 : 16) * before(kind) / after(kind));
      this.before = before(kind);
      this.after = after(kind);
      this.signed = (i.opcode & 0x10) == 0;
    }

    private static int before(int kind) {
      return kind < 3 ? 8 : kind < 5 ? 16 : 32;
    }

    private static int after(int kind) {
      return switch (kind) {
        case 0 -> 16;
        case 1, 3 -> 32;
        default -> 64;
      };
    }

    @Override
    void apply(Cpu c, long[] x) {
      long low = x[from];
      long high = x[from + 1];
      // Bits of the source that fill 64 bits of the result: 8, 16 or 32.
      int step = 64 / after * before;
      long r0 = extend(low);
      long r1 = extend(low >>> step);
      if (wide) {
        boolean crosses = step == 32;
        long r2 = extend(crosses ? high : low >>> 2 * step);
        set(x, r0, r1, r2, extend(crosses ? high >>> 32 : low >>> 3 * step));
      } else {
        set(x, r0, r1);
      }
    }

    private long extend(long a) {
      return PackedShuffle.extend(a, before, after, signed);
    }
  }
}
