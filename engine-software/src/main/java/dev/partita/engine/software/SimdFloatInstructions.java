package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// SSE to SSE4.1 arithmetic, comparison and rounding of floating-point numbers; the numbers are
/// {@link SimdFloat}'s.
final class SimdFloatInstructions {
  private SimdFloatInstructions() {}

  /// Map 0F.
  ///
  /// @param prefix the mandatory prefix: 0 packed single, 0x66 packed double, 0xF3 scalar single,
  ///     0xF2 scalar double
  static @Nullable Operation create(Instruction i, int prefix) {
    return switch (i.opcode) {
      case 0x2E, 0x2F -> prefix <= 0x66 ? new CompareFlags(i, prefix) : null;
      case 0x51, 0x58, 0x59, 0x5C, 0x5D, 0x5E, 0x5F -> arithmetic(i, prefix);
      case 0x52, 0x53 -> prefix == 0 || prefix == 0xF3 ? arithmetic(i, prefix) : null;
      case 0xC2 -> new Compare(i, prefix);
      case 0x7C, 0x7D, 0xD0 -> prefix == 0x66 || prefix == 0xF2 ? new Across(i, prefix) : null;
      default -> null;
    };
  }

  /// Map 0F3A, prefix 66: rounding and dot products.
  static @Nullable Operation create3a(Instruction i) {
    return switch (i.opcode) {
      case 0x08, 0x09, 0x0A, 0x0B -> new Round(i);
      case 0x40 -> new DotProductSingles(i);
      case 0x41 -> new DotProductDoubles(i);
      default -> null;
    };
  }

  private static Operation arithmetic(Instruction i, int prefix) {
    return switch (prefix) {
      case 0 -> new PackedSingles(i);
      case 0x66 -> new PackedDoubles(i);
      case 0xF3 -> new ScalarSingle(i);
      default ->
          switch (i.opcode) {
            case 0x58 -> new AddDouble(i);
            case 0x59 -> new MultiplyDouble(i);
            case 0x5C -> new SubtractDouble(i);
            case 0x5E -> new DivideDouble(i);
            default -> new ScalarDouble(i);
          };
    };
  }

  // ---- Scalar double, the hottest

