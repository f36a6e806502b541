package dev.partita.engine.software;

import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Activity;
import dev.partita.hypervisor.ProcessorState.Segment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// Between a processor and its engine-neutral saved state.
final class StateTransfer {
  // The XSAVE area, standard format: Intel SDM volume 1, 13.4.
  private static final int MXCSR = 24;
  private static final int MXCSR_MASK = 28;
  private static final int XMM = 160;
  private static final int XSTATE_BV = 512;
  private static final int YMM_HIGH = 576;
  private static final int LEGACY_SIZE = 512;

  /// XSTATE_BV: x87, SSE, AVX.
  private static final long X87_COMPONENT = 1;

  private static final long SSE_COMPONENT = 2;
  private static final long AVX_COMPONENT = 4;

  private StateTransfer() {}

  // ---- Save
  // -----------------------------------------------------------------------------------------

  static ProcessorState save(Cpu c, boolean waitForStartup) {
    var general = new long[16];
    System.arraycopy(c.r, 0, general, 0, 16);
    var debug = new long[] {c.debug[0], c.debug[1], c.debug[2], c.debug[3], c.debug[6], c.debug[7]};
    int exception = c.pendingException;
    if (c.trapPending) {
      exception = GuestFault.DEBUG;
      debug[4] |= EventDelivery.DR6_BS;
    }
    var activity =
        waitForStartup ? Activity.WAIT_FOR_SIPI : c.halted ? Activity.HALTED : Activity.RUNNING;
    var events =
        new ProcessorState.Events(
            activity,
            exception,
            c.pendingErrorCode,
            c.pendingInterrupt,
            c.owner.nmiPending(),
            c.nmiMasked,
            c.interruptShadow);
    return new ProcessorState(
        general,
        c.rip,
        c.flags(),
        segment(c, Cpu.ES),
        segment(c, Cpu.CS),
        segment(c, Cpu.SS),
        segment(c, Cpu.DS),
        segment(c, Cpu.FS),
        segment(c, Cpu.GS),
        new Segment(c.ldtrSelector, c.ldtrBase, c.ldtrLimit, c.ldtrAttributes),
        new Segment(c.trSelector, c.trBase, c.trLimit, c.trAttributes),
        new ProcessorState.Table(c.gdtrBase, c.gdtrLimit),
        new ProcessorState.Table(c.idtrBase, c.idtrLimit),
        c.cr0,
        c.cr2,
        c.cr3,
        c.cr4,
        c.efer,
        c.xcr0,
        debug,
        saveVectors(c),
        c.msrs.save(c),
        c.owner.tsc().read(),
        events,
        c.apic.state());
  }

  private static Segment segment(Cpu c, int segment) {
    int attributes = c.segmentAttributes[segment];
    if (segment == Cpu.SS) {
      // The privilege level is SS.DPL, whatever SYSRET or a null selector left there.
      attributes = attributes & ~(3 << 5) | c.cpl << 5;
    }
    return new Segment(
        c.segmentSelector[segment], c.segmentBase[segment], c.segmentLimit[segment], attributes);
  }

  private static byte[] saveVectors(Cpu c) {
    var area = new byte[ProcessorState.XSAVE_SIZE];
    c.x87.storeFxImage(area);
    var buffer = ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(MXCSR, c.mxcsr);
    buffer.putInt(MXCSR_MASK, 0xFFFF);
    for (int i = 0; i < 16; i++) {
      buffer.putLong(XMM + 16 * i, c.xmm[4 * i]);
      buffer.putLong(XMM + 16 * i + 8, c.xmm[4 * i + 1]);
      buffer.putLong(YMM_HIGH + 16 * i, c.xmm[4 * i + 2]);
      buffer.putLong(YMM_HIGH + 16 * i + 8, c.xmm[4 * i + 3]);
    }
    long components = X87_COMPONENT | SSE_COMPONENT;
    // XCR0 may have been narrowed with the registers in use: they stay.
    if ((c.xcr0 & AVX_COMPONENT) != 0 || StateImageInstructions.inUse(c, AVX_COMPONENT) != 0) {
      components |= AVX_COMPONENT;
    }
    buffer.putLong(XSTATE_BV, components);
    return area;
  }

  // ---- Load
  // -----------------------------------------------------------------------------------------

