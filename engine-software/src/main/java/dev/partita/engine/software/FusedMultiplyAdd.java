package dev.partita.engine.software;

/// FMA: VFMADD, VFMSUB, VFNMADD, VFNMSUB, VFMADDSUB, VFMSUBADD, each in the orders 132, 213 and
/// 231, packed and scalar. The numbers are {@link FusedArithmetic}'s.
///
/// Opcodes 96 to 9F (132), A6 to AF (213), B6 to BF (231) of map 0F38 with 66. The order says which
/// operands are multiplied: 1 is ModR/M.reg (and the destination), 2 VEX.vvvv, 3 ModR/M.rm.
abstract class FusedMultiplyAdd extends YmmOperation {
  /// The factors and the addend, as indexes in {@link Cpu#xmm}.
  final int x;

  final int y;
  final int z;

  /// What is negated, for elements with an even and an odd number.
  final int even;

  final int odd;

  private FusedMultiplyAdd(Instruction i, int size, boolean wide) {
    super(i, size, wide);
    switch (i.opcode >> 4) {
      case 0x9 -> {
        x = to;
        y = from;
        z = first;
      }
      case 0xA -> {
        x = first;
        y = to;
        z = from;
      }
      default -> {
        x = first;
        y = from;
        z = to;
      }
    }
    switch (i.opcode & 0xF) {
      case 6 -> {
        even = FusedArithmetic.NEGATE_ADDEND;
        odd = 0;
      }
      case 7 -> {
        even = 0;
        odd = FusedArithmetic.NEGATE_ADDEND;
      }
      case 0x8, 0x9 -> {
        even = 0;
        odd = 0;
      }
      case 0xA, 0xB -> {
        even = FusedArithmetic.NEGATE_ADDEND;
        odd = even;
      }
      case 0xC, 0xD -> {
        even = FusedArithmetic.NEGATE_PRODUCT;
        odd = even;
      }
      default -> {
        even = FusedArithmetic.NEGATE_PRODUCT | FusedArithmetic.NEGATE_ADDEND;
        odd = even;
      }
    }
  }

  /// @param i opcode 96 to 9F, A6 to AF, B6 to BF
  static Operation create(Instruction i) {
    boolean scalar = (i.opcode & 0xF) >= 8 && (i.opcode & 1) != 0;
    if (scalar) {
      return i.rexW() ? new ScalarDouble(i) : new ScalarSingle(i);
    }
    return i.rexW() ? new Doubles(i) : new Singles(i);
  }

  static final class Doubles extends FusedMultiplyAdd {
    Doubles(Instruction i) {
      super(i, i.vexLength != 0 ? 32 : 16, i.vexLength != 0);
    }

    @Override
    void apply(Cpu c, long[] v) {
      int before = SimdFloat.begin(c);
      long r0 = FusedArithmetic.fuse64(c, v[x], v[y], v[z], even);
      long r1 = FusedArithmetic.fuse64(c, v[x + 1], v[y + 1], v[z + 1], odd);
      long r2 = 0;
      long r3 = 0;
      if (wide) {
        r2 = FusedArithmetic.fuse64(c, v[x + 2], v[y + 2], v[z + 2], even);
        r3 = FusedArithmetic.fuse64(c, v[x + 3], v[y + 3], v[z + 3], odd);
      }
      SimdFloat.end(c, before);
      set(v, r0, r1, r2, r3);
    }
  }

  static final class Singles extends FusedMultiplyAdd {
    Singles(Instruction i) {
      super(i, i.vexLength != 0 ? 32 : 16, i.vexLength != 0);
    }

    @Override
    void apply(Cpu c, long[] v) {
      int before = SimdFloat.begin(c);
      long r0 = two(c, v, 0);
      long r1 = two(c, v, 1);
      long r2 = wide ? two(c, v, 2) : 0;
      long r3 = wide ? two(c, v, 3) : 0;
      SimdFloat.end(c, before);
      set(v, r0, r1, r2, r3);
    }

    private long two(Cpu c, long[] v, int number) {
      long a = v[x + number];
      long b = v[y + number];
      long s = v[z + number];
      int low = FusedArithmetic.fuse32(c, (int) a, (int) b, (int) s, even);
      int high =
          FusedArithmetic.fuse32(c, (int) (a >>> 32), (int) (b >>> 32), (int) (s >>> 32), odd);
      return SimdFloat.pair(low, high);
    }
  }

  static final class ScalarDouble extends FusedMultiplyAdd {
    ScalarDouble(Instruction i) {
      super(i, 8, false);
    }

    @Override
    void apply(Cpu c, long[] v) {
      int before = SimdFloat.begin(c);
      long r = FusedArithmetic.fuse64(c, v[x], v[y], v[z], even);
      SimdFloat.end(c, before);
      set(v, r, v[to + 1]);
    }
  }

  static final class ScalarSingle extends FusedMultiplyAdd {
    ScalarSingle(Instruction i) {
      super(i, 4, false);
    }

    @Override
    void apply(Cpu c, long[] v) {
      int before = SimdFloat.begin(c);
      int r = FusedArithmetic.fuse32(c, (int) v[x], (int) v[y], (int) v[z], even);
      SimdFloat.end(c, before);
      set(v, v[to] & 0xFFFF_FFFF_0000_0000L | SimdFloat.unsigned(r), v[to + 1]);
    }
  }
}