  static final class AddDouble extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    AddDouble(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long b = memory == null ? c.xmm[from] : memory.load64(c);
      int before = SimdFloat.begin(c);
      long r = SimdFloat.add64(c, c.xmm[to], b);
      SimdFloat.end(c, before);
      c.xmm[to] = r;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      if (memory != null) {
        v.loadOperand(memory, 8, false);
      }
      v.floats.doubles(0x58, to, to, memory == null ? from : YmmOperation.OPERAND, 1);
      return true;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  static final class SubtractDouble extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    SubtractDouble(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long b = memory == null ? c.xmm[from] : memory.load64(c);
      int before = SimdFloat.begin(c);
      long r = SimdFloat.subtract64(c, c.xmm[to], b);
      SimdFloat.end(c, before);
      c.xmm[to] = r;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      if (memory != null) {
        v.loadOperand(memory, 8, false);
      }
      v.floats.doubles(0x5C, to, to, memory == null ? from : YmmOperation.OPERAND, 1);
      return true;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  static final class MultiplyDouble extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    MultiplyDouble(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long b = memory == null ? c.xmm[from] : memory.load64(c);
      int before = SimdFloat.begin(c);
      long r = SimdFloat.multiply64(c, c.xmm[to], b);
      SimdFloat.end(c, before);
      c.xmm[to] = r;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      if (memory != null) {
        v.loadOperand(memory, 8, false);
      }
      v.floats.doubles(0x59, to, to, memory == null ? from : YmmOperation.OPERAND, 1);
      return true;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  static final class DivideDouble extends Operation {
    final int to;
    final int from;
    final @Nullable MemoryOperand memory;

    DivideDouble(Instruction i) {
      this.to = 4 * i.reg;
      this.from = 4 * i.rm;
      this.memory = i.memory;
    }

    @Override
    void execute(Cpu c) {
      c.requireSse();
      long b = memory == null ? c.xmm[from] : memory.load64(c);
      int before = SimdFloat.begin(c);
      long r = SimdFloat.divide64(c, c.xmm[to], b);
      SimdFloat.end(c, before);
      c.xmm[to] = r;
    }

    @Override
    boolean emit(RegionEmitter e) {
      var v = e.vector;
      v.requireSse();
      if (memory != null) {
        v.loadOperand(memory, 8, false);
      }
      v.floats.doubles(0x5E, to, to, memory == null ? from : YmmOperation.OPERAND, 1);
      return true;
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  // ---- Arithmetic of every form

  static final class ScalarDouble extends XmmOperation {
    final int op;

    ScalarDouble(Instruction i) {
      super(i, 8);
      this.op = i.opcode;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      long r = SimdFloat.binary64(c, op, c.xmm[to], low);
      SimdFloat.end(c, before);
      c.xmm[to] = r;
    }

    @Override
    boolean hasLane() {
      return FloatEmitter.hasCode(op);
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.floats.doubles(op, to, first, from, 1);
      if (first != to) {
        v.copy(to + 1, first + 1, 1);
      }
    }
  }

  static final class ScalarSingle extends XmmOperation {
    final int op;

    ScalarSingle(Instruction i) {
      super(i, 4);
      this.op = i.opcode;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      int r = SimdFloat.binary32(c, op, (int) c.xmm[to], (int) low);
      SimdFloat.end(c, before);
      c.xmm[to] = c.xmm[to] & 0xFFFF_FFFF_0000_0000L | SimdFloat.unsigned(r);
    }

    @Override
    boolean hasLane() {
      return FloatEmitter.hasCode(op);
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.floats.single(op, to, first, from);
      if (first != to) {
        v.copy(to + 1, first + 1, 1);
      }
    }
  }

  static final class PackedDoubles extends XmmOperation {
    final int op;

    PackedDoubles(Instruction i) {
      super(i);
      this.op = i.opcode;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      long r0 = SimdFloat.binary64(c, op, c.xmm[to], low);
      long r1 = SimdFloat.binary64(c, op, c.xmm[to + 1], high);
      SimdFloat.end(c, before);
      c.xmm[to] = r0;
      c.xmm[to + 1] = r1;
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.floats.doubles(op, to, first, from, 2);
    }
  }

  static final class PackedSingles extends XmmOperation {
    final int op;

    PackedSingles(Instruction i) {
      super(i);
      this.op = i.opcode;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      long r0 = SimdFloat.binary32x2(c, op, c.xmm[to], low);
      long r1 = SimdFloat.binary32x2(c, op, c.xmm[to + 1], high);
      SimdFloat.end(c, before);
      c.xmm[to] = r0;
      c.xmm[to + 1] = r1;
    }

    @Override
    boolean hasLane() {
      return FloatEmitter.hasCode(op);
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.floats.singles(op, to, first, from, 2);
    }
  }

  /// HADDPS, HADDPD, HSUBPS, HSUBPD, ADDSUBPS, ADDSUBPD.
  static final class Across extends XmmOperation {
    private static final int ADD = 0x58;
    private static final int SUBTRACT = 0x5C;

    final int opcode;
    final boolean doubles;

    Across(Instruction i, int prefix) {
      super(i);
      this.opcode = i.opcode;
      this.doubles = prefix == 0x66;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long a = c.xmm[to];
      long b = c.xmm[to + 1];
      int before = SimdFloat.begin(c);
      long r0 = lower(c, opcode, doubles, a, b, low);
      long r1 = upper(c, opcode, doubles, b, low, high);
      SimdFloat.end(c, before);
      c.xmm[to] = r0;
      c.xmm[to + 1] = r1;
    }

    /// Bits 63:0 of the result.
    ///
    /// @param a bits 63:0 of the first operand
    /// @param b bits 127:64 of it
    /// @param low bits 63:0 of the second
    static long lower(Cpu c, int opcode, boolean doubles, long a, long b, long low) {
      if (opcode == 0xD0) {
        return doubles ? SimdFloat.subtract64(c, a, low) : alternate(c, a, low);
      }
      int op = opcode == 0x7C ? ADD : SUBTRACT;
      return doubles ? SimdFloat.binary64(c, op, a, b) : neighbours(c, op, a, b);
    }

    /// Bits 127:64 of the result.
    ///
    /// @param b bits 127:64 of the first operand
    static long upper(Cpu c, int opcode, boolean doubles, long b, long low, long high) {
      if (opcode == 0xD0) {
        return doubles ? SimdFloat.add64(c, b, high) : alternate(c, b, high);
      }
      int op = opcode == 0x7C ? ADD : SUBTRACT;
      return doubles ? SimdFloat.binary64(c, op, low, high) : neighbours(c, op, low, high);
    }

    private static long alternate(Cpu c, long a, long b) {
      int low = SimdFloat.subtract32(c, (int) a, (int) b);
      return SimdFloat.pair(low, SimdFloat.add32(c, (int) (a >>> 32), (int) (b >>> 32)));
    }

    private static long neighbours(Cpu c, int op, long a, long b) {
      int low = SimdFloat.binary32(c, op, (int) a, (int) (a >>> 32));
      return SimdFloat.pair(low, SimdFloat.binary32(c, op, (int) b, (int) (b >>> 32)));
    }
  }

  // ---- Comparison

  /// CMPPS, CMPPD, CMPSS, CMPSD.
  static final class Compare extends XmmOperation {
    final int prefix;
    final int predicate;

    Compare(Instruction i, int prefix) {
      super(i, prefix == 0xF3 ? 4 : prefix == 0xF2 ? 8 : 16);
      this.prefix = prefix;
      this.predicate = (int) i.immediate & 7;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long a = c.xmm[to];
      long b = c.xmm[to + 1];
      int before = SimdFloat.begin(c);
      long r0;
      long r1 = b;
      switch (prefix) {
        case 0xF3 -> r0 = a & 0xFFFF_FFFF_0000_0000L | compare32(c, (int) a, (int) low);
        case 0xF2 -> r0 = compare64(c, a, low);
        case 0x66 -> {
          r0 = compare64(c, a, low);
          r1 = compare64(c, b, high);
        }
        default -> {
          r0 = compare32x2(c, a, low);
          r1 = compare32x2(c, b, high);
        }
      }
      SimdFloat.end(c, before);
      c.xmm[to] = r0;
      c.xmm[to + 1] = r1;
    }

    private long compare64(Cpu c, long a, long b) {
      return holds(predicate, SimdFloat.compare64(c, a, b, signalling(predicate))) ? -1L : 0;
    }

    private long compare32(Cpu c, int a, int b) {
      return holds(predicate, SimdFloat.compare32(c, a, b, signalling(predicate)))
          ? 0xFFFF_FFFFL
          : 0;
    }

    private long compare32x2(Cpu c, long a, long b) {
      long low = compare32(c, (int) a, (int) b);
      return low | compare32(c, (int) (a >>> 32), (int) (b >>> 32)) << 32;
    }

    /// LT, LE, NLT and NLE raise an exception for a quiet NaN; EQ, UNORD, NEQ, ORD do not.
    private static boolean signalling(int predicate) {
      return (predicate & 3) == 1 || (predicate & 3) == 2;
    }

    private static boolean holds(int predicate, int order) {
      boolean r =
          switch (predicate & 3) {
            case 0 -> order == 0;
            case 1 -> order == -1;
            case 2 -> order <= 0;
            default -> order == SoftFloat.UNORDERED;
          };
      return r == predicate < 4;
    }
  }

  /// COMISS, COMISD, UCOMISS, UCOMISD.
  static final class CompareFlags extends XmmOperation {
    final boolean signalling;
    final boolean doubles;

    CompareFlags(Instruction i, int prefix) {
      super(i, prefix == 0x66 ? 8 : 4);
      this.signalling = i.opcode == 0x2F;
      this.doubles = prefix == 0x66;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      int order =
          doubles
              ? SimdFloat.compare64(c, c.xmm[to], low, signalling)
              : SimdFloat.compare32(c, (int) c.xmm[to], (int) low, signalling);
      SimdFloat.end(c, before);
      c.setArithmeticFlags(
          switch (order) {
            case 1 -> 0;
            case 0 -> Cpu.ZF;
            case -1 -> Cpu.CF;
            default -> Cpu.ZF | Cpu.PF | Cpu.CF;
          });
    }

    @Override
    int readsOnly() {
      return -1;
    }

    @Override
    boolean hasLane() {
      return true;
    }

    @Override
    void emitLane(VectorEmitter v, int to, int first, int from) {
      v.floats.compare(doubles, signalling, this.to, from);
    }
  }

  // ---- Rounding

  /// ROUNDPS, ROUNDPD, ROUNDSS, ROUNDSD.
  static final class Round extends XmmOperation {
    final int opcode;
    final int control;

    Round(Instruction i) {
      super(i, i.opcode == 0x0A ? 4 : i.opcode == 0x0B ? 8 : 16);
      this.opcode = i.opcode;
      this.control = (int) i.immediate & 0xF;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      long r0;
      long r1 = c.xmm[to + 1];
      switch (opcode) {
        case 0x08 -> {
          r0 = singles(c, low, control);
          r1 = singles(c, high, control);
        }
        case 0x09 -> {
          r0 = element(c, SoftFloat.DOUBLE, low, control);
          r1 = element(c, SoftFloat.DOUBLE, high, control);
        }
        case 0x0A ->
            r0 =
                c.xmm[to] & 0xFFFF_FFFF_0000_0000L
                    | element(c, SoftFloat.SINGLE, low & 0xFFFF_FFFFL, control);
        default -> r0 = element(c, SoftFloat.DOUBLE, low, control);
      }
      SimdFloat.end(c, before);
      c.xmm[to] = r0;
      c.xmm[to + 1] = r1;
    }

    static long singles(Cpu c, long a, int control) {
      long low = element(c, SoftFloat.SINGLE, a & 0xFFFF_FFFFL, control);
      return low | element(c, SoftFloat.SINGLE, a >>> 32, control) << 32;
    }

    static long element(Cpu c, int format, long a, int control) {
      int mode = (control & 4) != 0 ? SoftFloat.rounding(c) : control & 3;
      int inexact = (control & 8) != 0 ? 0 : SoftFloat.PRECISION;
      return SoftFloat.roundToIntegral(c, format, a, mode, inexact);
    }
  }

  // ---- Dot products

  /// DPPS: products, sums of neighbours, their sum; each a step of its own with its exceptions.
  static final class DotProductSingles extends XmmOperation {
    final int control;

    DotProductSingles(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      long a = c.xmm[to];
      long b = c.xmm[to + 1];
      int before = SimdFloat.begin(c);
      int p0 = product(c, 0x10, a, low);
      int p1 = product(c, 0x20, a >>> 32, low >>> 32);
      int p2 = product(c, 0x40, b, high);
      int p3 = product(c, 0x80, b >>> 32, high >>> 32);
      SimdFloat.end(c, before);
      before = SimdFloat.begin(c);
      int s0 = SimdFloat.add32(c, p1, p0);
      int s1 = SimdFloat.add32(c, p3, p2);
      SimdFloat.end(c, before);
      before = SimdFloat.begin(c);
      int sum = SimdFloat.add32(c, s0, s1);
      long r0 = SimdFloat.pair(sum, sum);
      long r1 = r0;
      if (SoftFloat.isNan(SoftFloat.SINGLE, SimdFloat.unsigned(sum))) {
        // Each element adds in an order of its own, which shows in the NaN it gets.
        r0 = SimdFloat.pair(sum, sum(c, p0, p1, p2, p3));
        int r2 = sum(c, p3, p2, p1, p0);
        r1 = SimdFloat.pair(r2, sum(c, p2, p3, p0, p1));
      }
      SimdFloat.end(c, before);
      c.xmm[to] = r0 & PackedShuffle.mask(control, 32);
      c.xmm[to + 1] = r1 & PackedShuffle.mask(control >> 2, 32);
    }

    private static int sum(Cpu c, int p, int q, int r, int s) {
      int first = SimdFloat.add32(c, p, q);
      return SimdFloat.add32(c, first, SimdFloat.add32(c, r, s));
    }

    private int product(Cpu c, int bit, long a, long b) {
      return (control & bit) != 0 ? SimdFloat.multiply32(c, (int) a, (int) b) : 0;
    }
  }

  /// DPPD.
  static final class DotProductDoubles extends XmmOperation {
    final int control;

    DotProductDoubles(Instruction i) {
      super(i);
      this.control = (int) i.immediate & 0xFF;
    }

    @Override
    void apply(Cpu c, long low, long high) {
      int before = SimdFloat.begin(c);
      long p0 = (control & 0x10) != 0 ? SimdFloat.multiply64(c, c.xmm[to], low) : 0;
      long p1 = (control & 0x20) != 0 ? SimdFloat.multiply64(c, c.xmm[to + 1], high) : 0;
      SimdFloat.end(c, before);
      before = SimdFloat.begin(c);
      // The same but for which of two NaNs goes on.
      long r0 = SimdFloat.add64(c, p0, p1);
      long r1 = SimdFloat.add64(c, p1, p0);
      SimdFloat.end(c, before);
      c.xmm[to] = (control & 1) != 0 ? r0 : 0;
      c.xmm[to + 1] = (control & 2) != 0 ? r1 : 0;
    }
  }
}
