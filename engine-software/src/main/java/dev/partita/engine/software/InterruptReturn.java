package dev.partita.engine.software;

/// IRET, IRETD and IRETQ. Intel SDM volume 2, "IRET".
final class InterruptReturn extends Operation {
  private final int size;

  /// @param size operand size in bytes
  InterruptReturn(int size) {
    this.size = size;
  }

  @Override
  Flow flow() {
    return Flow.BRANCH;
  }

  @Override
  void execute(Cpu c) {
    // NMIs are let in again even if IRET faults (SDM volume 3, 6.7.1).
    c.nmiMasked = false;
    if (!c.protectedMode()) {
      fromRealMode(c);
    } else if (c.virtual8086()) {
      fromVirtual8086(c);
    } else {
      fromProtectedMode(c);
    }
  }

  private long pop(Cpu c, int index) {
    return c.peek(c.r[Cpu.RSP] + (long) index * size, size);
  }

  private void fromRealMode(Cpu c) {
    long offset = pop(c, 0);
    int selector = (int) pop(c, 1) & 0xFFFF;
    int popped = (int) pop(c, 2);
    if (offset > (c.segmentLimit[Cpu.CS] & 0xFFFF_FFFFL)) {
      throw c.generalProtection(0);
    }
    int kept = Cpu.VM | Cpu.VIF | Cpu.VIP;
    finishReal(c, offset, selector, popped, kept);
  }

  private void fromVirtual8086(Cpu c) {
    boolean extensions = (c.cr4 & Cpu.CR4_VME) != 0;
    boolean privileged = (c.systemFlags & Cpu.IOPL) == Cpu.IOPL;
    if (!privileged && !(extensions && size == 2)) {
      throw c.generalProtection(0);
    }
    long offset = pop(c, 0);
    int selector = (int) pop(c, 1) & 0xFFFF;
    int popped = (int) pop(c, 2);
    if (offset > (c.segmentLimit[Cpu.CS] & 0xFFFF_FFFFL)) {
      throw c.generalProtection(0);
    }
    int kept = Cpu.VM | Cpu.IOPL | Cpu.VIF | Cpu.VIP;
    if (!privileged) {
      // The program's IF is VIF.
      boolean on = (popped & Cpu.IF) != 0;
      if ((on && (c.systemFlags & Cpu.VIP) != 0) || (popped & Cpu.TF) != 0) {
        throw c.generalProtection(0);
      }
      popped = popped & ~Cpu.VIF | (on ? Cpu.VIF : 0);
      kept = Cpu.VM | Cpu.IOPL | Cpu.IF | Cpu.VIP;
    }
    finishReal(c, offset, selector, popped, kept);
  }

  private void finishReal(Cpu c, long offset, int selector, int popped, int kept) {
    int old = (int) c.flags();
    if (size == 2) {
      // The upper half stays, but for VIF where it stands for IF: `kept` has decided about it.
      kept |= 0xFFFF_0000 & ~Cpu.VIF;
    }
    c.setStackPointer(c.r[Cpu.RSP] + 3L * size);
    Segments.setRealCode(c, selector);
    c.rip = offset;
    setFlags(c, old & kept | popped & ~kept);
    c.modeChanged();
  }

  private void fromProtectedMode(Cpu c) {
    if ((c.systemFlags & Cpu.NT) != 0) {
      if (c.longMode()) {
        throw c.generalProtection(0);
      }
      throw TaskState.switchRefused(c, "IRET with NT set");
    }
    long offset = pop(c, 0);
    int selector = (int) pop(c, 1) & 0xFFFF;
    int popped = (int) pop(c, 2);
    if ((popped & Cpu.VM) != 0 && size == 4 && c.cpl == 0 && !c.longMode()) {
      toVirtual8086(c, offset, selector, popped);
      return;
    }
    long raw = FarTransfers.loadReturnCode(c, selector);
    int old = (int) c.flags();
    int kept = keptFlags(c.cpl, old);
    if ((selector & 3) != c.cpl || c.is64()) {
      long stackPointer = pop(c, 3);
      int stackSelector = (int) pop(c, 4) & 0xFFFF;
      FarTransfers.returnOutward(c, selector, raw, offset, stackSelector, stackPointer);
    } else {
      int attributes = Descriptor.attributes(raw);
      long target = Segments.checkedTarget(c, raw, attributes, offset);
      attributes = Descriptor.touch(c, selector, attributes);
      c.setStackPointer(c.r[Cpu.RSP] + 3L * size);
      Segments.setCode(c, selector, raw, attributes, c.cpl);
      c.rip = target;
      c.modeChanged();
    }
    setFlags(c, old & kept | popped & ~kept);
  }

  /// The flags that a return from protected mode leaves alone.
  private int keptFlags(int cpl, int old) {
    int kept = Cpu.VM;
    if (size == 2) {
      kept |= ~0xFFFF;
    }
    if (cpl != 0) {
      kept |= Cpu.IOPL | Cpu.VIF | Cpu.VIP;
      if (cpl > (old >> 12 & 3)) {
        kept |= Cpu.IF;
      }
    }
    return kept;
  }

  private void toVirtual8086(Cpu c, long offset, int selector, int popped) {
    long stackPointer = pop(c, 3);
    int ss = (int) pop(c, 4) & 0xFFFF;
    int es = (int) pop(c, 5) & 0xFFFF;
    int ds = (int) pop(c, 6) & 0xFFFF;
    int fs = (int) pop(c, 7) & 0xFFFF;
    int gs = (int) pop(c, 8) & 0xFFFF;
    if (offset > 0xFFFF) {
      throw c.generalProtection(0);
    }
    c.systemFlags |= Cpu.VM;
    c.cpl = 3;
    Segments.setRealCode(c, selector);
    Segments.loadReal(c, Cpu.SS, ss);
    Segments.loadReal(c, Cpu.ES, es);
    Segments.loadReal(c, Cpu.DS, ds);
    Segments.loadReal(c, Cpu.FS, fs);
    Segments.loadReal(c, Cpu.GS, gs);
    c.r[Cpu.RSP] = stackPointer;
    c.rip = offset;
    setFlags(c, popped);
    c.modeChanged();
  }

  /// RF serves instruction breakpoints alone: without one it is not kept.
  private static void setFlags(Cpu c, int flags) {
    c.setFlags(EventDelivery.breakpointsArmed(c) ? flags : flags & ~Cpu.RF);
  }
}
