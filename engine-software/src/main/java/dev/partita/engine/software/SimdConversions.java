package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// CVT instructions: between integers, singles and doubles, in general, XMM and MMX registers.
final class SimdConversions {
  private SimdConversions() {}

  /// Map 0F.
  ///
  /// @param prefix the mandatory prefix: 0, 0x66, 0xF3, 0xF2
  static @Nullable Operation create(Instruction i, int prefix) {
    return switch (i.opcode) {
      case 0x2A -> prefix <= 0x66 ? new FromMmx(i, prefix) : new FromGeneral(i, prefix);
      case 0x2C, 0x2D -> prefix <= 0x66 ? new ToMmx(i, prefix) : new ToGeneral(i, prefix);
      case 0x5A ->
          switch (prefix) {
            case 0 -> new Packed(i, Packed.SINGLES_TO_DOUBLES, 8);
            case 0x66 -> new Packed(i, Packed.DOUBLES_TO_SINGLES, 16);
            case 0xF3 -> new WidenScalar(i);
            default -> new NarrowScalar(i);
          };
      case 0x5B ->
          switch (prefix) {
            case 0 -> new Packed(i, Packed.INTEGERS_TO_SINGLES, 16);
            case 0x66 -> new Packed(i, Packed.SINGLES_TO_INTEGERS, 16);
            case 0xF3 -> new Packed(i, Packed.SINGLES_TRUNCATED, 16);
            default -> null;
          };
      case 0xE6 ->
          switch (prefix) {
            case 0x66 -> new Packed(i, Packed.DOUBLES_TRUNCATED, 16);
            case 0xF3 -> new Packed(i, Packed.INTEGERS_TO_DOUBLES, 8);
            case 0xF2 -> new Packed(i, Packed.DOUBLES_TO_INTEGERS, 16);
            default -> null;
          };
      default -> null;
    };
  }

  // ---- Elements

  static long truncated(Cpu c, long a, boolean doubles, int width) {
    if (doubles && (c.mxcsr & SoftFloat.PRECISION) != 0 && SimdFloat.usual(a)) {
      double x = Double.longBitsToDouble(a);
      if (Math.abs(x) < 0x7FFF_FFFF && (c.mxcsr & SimdFloat.MASKS) == SimdFloat.MASKS) {
        return (long) x;
      }
    }
    int format = doubles ? SoftFloat.DOUBLE : SoftFloat.SINGLE;
    return SoftFloat.toInteger(c, format, a, SoftFloat.ZERO, width);
  }

  static long singlesToIntegers(Cpu c, long a, int mode) {
    long low = SoftFloat.toInteger(c, SoftFloat.SINGLE, a & 0xFFFF_FFFFL, mode, 32);
    long high = SoftFloat.toInteger(c, SoftFloat.SINGLE, a >>> 32, mode, 32);
    return low & 0xFFFF_FFFFL | high << 32;
  }

  static long doublesToIntegers(Cpu c, long a, long b, int mode) {
    long low = SoftFloat.toInteger(c, SoftFloat.DOUBLE, a, mode, 32);
    return low & 0xFFFF_FFFFL | SoftFloat.toInteger(c, SoftFloat.DOUBLE, b, mode, 32) << 32;
  }

  static long integersToSingles(Cpu c, long a) {
    long low = SoftFloat.fromInteger(c, SoftFloat.SINGLE, (int) a);
    return low | SoftFloat.fromInteger(c, SoftFloat.SINGLE, (int) (a >>> 32)) << 32;
  }

  static long toDouble(int a) {
    return Double.doubleToRawLongBits(a);
  }

  // ---- Packed

  static final class Packed extends XmmOperation {
    static final int SINGLES_TO_DOUBLES = 0;
    static final int DOUBLES_TO_SINGLES = 1;
    static final int INTEGERS_TO_SINGLES = 2;
    static final int SINGLES_TO_INTEGERS = 3;
    static final int SINGLES_TRUNCATED = 4;
    static final int DOUBLES_TRUNCATED = 5;
    static final int INTEGERS_TO_DOUBLES = 6;
    static final int DOUBLES_TO_INTEGERS = 7;

