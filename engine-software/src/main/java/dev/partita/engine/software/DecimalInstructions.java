package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// Decimal adjustment outside 64-bit mode: AAA, AAS, AAM, AAD, DAA, DAS. SDM volume 2 gives each as
/// a program; undefined flags follow from the result as after a logical operation.
final class DecimalInstructions {
  private DecimalInstructions() {}

  static @Nullable Operation create(Instruction i) {
    return switch (i.opcode) {
      case 0x27 -> new AdjustPacked(false);
      case 0x2F -> new AdjustPacked(true);
      case 0x37 -> new AdjustUnpacked(false);
      case 0x3F -> new AdjustUnpacked(true);
      case 0xD4 -> new AdjustMultiply((int) i.immediate & 0xFF);
      case 0xD5 -> new AdjustDivide((int) i.immediate & 0xFF);
      default -> null;
    };
  }

  private static void flags(Cpu c, int al, boolean carry, boolean adjust) {
    c.logicFlags((byte) al);
    c.setArithmeticFlags(c.arithmeticFlags() | (carry ? Cpu.CF : 0) | (adjust ? Cpu.AF : 0));
  }

  /// DAA and DAS.
  private static final class AdjustPacked extends Operation {
    final boolean subtract;

    AdjustPacked(boolean subtract) {
      this.subtract = subtract;
    }

    @Override
    void execute(Cpu c) {
      int old = c.get8(Cpu.RAX);
      boolean oldCarry = c.cf();
      int al = old;
      boolean carry = false;
      boolean adjust = (al & 0xF) > 9 || c.af();
      if (adjust) {
        al = subtract ? al - 6 : al + 6;
        carry = oldCarry || (al & ~0xFF) != 0;
        al &= 0xFF;
      }
      if (old > 0x99 || oldCarry) {
        al = (subtract ? al - 0x60 : al + 0x60) & 0xFF;
        carry = true;
      } else if (!subtract) {
        carry = false;
      }
      c.set8(Cpu.RAX, al);
      flags(c, al, carry, adjust);
    }
  }

  /// AAA and AAS.
  private static final class AdjustUnpacked extends Operation {
    final boolean subtract;

    AdjustUnpacked(boolean subtract) {
      this.subtract = subtract;
    }

    @Override
    void execute(Cpu c) {
      int ax = c.get16(Cpu.RAX);
      boolean adjust = (ax & 0xF) > 9 || c.af();
      if (adjust) {
        ax = subtract ? ax - 0x106 : ax + 0x106;
      }
      ax &= 0xFF0F;
      c.set16(Cpu.RAX, ax);
      flags(c, ax, adjust, adjust);
    }
  }

  /// AAM: a division of AL.
  private static final class AdjustMultiply extends Operation {
    final int base;

    AdjustMultiply(int base) {
      this.base = base;
    }

    @Override
    void execute(Cpu c) {
      if (base == 0) {
        throw c.raise(GuestFault.DIVIDE_ERROR);
      }
      int al = c.get8(Cpu.RAX);
      c.set16(Cpu.RAX, al / base << 8 | al % base);
      flags(c, al % base, false, false);
    }
  }

  /// AAD: AL becomes AL + AH * base, with the flags of that addition.
  private static final class AdjustDivide extends Operation {
    final int base;

    AdjustDivide(int base) {
      this.base = base;
    }

    @Override
    void execute(Cpu c) {
      long product = (long) c.get8(16) * base;
      long al = Arithmetic.add(c, c.get8(Cpu.RAX), product & 0xFF, 0, 1);
      c.set16(Cpu.RAX, (int) al & 0xFF);
    }
  }
}
