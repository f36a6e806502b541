package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// VEX-coded conversions: those of SSE, and F16C's between half and single precision.
final class AvxConversions {
  private AvxConversions() {}

  /// Packed conversions between elements of 32 bits, and from 64 bits to 32.
  static final class Packed extends YmmOperation {
    static final int INTEGERS_TO_SINGLES = 0;
    static final int SINGLES_TO_INTEGERS = 1;
    static final int SINGLES_TRUNCATED = 2;
    static final int DOUBLES_TO_SINGLES = 3;
    static final int DOUBLES_TO_INTEGERS = 4;
    static final int DOUBLES_TRUNCATED = 5;

    final int kind;

    Packed(Instruction i, int kind) {
      super(i);
      this.kind = kind;
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      boolean narrows = kind >= DOUBLES_TO_SINGLES;
      long r0;
      long r1 = 0;
      long r2 = 0;
      long r3 = 0;
      if (narrows) {
        r0 = narrow(c, x[from], x[from + 1]);
        if (wide) {
          r1 = narrow(c, x[from + 2], x[from + 3]);
        }
      } else {
        r0 = two(c, x[from]);
        r1 = two(c, x[from + 1]);
        if (wide) {
          r2 = two(c, x[from + 2]);
          r3 = two(c, x[from + 3]);
        }
      }
      SimdFloat.end(c, before);
      set(x, r0, r1, r2, r3);
    }

    private long two(Cpu c, long a) {
      return switch (kind) {
        case INTEGERS_TO_SINGLES -> SimdConversions.integersToSingles(c, a);
        case SINGLES_TO_INTEGERS -> SimdConversions.singlesToIntegers(c, a, SoftFloat.rounding(c));
        default -> SimdConversions.singlesToIntegers(c, a, SoftFloat.ZERO);
      };
    }

    private long narrow(Cpu c, long a, long b) {
      return switch (kind) {
        case DOUBLES_TO_SINGLES -> {
          long low = SoftFloat.narrow(c, a);
          yield low | SoftFloat.narrow(c, b) << 32;
        }
        case DOUBLES_TO_INTEGERS ->
            SimdConversions.doublesToIntegers(c, a, b, SoftFloat.rounding(c));
        default -> SimdConversions.doublesToIntegers(c, a, b, SoftFloat.ZERO);
      };
    }
  }

  /// VCVTPS2PD, VCVTDQ2PD: 32 bits to 64.
  static final class Widen extends YmmOperation {
    final boolean integers;

    Widen(Instruction i, boolean integers) {
      super(i, i.vexLength != 0 ? 16 : 8);
      this.integers = integers;
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      long low = x[from];
      long r0 = element(c, (int) low);
      long r1 = element(c, (int) (low >>> 32));
      long r2 = 0;
      long r3 = 0;
      if (wide) {
        long high = x[from + 1];
        r2 = element(c, (int) high);
        r3 = element(c, (int) (high >>> 32));
      }
      SimdFloat.end(c, before);
      set(x, r0, r1, r2, r3);
    }

    private long element(Cpu c, int a) {
      return integers ? SimdConversions.toDouble(a) : SoftFloat.widen(c, SimdFloat.unsigned(a));
    }
  }

  /// VCVTSI2SS, VCVTSI2SD.
  static final class FromGeneral extends Operation {
    final int to;
    final int first;
    final int from;
    final boolean doubles;
    final boolean wide;
    final @Nullable MemoryOperand memory;

    FromGeneral(Instruction i, boolean doubles) {
      this.to = 4 * i.reg;
      this.first = 4 * i.vexRegister();
      this.from = i.rm;
      this.doubles = doubles;
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
        value = memory == null ? c.get32(from) : memory.load32(c);
      }
      int before = SimdFloat.begin(c);
      int format = doubles ? SoftFloat.DOUBLE : SoftFloat.SINGLE;
      long r =
          doubles && (int) value == value
              ? SimdConversions.toDouble((int) value)
              : SoftFloat.fromInteger(c, format, value);
      SimdFloat.end(c, before);
      long[] x = c.xmm;
      x[to] = doubles ? r : x[first] & 0xFFFF_FFFF_0000_0000L | r;
      x[to + 1] = x[first + 1];
      x[to + 2] = 0;
      x[to + 3] = 0;
    }

    @Override
    int readsOnly() {
      return memory == null ? 1 << from : MemoryOperand.registers(memory);
    }
  }

  /// VCVTPH2PS.
  static final class FromHalf extends YmmOperation {
    FromHalf(Instruction i) {
      super(i, i.vexLength != 0 ? 16 : 8);
    }

    @Override
    void apply(Cpu c, long[] x) {
      int before = SimdFloat.begin(c);
      long low = x[from];
      long high = x[from + 1];
      long r0 = two(c, low);
      long r1 = two(c, low >>> 32);
      long r2 = wide ? two(c, high) : 0;
      long r3 = wide ? two(c, high >>> 32) : 0;
      SimdFloat.end(c, before);
      set(x, r0, r1, r2, r3);
    }

    private static long two(Cpu c, long a) {
      return SoftFloat.widenHalf(c, a & 0xFFFF) | SoftFloat.widenHalf(c, a >>> 16 & 0xFFFF) << 32;
    }
  }

  /// VCVTPS2PH: to ModR/M.rm from ModR/M.reg. Rounds as the immediate or MXCSR says.
  static final class ToHalf extends Operation {
    final int to;
    final int from;
    final boolean wide;
    final int control;
    final @Nullable MemoryOperand memory;

    ToHalf(Instruction i) {
      this.to = 4 * i.rm;
      this.from = 4 * i.reg;
      this.wide = i.vexLength != 0;
      this.control = (int) i.immediate & 7;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      var m = memory;
      long address = 0;
      if (m != null) {
        address = m.writeAddress(c, wide ? 16 : 8);
      }
      int before = SimdFloat.begin(c);
      int mode = (control & 4) != 0 ? SoftFloat.rounding(c) : control & 3;
      long low = four(c, x[from], x[from + 1], mode);
      long high = wide ? four(c, x[from + 2], x[from + 3], mode) : 0;
      SimdFloat.end(c, before);
      if (m == null) {
        x[to] = low;
        x[to + 1] = high;
        x[to + 2] = 0;
        x[to + 3] = 0;
        return;
      }
      int after = c.mxcsr;
      // A page fault leaves MXCSR as it was.
      c.mxcsr = before;
      if (wide) {
        x[YmmOperation.SCRATCH] = low;
        x[YmmOperation.SCRATCH + 1] = high;
        YmmMemory.store16(c, m, address, YmmOperation.SCRATCH);
      } else {
        c.store64(address, low);
      }
      c.mxcsr = after;
    }

    private static long four(Cpu c, long a, long b, int mode) {
      return two(c, a, mode) | two(c, b, mode) << 32;
    }

    private static long two(Cpu c, long a, int mode) {
      long low = SoftFloat.narrowHalf(c, a & 0xFFFF_FFFFL, mode);
      return low | SoftFloat.narrowHalf(c, a >>> 32, mode) << 16;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }
}