    final int kind;

    Packed(Instruction i, int kind, int size) {
      super(i, size);
      this.kind = kind;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      int mode = SoftFloat.rounding(c);
      long r0;
      long r1 = 0;
      switch (kind) {
        case SINGLES_TO_DOUBLES -> {
          r0 = SoftFloat.widen(c, low & 0xFFFF_FFFFL);
          r1 = SoftFloat.widen(c, low >>> 32);
        }
        case DOUBLES_TO_SINGLES -> {
          long first = SoftFloat.narrow(c, low);
          r0 = first | SoftFloat.narrow(c, high) << 32;
        }
        case INTEGERS_TO_SINGLES -> {
          r0 = integersToSingles(c, low);
          r1 = integersToSingles(c, high);
        }
        case SINGLES_TO_INTEGERS -> {
          r0 = singlesToIntegers(c, low, mode);
          r1 = singlesToIntegers(c, high, mode);
        }
        case SINGLES_TRUNCATED -> {
          r0 = singlesToIntegers(c, low, SoftFloat.ZERO);
          r1 = singlesToIntegers(c, high, SoftFloat.ZERO);
        }
        case DOUBLES_TRUNCATED -> r0 = doublesToIntegers(c, low, high, SoftFloat.ZERO);
        case INTEGERS_TO_DOUBLES -> {
          r0 = toDouble((int) low);
          r1 = toDouble((int) (low >>> 32));
        }
        default -> r0 = doublesToIntegers(c, low, high, mode);
      }
      SimdFloat.end(c, before);
      c.xmm[to] = r0;
      c.xmm[to + 1] = r1;
    }
  }

  // ---- Scalar

  /// CVTSS2SD.
  static final class WidenScalar extends XmmOperation {
    WidenScalar(Instruction i) {
      super(i, 4);
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      long r = SoftFloat.widen(c, low & 0xFFFF_FFFFL);
      SimdFloat.end(c, before);
      c.xmm[to] = r;
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.floats.widen(to, from);
      if (first != to) {
        v.copy(to + 1, first + 1, 1);
      }
    }
  }

  /// CVTSD2SS.
  static final class NarrowScalar extends XmmOperation {
    NarrowScalar(Instruction i) {
      super(i, 8);
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      long r = SoftFloat.narrow(c, low);
      SimdFloat.end(c, before);
      c.xmm[to] = c.xmm[to] & 0xFFFF_FFFF_0000_0000L | r;
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.floats.narrow(to, first, from);
      if (first != to) {
        v.copy(to + 1, first + 1, 1);
      }
    }
  }

  /// CVTSI2SS, CVTSI2SD.
  static final class FromGeneral extends Operation {
    final int to;
    final int from;
    final boolean doubles;
    final boolean wide;
    final @Nullable MemoryOperand memory;

    FromGeneral(Instruction i, int prefix) {
      this.to = 4 * i.reg;
      this.from = i.rm;
      this.doubles = prefix == 0xF2;
      this.wide = i.rexW();
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long value;
      if (wide) {
        value = memory == null ? c.r[from] : memory.load64(c);
      } else {
        value = memory == null ? c.get32(from) : memory.load32(c);
      }
      if (doubles && (int) value == value) {
        // Always exact.
        c.xmm[to] = toDouble((int) value);
        return;
      }
      int before = SimdFloat.begin(c);
      long r = SoftFloat.fromInteger(c, doubles ? SoftFloat.DOUBLE : SoftFloat.SINGLE, value);
      SimdFloat.end(c, before);
      c.xmm[to] = doubles ? r : c.xmm[to] & 0xFFFF_FFFF_0000_0000L | r;
    }

