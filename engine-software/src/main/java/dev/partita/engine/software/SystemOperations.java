package dev.partita.engine.software;

/// Small instructions of the system: MSRs, counters, caches, translations, CLAC and STAC.
final class SystemOperations {
  private SystemOperations() {}

  private static void requireSupervisor(Cpu c) {
    if (c.cpl != 0) {
      throw c.generalProtection(0);
    }
  }

  /// RDMSR.
  static final class ReadMsr extends Operation {
    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      long value = c.msrs.read(c, c.get32(Cpu.RCX));
      c.set32(Cpu.RAX, (int) value);
      c.set32(Cpu.RDX, (int) (value >>> 32));
    }
  }

  /// WRMSR.
  static final class WriteMsr extends Operation {
    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      long value = c.r[Cpu.RDX] << 32 | c.r[Cpu.RAX] & 0xFFFF_FFFFL;
      c.msrs.write(c, c.get32(Cpu.RCX), value);
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }

  /// RDTSC, RDTSCP.
  static final class ReadTimeStampCounter extends Operation {
    private final boolean withProcessor;

    ReadTimeStampCounter(boolean withProcessor) {
      this.withProcessor = withProcessor;
    }

    @Override
    void execute(Cpu c) {
      if (c.cpl != 0 && (c.cr4 & Cpu.CR4_TSD) != 0) {
        throw c.generalProtection(0);
      }
      long value = c.owner.tsc().read();
      c.set32(Cpu.RAX, (int) value);
      c.set32(Cpu.RDX, (int) (value >>> 32));
      if (withProcessor) {
        c.set32(Cpu.RCX, (int) c.msrs.tscAux);
      }
    }
  }

  /// RDPMC: there are no counters, so every number is wrong.
  static final class ReadPerformanceCounter extends Operation {
    @Override
    void execute(Cpu c) {
      throw c.generalProtection(0);
    }
  }

  /// INVD, WBINVD: memory is always coherent here.
  static final class InvalidateCaches extends Operation {
    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
    }
  }

  /// INVLPG.
  static final class InvalidatePage extends Operation {
    private final MemoryOperand memory;

    InvalidatePage(MemoryOperand memory) {
      this.memory = memory;
    }

    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      long address = memory.offset(c) + c.segmentBase[memory.segment] & memory.linearMask();
      c.mmu.flushPage(address);
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }

  /// INVPCID. Intel SDM volume 2, "INVPCID".
  static final class InvalidateContext extends Operation {
    private final int register;
    private final MemoryOperand memory;
    private final boolean wide;

    InvalidateContext(int register, MemoryOperand memory, boolean wide) {
      this.register = register;
      this.memory = memory;
      this.wide = wide;
    }

    @Override
    void execute(Cpu c) {
      requireSupervisor(c);
      long type = wide ? c.r[register] : c.r[register] & 0xFFFF_FFFFL;
      long at = memory.readAddress(c, 16);
      long context = c.load64(at);
      long address = c.load64(at + 8 & memory.linearMask());
      boolean badContext =
          context >>> 12 != 0 || ((c.cr4 & Cpu.CR4_PCIDE) == 0 && type < 2 && context != 0);
      if (Long.compareUnsigned(type, 3) > 0
          || badContext
          || (type == 0 && !Cpu.canonical(address))) {
        throw c.generalProtection(0);
      }
      // Translations are not kept by context: more may go than was asked, never less.
      switch ((int) type) {
        case 0 -> c.mmu.flushPage(address);
        case 2 -> c.mmu.flush();
        default -> c.mmu.flushNonGlobal();
      }
    }

    @Override
    Flow flow() {
      return Flow.END;
    }
  }

  /// CLAC, STAC.
  static final class SetAccessCheck extends Operation {
    private final boolean on;

    SetAccessCheck(boolean on) {
      this.on = on;
    }

    @Override
    void execute(Cpu c) {
      if (c.cpl != 0 || (c.supportedCr4 & Cpu.CR4_SMAP) == 0) {
        throw c.invalidOpcode();
      }
      if (on) {
        c.systemFlags |= Cpu.AC;
      } else {
        c.systemFlags &= ~Cpu.AC;
      }
      c.mmu.select();
    }
  }
}
