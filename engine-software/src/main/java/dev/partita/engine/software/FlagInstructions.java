package dev.partita.engine.software;

/// PUSHF, POPF, LAHF, SAHF, CLC, STC, CMC, CLD, STD, SALC.
final class FlagInstructions {
  private FlagInstructions() {}

  /// Opcode 9C.
  static Operation push(Instruction i) {
    return new PushFlags(i.stackOperandSize() / 8);
  }

  /// Opcode 9D.
  static Operation pop(Instruction i) {
    return new PopFlags(i.stackOperandSize() / 8);
  }

  /// Opcode 9E.
  static Operation storeAh() {
    return new Sahf();
  }

  /// Opcode 9F.
  static Operation loadAh() {
    return new Lahf();
  }

  /// Opcodes F5, F8, F9.
  static Operation carry(Instruction i) {
    return switch (i.opcode) {
      case 0xF5 -> new ComplementCarry();
      case 0xF8 -> new SetCarry(false);
      default -> new SetCarry(true);
    };
  }

  /// Opcodes FC and FD.
  static Operation direction(Instruction i) {
    return new SetDirection(i.opcode == 0xFD);
  }

  /// Opcode D6 outside 64-bit mode: AL is all ones if CF is set, else 0. Not in the manuals, but in
  /// all of Intel's processors.
  static Operation setAlFromCarry() {
    return new Salc();
  }

  private static int iopl(Cpu c) {
    return c.systemFlags >> 12 & 3;
  }

  private static final class PushFlags extends Operation {
    final int size;

    PushFlags(int size) {
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      long image = c.flags() & ~(long) (Cpu.VM | Cpu.RF);
      if (c.virtual8086() && iopl(c) < 3) {
        if ((c.cr4 & Cpu.CR4_VME) == 0 || size != 2) {
          throw c.generalProtection(0);
        }
        // The guest of the guest sees VIF in IF's place, and IOPL 3.
        image = (image & ~Cpu.IF) | Cpu.IOPL | ((c.systemFlags & Cpu.VIF) != 0 ? Cpu.IF : 0);
      }
      c.push(image, size);
    }
  }

  /// POPF. What may change depends on mode, CPL and IOPL: SDM volume 2, "POPF".
  private static final class PopFlags extends Operation {
    final int size;

    PopFlags(int size) {
      this.size = size;
    }

    @Override
    void execute(Cpu c) {
      if (c.virtual8086() && iopl(c) < 3) {
        popVirtual(c);
        return;
      }
      long image = c.pop(size);
      long change = Cpu.ARITHMETIC | Cpu.TF | Cpu.DF | Cpu.NT;
      if (size != 2) {
        change |= Cpu.AC | Cpu.ID;
      }
      if (!c.protectedMode() || c.cpl <= iopl(c)) {
        change |= Cpu.IF;
      }
      if (!c.protectedMode() || (c.cpl == 0 && !c.virtual8086())) {
        change |= Cpu.IOPL;
      }
      long keep = ~change & (size == 2 ? -1L : ~(long) Cpu.RF);
      c.setFlags((c.flags() & keep) | (image & change));
    }

    /// In virtual-8086 mode with IOPL below 3: only with virtual-mode extensions.
    private void popVirtual(Cpu c) {
      if ((c.cr4 & Cpu.CR4_VME) == 0 || size != 2) {
        throw c.generalProtection(0);
      }
      long image = c.peek(c.r[Cpu.RSP], size);
      boolean enables = (image & Cpu.IF) != 0;
      if ((image & Cpu.TF) != 0 || (enables && (c.systemFlags & Cpu.VIP) != 0)) {
        throw c.generalProtection(0);
      }
      c.pop(size);
      long change = Cpu.ARITHMETIC | Cpu.TF | Cpu.DF | Cpu.NT;
      long flags = (c.flags() & ~(change | Cpu.VIF)) | (image & change);
      c.setFlags(flags | (enables ? Cpu.VIF : 0));
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }

  private static final class Sahf extends Operation {
    @Override
    void execute(Cpu c) {
      int image = c.get8(16) & (Cpu.SF | Cpu.ZF | Cpu.AF | Cpu.PF | Cpu.CF);
      c.setArithmeticFlags(image | (c.of() ? Cpu.OF : 0));
    }
  }

  private static final class Lahf extends Operation {
    @Override
    void execute(Cpu c) {
      c.set8(16, c.arithmeticFlags() | 2);
    }
  }

  private static final class SetCarry extends Operation {
    final boolean value;

    SetCarry(boolean value) {
      this.value = value;
    }

    @Override
    void execute(Cpu c) {
      c.setCarry(value);
    }
  }

  private static final class ComplementCarry extends Operation {
    @Override
    void execute(Cpu c) {
      c.setCarry(!c.cf());
    }
  }

  private static final class SetDirection extends Operation {
    final boolean down;

    SetDirection(boolean down) {
      this.down = down;
    }

    @Override
    void execute(Cpu c) {
      c.systemFlags = down ? c.systemFlags | Cpu.DF : c.systemFlags & ~Cpu.DF;
    }
  }

  private static final class Salc extends Operation {
    @Override
    void execute(Cpu c) {
      c.set8(Cpu.RAX, -c.carryBit());
    }
  }
}
