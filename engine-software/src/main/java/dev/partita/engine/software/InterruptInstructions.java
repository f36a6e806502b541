package dev.partita.engine.software;

/// INT n, INT3, INTO, INT1; CLI, STI, HLT.
final class InterruptInstructions {
  private InterruptInstructions() {}

  /// INT n.
  static final class Interrupt extends Operation {
    private final int vector;

    Interrupt(int vector) {
      this.vector = vector;
    }

    @Override
    void execute(Cpu c) {
      long next = c.ripMasked(nextRip(c));
      if (c.virtual8086()) {
        if ((c.cr4 & Cpu.CR4_VME) != 0 && TaskState.redirectsInterrupt(c, vector)) {
          EventDelivery.redirected(c, vector, next);
          return;
        }
        if ((c.systemFlags & Cpu.IOPL) != Cpu.IOPL) {
          throw c.generalProtection(0);
        }
      }
      EventDelivery.software(c, vector, next);
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// INT3: like INT 3, but without the checks of virtual-8086 mode.
  static final class Breakpoint extends Operation {
    @Override
    void execute(Cpu c) {
      EventDelivery.software(c, GuestFault.BREAKPOINT, c.ripMasked(nextRip(c)));
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// INTO; not in 64-bit mode.
  static final class Overflow extends Operation {
    @Override
    void execute(Cpu c) {
      long next = c.ripMasked(nextRip(c));
      if (c.of()) {
        EventDelivery.software(c, GuestFault.OVERFLOW, next);
      } else {
        c.rip = next;
      }
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// INT1 (ICEBP).
  static final class DebugInterrupt extends Operation {
    @Override
    void execute(Cpu c) {
      EventDelivery.softwareDebug(c, c.ripMasked(nextRip(c)));
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// BOUND; not in 64-bit mode.
  static final class Bound extends Operation {
    private final int register;
    private final MemoryOperand memory;
    private final int size;

    Bound(Instruction i) {
      this.register = i.reg;
      this.memory = i.operand();
      this.size = i.operandSize / 8;
    }

    @Override
    void execute(Cpu c) {
      long address = memory.readAddress(c, 2 * size);
      long upperAddress = address + size & memory.linearMask();
      int index = size == 2 ? (short) c.get16(register) : c.get32(register);
      int lower = size == 2 ? (short) c.load16(address) : c.load32(address);
      int upper = size == 2 ? (short) c.load16(upperAddress) : c.load32(upperAddress);
      if (index < lower || index > upper) {
        throw c.raise(GuestFault.BOUND_RANGE);
      }
    }
  }

  /// Whether CLI and STI act on VIF: virtual-8086 mode with CR4.VME, or level 3 with CR4.PVI.
  private static boolean virtualFlag(Cpu c) {
    return c.virtual8086()
        ? (c.cr4 & Cpu.CR4_VME) != 0
        : c.protectedMode() && c.cpl == 3 && (c.cr4 & Cpu.CR4_PVI) != 0;
  }

  private static boolean privileged(Cpu c) {
    return !c.protectedMode() || c.cpl <= (c.systemFlags >> 12 & 3);
  }

  /// CLI.
  static final class ClearInterruptFlag extends Operation {
    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    void execute(Cpu c) {
      if (privileged(c)) {
        c.setInterruptFlag(false);
      } else if (virtualFlag(c)) {
        c.systemFlags &= ~Cpu.VIF;
      } else {
        throw c.generalProtection(0);
      }
    }
  }

  /// STI. In the middle of a block it needs nothing else to keep interrupts away until after the
  /// next instruction: the block ends with that one, and interrupts come between blocks.
  static final class SetInterruptFlag extends Operation {
    /// Whether the block goes on with the next instruction. Set by the decoder.
    boolean shadowInBlock;

    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    void execute(Cpu c) {
      if (privileged(c)) {
        if ((c.systemFlags & Cpu.IF) == 0) {
          c.setInterruptFlag(true);
          if (!shadowInBlock) {
            c.owner.beginInterruptShadow();
          }
        }
      } else if (virtualFlag(c) && (c.systemFlags & Cpu.VIP) == 0) {
        c.systemFlags |= Cpu.VIF;
      } else {
        throw c.generalProtection(0);
      }
    }

    @Override
    Flow flow() {
      return shadowInBlock ? Flow.NEXT : Flow.END;
    }
  }

  /// HLT.
  static final class Halt extends Operation {
    @Override
    void execute(Cpu c) {
      if (c.cpl != 0) {
        throw c.generalProtection(0);
      }
      c.owner.beginHalt();
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }
}