  static void load(Cpu c, ProcessorState state) {
    check(c, state);
    System.arraycopy(state.general(), 0, c.r, 0, 16);
    c.rip = state.rip();
    load(c, Cpu.ES, state.es());
    load(c, Cpu.CS, state.cs());
    load(c, Cpu.SS, state.ss());
    load(c, Cpu.DS, state.ds());
    load(c, Cpu.FS, state.fs());
    load(c, Cpu.GS, state.gs());
    c.ldtrSelector = state.ldtr().selector() & 0xFFFF;
    c.ldtrBase = state.ldtr().base();
    c.ldtrLimit = state.ldtr().limit();
    c.ldtrAttributes = state.ldtr().attributes();
    c.trSelector = state.tr().selector() & 0xFFFF;
    c.trBase = state.tr().base();
    c.trLimit = state.tr().limit();
    c.trAttributes = state.tr().attributes();
    c.gdtrBase = state.gdtr().base();
    c.gdtrLimit = state.gdtr().limit() & 0xFFFF;
    c.idtrBase = state.idtr().base();
    c.idtrLimit = state.idtr().limit() & 0xFFFF;
    c.cr0 = state.cr0() | Cpu.CR0_ET;
    c.cr2 = state.cr2();
    c.cr3 = state.cr3();
    c.cr4 = state.cr4();
    c.efer = state.efer();
    c.xcr0 = state.xcr0();
    System.arraycopy(state.debug(), 0, c.debug, 0, 4);
    c.debug[6] = DebugRegisters.dr6(state.debug()[4]);
    c.debug[7] = DebugRegisters.dr7(state.debug()[5]);
    if (!c.protectedMode()) {
      c.cpl = 0;
    } else if ((state.rflags() & Cpu.VM) != 0) {
      c.cpl = 3;
    } else {
      c.cpl = Descriptor.dpl(state.ss().attributes());
    }
    loadVectors(c, state.xsave());
    // Before the APIC, whose deadline is in its terms.
    c.owner.tsc().restore(state.tsc(), ModelSpecificRegisters.savedTscAdjust(state.msrs()));
    if (state.localApic() != null) {
      c.apic.setState(state.localApic());
    }
    for (var msr : state.msrs()) {
      loadMsr(c, msr);
    }
    var events = state.events();
    c.halted = events.activity() == Activity.HALTED;
    c.nmiMasked = events.nmiMasked();
    c.pendingException = events.pendingException();
    c.pendingErrorCode = events.pendingErrorCode();
    c.pendingInterrupt = events.pendingInterrupt();
    c.debugShadow = false;
    c.trapPending = false;
    c.stepTrapCancelled = false;
    c.interruptShadow = false;
    c.owner.clearNmi();
    if (events.nmiPending()) {
      c.owner.requestNmi();
    }
    if (events.interruptShadow()) {
      c.owner.beginInterruptShadow();
    }
    c.setFlags(state.rflags());
    c.modeChanged();
    c.mmu.flush();
    if (EventDelivery.breakpointsArmed(c)) {
      c.owner.stepRequested();
    }
  }

  private static void load(Cpu c, int segment, Segment from) {
    c.segmentSelector[segment] = from.selector() & 0xFFFF;
    c.segmentBase[segment] = from.base();
    c.segmentLimit[segment] = from.limit();
    c.segmentAttributes[segment] = from.attributes();
  }

  private static void loadMsr(Cpu c, ProcessorState.Msr msr) {
    if (!ModelSpecificRegisters.isSaved(msr.index())) {
      return;
    }
    try {
      c.msrs.write(c, msr.index(), msr.value());
    } catch (GuestFault e) {
      throw new IllegalArgumentException(
          "MSR 0x%x cannot hold 0x%x".formatted(msr.index(), msr.value()), e);
    }
  }

  private static void loadVectors(Cpu c, byte[] area) {
    var buffer = ByteBuffer.wrap(area).order(ByteOrder.LITTLE_ENDIAN);
    long components = buffer.getLong(XSTATE_BV);
    if ((components & X87_COMPONENT) != 0) {
      var legacy = new byte[LEGACY_SIZE];
      System.arraycopy(area, 0, legacy, 0, LEGACY_SIZE);
      c.x87.loadFxImage(legacy);
    } else {
      c.x87.reset();
    }
    boolean sse = (components & SSE_COMPONENT) != 0;
    boolean avx = (components & AVX_COMPONENT) != 0;
    c.mxcsr = (components & (SSE_COMPONENT | AVX_COMPONENT)) != 0 ? buffer.getInt(MXCSR) : 0x1F80;
    for (int i = 0; i < 16; i++) {
      c.xmm[4 * i] = sse ? buffer.getLong(XMM + 16 * i) : 0;
      c.xmm[4 * i + 1] = sse ? buffer.getLong(XMM + 16 * i + 8) : 0;
      c.xmm[4 * i + 2] = avx ? buffer.getLong(YMM_HIGH + 16 * i) : 0;
      c.xmm[4 * i + 3] = avx ? buffer.getLong(YMM_HIGH + 16 * i + 8) : 0;
    }
  }

  /// Refuses what no processor can be in, so that nothing later trips over it.
  private static void check(Cpu c, ProcessorState state) {
    long cr0 = state.cr0();
    boolean paging = (cr0 & Cpu.CR0_PG) != 0;
    boolean longMode = (state.efer() & Cpu.EFER_LMA) != 0;
    require(!paging || (cr0 & Cpu.CR0_PE) != 0, "CR0 has paging without protection");
    require(
        longMode == (paging && (state.efer() & Cpu.EFER_LME) != 0),
        "EFER.LMA does not follow from EFER.LME and CR0.PG");
    require(!longMode || (state.cr4() & Cpu.CR4_PAE) != 0, "long mode without CR4.PAE");
    require((state.cr4() & ~c.supportedCr4) == 0, "CR4 has bits that this processor does not have");
    require(
        (state.efer() & ~ModelSpecificRegisters.EFER_DEFINED) == 0,
        "EFER has bits that this processor does not have");
    var events = state.events();
    require(events.pendingException() < 32, "an exception's vector over 31");
    require(events.pendingInterrupt() < 256, "an interrupt's vector over 255");
    require(state.cr3() >>> Mmu.PHYSICAL_BITS == 0, "CR3 is beyond physical memory");
    require((state.xcr0() & 1) != 0, "XCR0 without x87");
    require((state.xcr0() & ~SupportedCpuid.XCR0) == 0, "XCR0 enables unknown state");
    require((state.xcr0() & Cpu.XCR0_AVX) != 4, "XCR0 enables AVX without SSE");
    require(
        (ByteBuffer.wrap(state.xsave()).order(ByteOrder.LITTLE_ENDIAN).getInt(MXCSR) & 0xFFFF_0000)
            == 0,
        "MXCSR has reserved bits set");
    require(
        (state.rflags() & Cpu.VM) == 0 || (!longMode && (cr0 & Cpu.CR0_PE) != 0),
        "virtual-8086 mode outside protected mode");
  }

  private static void require(boolean possible, String otherwise) {
    if (!possible) {
      throw new IllegalArgumentException("impossible processor state: " + otherwise);
    }
  }
}
