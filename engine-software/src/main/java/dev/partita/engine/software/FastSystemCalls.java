package dev.partita.engine.software;

/// SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, and the moves of FS and GS bases. Intel SDM volume
/// 2, under their names, and volume 3, 5.8.7 and 5.8.8.
final class FastSystemCalls {
  // Attributes of the flat segments that these instructions load.
  private static final int CODE64 = 0xA09B;
  private static final int CODE32 = 0xC09B;
  private static final int DATA = 0xC093;
  private static final int USER = 3 << 5;

  /// Flags that SYSRET takes from R11.
  private static final int SYSRET_FLAGS = 0x3C_7FD7;

  private FastSystemCalls() {}

  private static void requireSystemCallExtensions(Cpu c) {
    if (!c.is64() || (c.efer & Cpu.EFER_SCE) == 0) {
      throw c.invalidOpcode();
    }
  }

  private static void requireSupervisor(Cpu c) {
    if (!c.protectedMode() || c.cpl != 0) {
      throw c.generalProtection(0);
    }
  }

  private static void enter(Cpu c, int selector, int codeAttributes) {
    c.cpl = 0;
    Segments.setFlat(c, Cpu.CS, selector & 0xFFFC, codeAttributes);
    Segments.setFlat(c, Cpu.SS, (selector & 0xFFFC) + 8, DATA);
  }

  private static void leave(Cpu c, int code, int stack, int codeAttributes) {
    c.cpl = 3;
    Segments.setFlat(c, Cpu.CS, code | 3, codeAttributes | USER);
    Segments.setFlat(c, Cpu.SS, stack | 3, DATA | USER);
  }

  /// SYSCALL.
  static final class SystemCall extends Operation {
    @Override
    void execute(Cpu c) {
      requireSystemCallExtensions(c);
      long flags = c.flags() & ~(long) Cpu.RF;
      c.r[Cpu.RCX] = nextRip(c);
      c.r[11] = flags;
      c.rip = c.msrs.lstar;
      enter(c, (int) (c.msrs.star >>> 32), CODE64);
      c.setFlags(flags & ~c.msrs.fmask);
      c.modeChanged();
      // With TF masked there is no trap at the entry.
      c.stepTrapCancelled = (c.systemFlags & Cpu.TF) == 0;
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// SYSRET.
  static final class SystemReturn extends Operation {
    private final boolean wide;

    SystemReturn(boolean wide) {
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      requireSystemCallExtensions(c);
      requireSupervisor(c);
      long target = wide ? c.r[Cpu.RCX] : c.r[Cpu.RCX] & 0xFFFF_FFFFL;
      if (!Cpu.canonical(target)) {
        throw c.generalProtection(0);
      }
      int selector = (int) (c.msrs.star >>> 48);
      leave(c, wide ? selector + 16 : selector, selector + 8, wide ? CODE64 : CODE32);
      c.rip = target;
      c.setFlags(c.r[11] & SYSRET_FLAGS);
      c.modeChanged();
      // Unlike IRET and POPF, SYSRET that sets TF traps at once, before the next instruction.
      c.trapPending = (c.systemFlags & Cpu.TF) != 0;
      c.stepTrapCancelled = c.trapPending;
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// SYSENTER.
  static final class SystemEnter extends Operation {
    @Override
    void execute(Cpu c) {
      int selector = (int) c.msrs.sysenterCs & 0xFFFC;
      if (!c.protectedMode() || selector == 0) {
        throw c.generalProtection(0);
      }
      boolean wide = c.longMode();
      c.r[Cpu.RSP] = wide ? c.msrs.sysenterEsp : c.msrs.sysenterEsp & 0xFFFF_FFFFL;
      c.rip = wide ? c.msrs.sysenterEip : c.msrs.sysenterEip & 0xFFFF_FFFFL;
      enter(c, selector, wide ? CODE64 : CODE32);
      c.systemFlags &= ~(Cpu.VM | Cpu.IF | Cpu.RF);
      c.modeChanged();
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// SYSEXIT.
  static final class SystemExit extends Operation {
    private final boolean wide;

    SystemExit(boolean wide) {
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      int selector = (int) c.msrs.sysenterCs & 0xFFFC;
      if (selector == 0) {
        throw c.generalProtection(0);
      }
      long target = c.r[Cpu.RDX];
      long stack = c.r[Cpu.RCX];
      if (!wide) {
        target &= 0xFFFF_FFFFL;
        stack &= 0xFFFF_FFFFL;
      } else if (!Cpu.canonical(target) || !Cpu.canonical(stack)) {
        throw c.generalProtection(0);
      }
      int code = wide ? selector + 32 : selector + 16;
      leave(c, code, code + 8, wide ? CODE64 : CODE32);
      c.r[Cpu.RSP] = stack;
      c.rip = target;
      c.modeChanged();
    }

    @Override
    Flow flow() {
      return Flow.BRANCH;
    }
  }

  /// SWAPGS; 64-bit mode only.
  static final class SwapGs extends Operation {
    @Override
    int readsOnly() {
      return 0;
    }

    @Override
    void execute(Cpu c) {
      if (c.cpl != 0) {
        throw c.generalProtection(0);
      }
      long base = c.segmentBase[Cpu.GS];
      c.segmentBase[Cpu.GS] = c.msrs.kernelGsBase;
      c.msrs.kernelGsBase = base;
    }
  }

  /// RDFSBASE, RDGSBASE; 64-bit mode only.
  static final class ReadBase extends Operation {
    private final int segment;
    private final int register;
    private final boolean wide;

    ReadBase(int segment, int register, boolean wide) {
      this.segment = segment;
      this.register = register;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      if ((c.cr4 & Cpu.CR4_FSGSBASE) == 0) {
        throw c.invalidOpcode();
      }
      long base = c.segmentBase[segment];
      c.r[register] = wide ? base : base & 0xFFFF_FFFFL;
    }
  }

  /// WRFSBASE, WRGSBASE; 64-bit mode only.
  static final class WriteBase extends Operation {
    private final int segment;
    private final int register;
    private final boolean wide;

    WriteBase(int segment, int register, boolean wide) {
      this.segment = segment;
      this.register = register;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      if ((c.cr4 & Cpu.CR4_FSGSBASE) == 0) {
        throw c.invalidOpcode();
      }
      long base = wide ? c.r[register] : c.r[register] & 0xFFFF_FFFFL;
      if (!Cpu.canonical(base)) {
        throw c.generalProtection(0);
      }
      c.segmentBase[segment] = base;
    }
  }
}
