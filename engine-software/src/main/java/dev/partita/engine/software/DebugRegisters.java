package dev.partita.engine.software;

/// MOV to and from DR0 to DR7. Intel SDM volume 3, 18.2. Instruction breakpoints are acted upon
/// (see {@link EventDelivery}); data and I/O breakpoints are stored and have no effect.
final class DebugRegisters {
  static final long DR6_FIXED = 0xFFFF_0FF0L;
  private static final long DR6_WRITABLE = 0xE00F;
  static final long DR7_FIXED = 1 << 10;
  private static final long DR7_WRITABLE = 0xFFFF_23FFL;
  private static final long DR7_GD = 1 << 13;

  private DebugRegisters() {}

  /// The index after aliasing: DR4 and DR5 are DR6 and DR7 unless CR4.DE is set.
  private static int resolve(Cpu c, int register) {
    if (register == 4 || register == 5) {
      if ((c.cr4 & Cpu.CR4_DE) != 0) {
        throw c.invalidOpcode();
      }
      register += 2;
    }
    if (c.cpl != 0) {
      throw c.generalProtection(0);
    }
    if ((c.debug[7] & DR7_GD) != 0) {
      throw EventDelivery.generalDetect(c);
    }
    return register;
  }

  /// Puts a value into DR6 with its fixed bits.
  static long dr6(long value) {
    return value & DR6_WRITABLE | DR6_FIXED;
  }

  static long dr7(long value) {
    return value & DR7_WRITABLE | DR7_FIXED;
  }

  /// MOV r, DRn.
  static final class MoveFrom extends Operation {
    private final int debug;
    private final int register;
    private final boolean wide;

    MoveFrom(int debug, int register, boolean wide) {
      this.debug = debug;
      this.register = register;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      long value = c.debug[resolve(c, debug)];
      c.r[register] = wide ? value : value & 0xFFFF_FFFFL;
    }
  }

  /// MOV DRn, r.
  static final class MoveTo extends Operation {
    private final int debug;
    private final int register;
    private final boolean wide;

    MoveTo(int debug, int register, boolean wide) {
      this.debug = debug;
      this.register = register;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      int index = resolve(c, debug);
      long value = wide ? c.r[register] : c.r[register] & 0xFFFF_FFFFL;
      if (index >= 6) {
        if (value >>> 32 != 0) {
          throw c.generalProtection(0);
        }
        value = index == 6 ? dr6(value) : dr7(value);
      }
      c.debug[index] = value;
      if (EventDelivery.breakpointsArmed(c)) {
        c.owner.stepRequested();
      }
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }
}
