package dev.partita.engine.software;

/// VEX-coded packed floating-point arithmetic, comparison and rounding, 128 and 256 bits, and
/// scalar comparison; the numbers are {@link SimdFloat}'s. All elements are worked out, and their
/// exceptions gathered, before the first is written.
final class AvxFloat {
  private AvxFloat() {}

  /// VADDPD, VSUBPD, VMULPD, VDIVPD, VMINPD, VMAXPD, VSQRTPD.
  static final class Doubles extends YmmOperation {
    final int op;

    Doubles(Instruction i) {
      super(i);
      this.op = i.opcode;
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      long r0 = SimdFloat.binary64(c, op, x[first], x[from]);
      long r1 = SimdFloat.binary64(c, op, x[first + 1], x[from + 1]);
      long r2 = 0;
      long r3 = 0;
      if (wide) {
        r2 = SimdFloat.binary64(c, op, x[first + 2], x[from + 2]);
        r3 = SimdFloat.binary64(c, op, x[first + 3], x[from + 3]);
      }
      SimdFloat.end(c, before);
      set(x, r0, r1, r2, r3);
    }

    @Override
    boolean hasCode() {
      return true;
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.floats.doubles(op, to, first, from, elements());
      emitUpper(v);
    }
  }

  /// VADDPS and its like, VSQRTPS, VRCPPS, VRSQRTPS.
  static final class Singles extends YmmOperation {
    final int op;

    Singles(Instruction i) {
      super(i);
      this.op = i.opcode;
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      long r0 = SimdFloat.binary32x2(c, op, x[first], x[from]);
      long r1 = SimdFloat.binary32x2(c, op, x[first + 1], x[from + 1]);
      long r2 = 0;
      long r3 = 0;
      if (wide) {
        r2 = SimdFloat.binary32x2(c, op, x[first + 2], x[from + 2]);
        r3 = SimdFloat.binary32x2(c, op, x[first + 3], x[from + 3]);
      }
      SimdFloat.end(c, before);
      set(x, r0, r1, r2, r3);
    }

    @Override
    boolean hasCode() {
      return FloatEmitter.hasCode(op);
    }

    @Override
    void emitApply(VectorEmitter v) {
      v.floats.singles(op, to, first, from, elements());
      emitUpper(v);
    }
  }

  /// VHADDPS, VHADDPD, VHSUBPS, VHSUBPD, VADDSUBPS, VADDSUBPD.
  static final class Across extends YmmOperation {
    final int opcode;
    final boolean doubles;

    Across(Instruction i, int prefix) {
      super(i);
      this.opcode = i.opcode;
      this.doubles = prefix == 0x66;
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      long r0 = lower(c, x, 0);
      long r1 = upper(c, x, 0);
      long r2 = 0;
      long r3 = 0;
      if (wide) {
        r2 = lower(c, x, 2);
        r3 = upper(c, x, 2);
      }
      SimdFloat.end(c, before);
      set(x, r0, r1, r2, r3);
    }

    private long lower(Cpu c, long[] x, int at) {
      return SimdFloatInstructions.Across.lower(
          c, opcode, doubles, x[first + at], x[first + at + 1], x[from + at]);
    }

    private long upper(Cpu c, long[] x, int at) {
      return SimdFloatInstructions.Across.upper(
          c, opcode, doubles, x[first + at + 1], x[from + at], x[from + at + 1]);
    }
  }

  // ---- Comparison

  /// VCMPPS, VCMPPD, VCMPSS, VCMPSD, with 32 predicates.
  static final class Compare extends YmmOperation {
    /// For each predicate four bits, the lowest predicate's lowest: whether less, equal, greater,
    /// unordered satisfy it. Intel SDM volume 2, table 3-1 ("Comparison Predicate for CMPPD and
    /// CMPPS Instructions"); predicates 16 to 31 are the same but for the quiet NaNs.
    private static final long HOLDS = 0xF465_0B9A_7CED_8312L;

    final int prefix;
    final int holds;
    final boolean signalling;

    Compare(Instruction i, int prefix) {
      super(i, size(i, prefix), i.vexLength != 0 && prefix <= 0x66);
      this.prefix = prefix;
      int predicate = (int) i.immediate & 0x1F;
      this.holds = (int) (HOLDS >>> 4 * (predicate & 15)) & 15;
      boolean ordering = (predicate & 3) == 1 || (predicate & 3) == 2;
      this.signalling = ordering == predicate < 16;
    }

    private static int size(Instruction i, int prefix) {
      return switch (prefix) {
        case 0xF3 -> 4;
        case 0xF2 -> 8;
        default -> i.vexLength != 0 ? 32 : 16;
      };
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      long r0;
      long r1 = x[first + 1];
      long r2 = 0;
      long r3 = 0;
      switch (prefix) {
        case 0xF3 ->
            r0 = x[first] & 0xFFFF_FFFF_0000_0000L | compare32(c, (int) x[first], (int) x[from]);
        case 0xF2 -> r0 = compare64(c, x[first], x[from]);
        default -> {
          r0 = quarter(c, x, 0);
          r1 = quarter(c, x, 1);
          if (wide) {
            r2 = quarter(c, x, 2);
            r3 = quarter(c, x, 3);
          }
        }
      }
      SimdFloat.end(c, before);
      set(x, r0, r1, r2, r3);
    }

