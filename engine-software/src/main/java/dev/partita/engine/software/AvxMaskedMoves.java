package dev.partita.engine.software;

/// Loads and stores of chosen elements, and gathers: what is not chosen is not touched in memory,
/// and cannot fault. Intel SDM volume 2, "VMASKMOV", "VPMASKMOV", "VGATHERDPD/VGATHERQPD" and
/// their like.
final class AvxMaskedMoves {
  private AvxMaskedMoves() {}

  /// Whether an element is chosen: by the sign bit of the mask's.
  private static boolean chosen(long[] x, int mask, int number, boolean quadwords) {
    return quadwords
        ? x[mask + number] < 0
        : (x[mask + (number >> 1)] >>> 31 + 32 * (number & 1) & 1) != 0;
  }

  private static long replace32(long a, int number, int value) {
    return (number & 1) == 0
        ? a & 0xFFFF_FFFF_0000_0000L | value & 0xFFFF_FFFFL
        : a & 0xFFFF_FFFFL | (long) value << 32;
  }

  /// VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ from memory: the rest becomes 0.
  static final class Load extends Operation {
    final int to;
    final int mask;
    final boolean quadwords;
    final boolean wide;
    final MemoryOperand memory;

    Load(Instruction i, boolean quadwords) {
      this.to = 4 * i.reg;
      this.mask = 4 * i.vexRegister();
      this.quadwords = quadwords;
      this.wide = i.vexLength != 0;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      long r0 = quarter(c, 0);
      long r1 = quarter(c, 1);
      long r2 = wide ? quarter(c, 2) : 0;
      long r3 = wide ? quarter(c, 3) : 0;
      x[to] = r0;
      x[to + 1] = r1;
      x[to + 2] = r2;
      x[to + 3] = r3;
    }

    private long quarter(Cpu c, int number) {
      long m = c.xmm[mask + number];
      if (quadwords) {
        return m < 0 ? c.load64(memory.address(c, 8 * number, 8, false)) : 0;
      }
      int low = (int) m < 0 ? c.load32(memory.address(c, 8 * number, 4, false)) : 0;
      int high = m < 0 ? c.load32(memory.address(c, 8 * number + 4, 4, false)) : 0;
      return SimdFloat.pair(low, high);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  /// The same to memory. All chosen elements are checked before the first is written.
  static final class Store extends Operation {
    final int from;
    final int mask;
    final boolean quadwords;
    final int elements;
    final MemoryOperand memory;

    Store(Instruction i, boolean quadwords) {
      this.from = 4 * i.reg;
      this.mask = 4 * i.vexRegister();
      this.quadwords = quadwords;
      this.elements = (quadwords ? 2 : 4) << i.vexLength;
      this.memory = i.operand();
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      int size = quadwords ? 8 : 4;
      for (int k = 0; k < elements; k++) {
        if (chosen(x, mask, k, quadwords)) {
          long address = memory.address(c, size * k, size, true);
          if (c.writeTlb[Tlb.slot(address)] != (address + size - 1 & Tlb.PAGE_MASK)) {
            c.mmu.probeWrite(address, size);
          }
        }
      }
      for (int k = 0; k < elements; k++) {
        if (chosen(x, mask, k, quadwords)) {
          long address = memory.address(c, size * k, size, true);
          if (quadwords) {
            c.store64(address, x[from + k]);
          } else {
            c.store32(address, (int) (x[from + (k >> 1)] >>> 32 * (k & 1)));
          }
        }
      }
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  /// VMASKMOVDQU.
  static final class StoreBytes extends Operation {
    final int from;
    final int mask;
    final MemoryOperand memory;

    StoreBytes(Instruction i) {
      this.from = 4 * i.reg;
      this.mask = 4 * i.rm;
      this.memory = VectorMoves.implicitDestination(i);
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      int bits = PackedInteger.topBits(x[mask]) | PackedInteger.topBits(x[mask + 1]) << 8;
      VectorMoves.storeMasked(c, memory, x[from], x[from + 1], bits, 16);
    }

    @Override
    int readsOnly() {
      return MemoryOperand.registers(memory);
    }
  }

  /// VPGATHERDD, DQ, QD, QQ; VGATHERDPS, DPD, QPS, QPD.
  ///
  /// Elements are loaded from the lowest up; each that is done is in the destination and cleared in
  /// the mask before the next one, so that after a fault the instruction goes on where it was.
  static final class Gather extends Operation {
    final int to;
    final int mask;
    final int index;
    final int scale;
    final boolean quadwords;
    final boolean wideIndex;
    final int elements;

    /// The address without the index.
    final MemoryOperand memory;

    /// @param i with {@link Instruction#sibIndex} given; the three registers differ
    Gather(Instruction i) {
      this.to = 4 * i.reg;
      this.mask = 4 * i.vexRegister();
      this.index = 4 * i.sibIndex;
      var m = i.operand();
      this.scale = m.scale;
      this.quadwords = i.rexW();
      this.wideIndex = (i.opcode & 1) != 0;
      this.elements = (quadwords || wideIndex ? 2 : 4) << i.vexLength;
      this.memory =
          new MemoryOperand(
              m.segment, m.base, Cpu.ZERO, 0, m.displacement, i.addressSize, i.is64());
    }

    @Override
    void execute(Cpu c) {
      c.requireAvx();
      long[] x = c.xmm;
      spreadMask(x);
      for (int k = 0; k < elements; k++) {
        if (!chosen(x, mask, k, quadwords)) {
          continue;
        }
        long number = wideIndex ? x[index + k] : (int) (x[index + (k >> 1)] >>> 32 * (k & 1));
        long address = memory.address(c, number << scale, quadwords ? 8 : 4, false);
        if (quadwords) {
          x[to + k] = c.load64(address);
          x[mask + k] = 0;
        } else {
          int value = c.load32(address);
          x[to + (k >> 1)] = replace32(x[to + (k >> 1)], k, value);
          x[mask + (k >> 1)] = replace32(x[mask + (k >> 1)], k, 0);
        }
      }
      int bytes = elements * (quadwords ? 8 : 4);
      for (int k = bytes / 8; k < 4; k++) {
        x[to + k] = 0;
      }
      for (int k = 0; k < 4; k++) {
        x[mask + k] = 0;
      }
    }

    /// Each element of the mask becomes all ones or 0, as the sign bit was; what is beyond the
    /// vector 0.
    private void spreadMask(long[] x) {
      int quarters = elements * (quadwords ? 8 : 4) / 8;
      for (int k = 0; k < 4; k++) {
        long m = x[mask + k];
        x[mask + k] =
            k >= quarters
                ? 0
                : quadwords ? m >> 63 : PackedInteger.spread(m & PackedInteger.H32, 31);
      }
    }
  }
}