    @Override
    boolean emit(RegionEmitter e) {
      e.vector.requireSse();
      int size = wide ? 8 : 4;
      if (memory != null) {
        e.load(memory, size);
      } else {
        e.get(from, size);
      }
      if (!wide) {
        e.b.i2l();
      }
      e.vector.floats.fromInteger(doubles, to, to);
      return true;
    }

    @Override
    int readsOnly() {
      return memory == null ? 1 << from : MemoryOperand.registers(memory);
    }
  }

  /// CVTSS2SI, CVTSD2SI, CVTTSS2SI, CVTTSD2SI.
  static final class ToGeneral extends XmmOperation {
    final boolean doubles;
    final boolean truncate;
    final boolean wide;

    ToGeneral(Instruction i, int prefix) {
      super(i, prefix == 0xF2 ? 8 : 4);
      this.doubles = prefix == 0xF2;
      this.truncate = i.opcode == 0x2C;
      this.wide = i.rexW();
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      long a = doubles ? low : low & 0xFFFF_FFFFL;
      int width = wide ? 64 : 32;
      int format = doubles ? SoftFloat.DOUBLE : SoftFloat.SINGLE;
      long value =
          truncate
              ? truncated(c, a, doubles, width)
              : SoftFloat.toInteger(c, format, a, SoftFloat.rounding(c), width);
      SimdFloat.end(c, before);
      c.r[to >> 2] = wide ? value : value & 0xFFFF_FFFFL;
    }

    @Override
    int readsOnly() {
      return -1;
    }

    @Override
    boolean hasLane() {
      return truncate;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.floats.truncate(doubles, from, wide ? 64 : 32);
      v.toGeneral(this.to >> 2, wide);
    }
  }

  // ---- MMX registers

  /// CVTPI2PS, CVTPI2PD. With a memory operand they have nothing to do with the x87 state.
  static final class FromMmx extends Operation {
    final int to;
    final int from;
    final boolean doubles;
    final @Nullable MemoryOperand memory;

    FromMmx(Instruction i, int prefix) {
      this.to = 4 * i.reg;
      this.from = i.rm & 7;
      this.doubles = prefix == 0x66;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      var m = memory;
      boolean mmx = m == null;
      if (mmx) {
        c.x87.checkPending(c);
      }
      long a = m == null ? c.x87.mmx(from) : m.load64(c);
      if (mmx) {
        c.x87.enterMmx();
      }
      if (doubles) {
        c.xmm[to] = toDouble((int) a);
        c.xmm[to + 1] = toDouble((int) (a >>> 32));
      } else {
        int before = SimdFloat.begin(c);
        long r = integersToSingles(c, a);
        SimdFloat.end(c, before);
        c.xmm[to] = r;
      }
    }
  }

  /// CVTPS2PI, CVTPD2PI, CVTTPS2PI, CVTTPD2PI.
  static final class ToMmx extends Operation {
    final int to;
    final int from;
    final boolean doubles;
    final boolean truncate;
    final @Nullable MemoryOperand memory;

    ToMmx(Instruction i, int prefix) {
      this.to = i.reg & 7;
      this.from = 4 * i.rm;
      this.doubles = prefix == 0x66;
      this.truncate = i.opcode == 0x2C;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      c.x87.checkPending(c);
      var m = memory;
      long low;
      long high = 0;
      if (m == null) {
        low = c.xmm[from];
        high = c.xmm[from + 1];
      } else if (doubles) {
        long address = XmmMemory.alignedRead(c, m);
        low = c.load64(address);
        high = c.load64(address + 8);
      } else {
        low = m.load64(c);
      }
      // Goes to MMX state even if a SIMD floating-point exception follows, as Intel's processors
      // do.
      c.x87.enterMmx();
      int before = SimdFloat.begin(c);
      int mode = truncate ? SoftFloat.ZERO : SoftFloat.rounding(c);
      long r = doubles ? doublesToIntegers(c, low, high, mode) : singlesToIntegers(c, low, mode);
      SimdFloat.end(c, before);
      c.x87.setMmx(to, r);
    }
  }
}