    private long quarter(Cpu c, long[] x, int number) {
      long a = x[first + number];
      long b = x[from + number];
      if (prefix == 0x66) {
        return compare64(c, a, b);
      }
      long low = compare32(c, (int) a, (int) b);
      return low | compare32(c, (int) (a >>> 32), (int) (b >>> 32)) << 32;
    }

    private long compare64(Cpu c, long a, long b) {
      return (holds >> SimdFloat.compare64(c, a, b, signalling) + 1 & 1) != 0 ? -1L : 0;
    }

    private long compare32(Cpu c, int a, int b) {
      return (holds >> SimdFloat.compare32(c, a, b, signalling) + 1 & 1) != 0 ? 0xFFFF_FFFFL : 0;
    }
  }

  // ---- Rounding

  /// VROUNDPS, VROUNDPD.
  static final class Round extends YmmOperation {
    final boolean doubles;
    final int control;

    Round(Instruction i) {
      super(i);
      this.doubles = i.opcode == 0x09;
      this.control = (int) i.immediate & 0xF;
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      long r0 = quarter(c, x[from]);
      long r1 = quarter(c, x[from + 1]);
      long r2 = wide ? quarter(c, x[from + 2]) : 0;
      long r3 = wide ? quarter(c, x[from + 3]) : 0;
      SimdFloat.end(c, before);
      set(x, r0, r1, r2, r3);
    }

    private long quarter(Cpu c, long a) {
      return doubles
          ? SimdFloatInstructions.Round.element(c, SoftFloat.DOUBLE, a, control)
          : SimdFloatInstructions.Round.singles(c, a, control);
    }
  }

  // ---- Dot product

  /// VDPPS: on each lane as DPPS, but each of the three steps on both lanes at once.
  static final class DotProductSingles extends YmmOperation {
    final int control;

    DotProductSingles(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      products(c, x, first, from, SCRATCH);
      if (wide) {
        products(c, x, first + 2, from + 2, SCRATCH_HIGH);
      }
      SimdFloat.end(c, before);
      before = SimdFloat.begin(c);
      sums(c, x, SCRATCH);
      if (wide) {
        sums(c, x, SCRATCH_HIGH);
      }
      SimdFloat.end(c, before);
      before = SimdFloat.begin(c);
      total(c, x, SCRATCH);
      if (wide) {
        total(c, x, SCRATCH_HIGH);
      }
      SimdFloat.end(c, before);
      long low = PackedShuffle.mask(control, 32);
      long high = PackedShuffle.mask(control >> 2, 32);
      set(
          x,
          x[SCRATCH] & low,
          x[SCRATCH + 1] & high,
          wide ? x[SCRATCH_HIGH] & low : 0,
          wide ? x[SCRATCH_HIGH + 1] & high : 0);
    }

    private void products(Cpu c, long[] x, int a, int b, int at) {
      int p0 = product(c, 0x10, x[a], x[b]);
      x[at] = SimdFloat.pair(p0, product(c, 0x20, x[a] >>> 32, x[b] >>> 32));
      int p2 = product(c, 0x40, x[a + 1], x[b + 1]);
      x[at + 1] = SimdFloat.pair(p2, product(c, 0x80, x[a + 1] >>> 32, x[b + 1] >>> 32));
    }

    private int product(Cpu c, int bit, long a, long b) {
      return (control & bit) != 0 ? SimdFloat.multiply32(c, (int) a, (int) b) : 0;
    }

    /// Sums of neighbours, in both orders: which of two NaNs goes on depends on it.
    private static void sums(Cpu c, long[] x, int at) {
      for (int k = at; k < at + 2; k++) {
        int low = (int) x[k];
        int high = (int) (x[k] >>> 32);
        x[k + 2] = SimdFloat.pair(SimdFloat.add32(c, low, high), SimdFloat.add32(c, high, low));
      }
    }

    /// The sum of both sums: the element's own pair first, and in it the element first.
    private static void total(Cpu c, long[] x, int at) {
      long low = x[at + 2];
      long high = x[at + 3];
      int e0 = SimdFloat.add32(c, (int) (low >>> 32), (int) (high >>> 32));
      int e1 = SimdFloat.add32(c, (int) low, (int) high);
      int e2 = SimdFloat.add32(c, (int) (high >>> 32), (int) (low >>> 32));
      int e3 = SimdFloat.add32(c, (int) high, (int) low);
      x[at] = SimdFloat.pair(e0, e1);
      x[at + 1] = SimdFloat.pair(e2, e3);
    }
  }
}
