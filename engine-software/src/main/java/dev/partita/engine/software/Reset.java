package dev.partita.engine.software;

import java.util.Arrays;

/// State after power-up, INIT and SIPI: Intel SDM volume 3, table 10-1 ("IA-32 and Intel 64
/// Processor States Following Power-up, Reset, or INIT") and 9.4.
final class Reset {
  private static final long CR0_AFTER_RESET = Cpu.CR0_CD | Cpu.CR0_NW | Cpu.CR0_ET;

  private Reset() {}

  /// @param init an INIT, which keeps what a power-up does not: floating-point and vector
  ///     registers, most MSRs, and the cache control bits of CR0
  static void reset(Cpu c, boolean init) {
    Arrays.fill(c.r, 0, 16, 0);
    // The processor's signature.
    c.r[Cpu.RDX] = CpuidInstruction.feature(c, 1, 0, CpuidInstruction.EAX) & 0xFFFF_FFFFL;
    c.setArithmeticFlags(0);
    c.systemFlags = 0;
    for (int segment = 0; segment < 6; segment++) {
      setSegment(c, segment, 0, 0);
    }
    setSegment(c, Cpu.CS, 0xF000, 0xFFFF_0000L);
    c.rip = 0xFFF0;
    c.ldtrSelector = 0;
    c.ldtrBase = 0;
    c.ldtrLimit = 0xFFFF;
    c.ldtrAttributes = Descriptor.PRESENT | Descriptor.LDT;
    c.trSelector = 0;
    c.trBase = 0;
    c.trLimit = 0xFFFF;
    c.trAttributes = Descriptor.PRESENT | Descriptor.TSS_BUSY;
    c.gdtrBase = 0;
    c.gdtrLimit = 0xFFFF;
    c.idtrBase = 0;
    c.idtrLimit = 0xFFFF;
    long cache = init ? c.cr0 & (Cpu.CR0_CD | Cpu.CR0_NW) : CR0_AFTER_RESET;
    c.cr0 = Cpu.CR0_ET | cache;
    c.cr2 = 0;
    c.cr3 = 0;
    c.cr4 = 0;
    c.efer = 0;
    Arrays.fill(c.debug, 0);
    c.debug[6] = DebugRegisters.DR6_FIXED;
    c.debug[7] = DebugRegisters.DR7_FIXED;
    c.cpl = 0;
    c.interruptShadow = false;
    c.debugShadow = false;
    c.trapPending = false;
    c.halted = false;
    c.nmiMasked = false;
    c.pendingException = -1;
    c.pendingInterrupt = -1;
    if (!init) {
      Arrays.fill(c.xmm, 0);
      c.mxcsr = 0x1F80;
      c.xcr0 = 1;
      c.x87.reset();
      // After a power-up FCW is 0x40, unlike after FNINIT.
      c.x87.setControl(0x40);
      c.msrs.reset();
    }
    c.apic.reset();
    c.modeChanged();
    c.mmu.flush();
  }

  private static void setSegment(Cpu c, int segment, int selector, long base) {
    c.segmentSelector[segment] = selector;
    c.segmentBase[segment] = base;
    c.segmentLimit[segment] = 0xFFFF;
    c.segmentAttributes[segment] = Segments.REAL_ATTRIBUTES;
  }

  /// A start-up IPI after INIT.
  ///
  /// @param vector page number of the real-mode entry point
  static void startup(Cpu c, int vector) {
    c.segmentSelector[Cpu.CS] = vector << 8;
    c.segmentBase[Cpu.CS] = (long) vector << 12;
    c.rip = 0;
    c.modeChanged();
  }
}
