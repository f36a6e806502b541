package dev.partita.chipset.boot;

import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Activity;
import dev.partita.hypervisor.ProcessorState.Events;
import dev.partita.hypervisor.ProcessorState.Msr;
import dev.partita.hypervisor.ProcessorState.Segment;
import dev.partita.hypervisor.ProcessorState.Table;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/// States a processor begins in. The local APIC and all model-specific registers but the memory
/// types are left as the engine made them.
public final class InitialState {
  private InitialState() {}

  static final long CR0_PE = 1;
  static final long CR0_ET = 1 << 4;
  static final long CR0_NE = 1 << 5;
  static final long CR0_WP = 1 << 16;
  static final long CR0_NW = 1 << 29;
  static final long CR0_CD = 1 << 30;
  static final long CR0_PG = 1L << 31;
  static final long CR4_PAE = 1 << 5;
  static final long EFER_LME = 1 << 8;
  static final long EFER_LMA = 1 << 10;

  /// Bit 1 of RFLAGS is always set.
  static final long RFLAGS_FIXED = 2;

  // Attributes of segment registers: see ProcessorState.Segment.
  static final int CODE_16 = 0x9B;
  static final int DATA_16 = 0x93;
  static final int CODE_32 = 0xC09B;
  static final int CODE_64 = 0xA09B;
  static final int DATA_32 = 0xC093;
  static final int LDT = 0x82;
  static final int TSS_BUSY = 0x8B;

  private static final long DR6_RESET = 0xFFFF_0FF0L;
  private static final long DR7_RESET = 0x400;

  /// Control word after FINIT, which operating systems expect from a boot loader.
  static final int FCW_INITIAL = 0x37F;

  /// Control word after power-up: all exceptions unmasked.
  private static final int FCW_RESET = 0x40;

  /// The abridged tag word when no register is empty.
  private static final int TAGS_FULL = 0xFF;

  private static final int MXCSR = 0x1F80;

  /// What firmware does on every processor before it starts a system: IA32_MTRR_DEF_TYPE says
  /// write-back (6), MTRRs enabled (bit 11). Without, Linux believes that caches are off, and uses
  /// no page attribute table either. Devices' pages the system maps as uncacheable itself.
  private static final List<Msr> FIRMWARE_MEMORY_TYPES = List.of(new Msr(0x2FF, 0x806));

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /// A boot processor after power-up or reset, about to fetch from the reset vector (Intel SDM
  /// volume 3, table "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT").
  ///
  /// @param signature CPUID leaf 1's EAX, which the processor gives in EDX
  public static ProcessorState reset(int signature) {
    return reset(signature, Events.NONE, List.of());
  }

  /// An application processor that firmware has left waiting for a start-up IPI.
  ///
  /// @param signature CPUID leaf 1's EAX, which the processor gives in EDX
  public static ProcessorState waitForStartup(int signature) {
    return reset(
        signature,
        new Events(Activity.WAIT_FOR_SIPI, -1, -1, -1, false, false, false),
        FIRMWARE_MEMORY_TYPES);
  }

  private static ProcessorState reset(int signature, Events events, List<Msr> msrs) {
    var general = new long[16];
    general[ProcessorState.RDX] = signature & 0xFFFF_FFFFL;
    var data = new Segment(0, 0, 0xFFFF, DATA_16);
    return new ProcessorState(
        general,
        0xFFF0,
        RFLAGS_FIXED,
        data,
        new Segment(0xF000, 0xFFFF_0000L, 0xFFFF, CODE_16),
        data,
        data,
        data,
        data,
        new Segment(0, 0, 0xFFFF, LDT),
        new Segment(0, 0, 0xFFFF, TSS_BUSY),
        new Table(0, 0xFFFF),
        new Table(0, 0xFFFF),
        CR0_CD | CR0_NW | CR0_ET,
        0,
        0,
        0,
        0,
        1,
        new long[] {0, 0, 0, 0, DR6_RESET, DR7_RESET},
        xsave(FCW_RESET, TAGS_FULL),
        msrs,
        0,
        events,
        null);
  }

  /// The state in which a boot loader jumps to 64-bit code: long mode, flat segments, interrupts
  /// off.
  ///
  /// @param cr3 address of the page tables
  /// @param gdtr the table that holds the two selectors
  static ProcessorState longMode(
      long rip, long rsp, long rsi, long cr3, Table gdtr, int code, int data) {
    var general = new long[16];
    general[ProcessorState.RSP] = rsp;
    general[ProcessorState.RSI] = rsi;
    return flat(
        general,
        rip,
        new Segment(code, 0, -1, CODE_64),
        new Segment(data, 0, -1, DATA_32),
        gdtr,
        CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG,
        cr3,
        CR4_PAE,
        EFER_LME | EFER_LMA);
  }

  /// The state in which a boot loader jumps to 32-bit code: protected mode without paging, flat
  /// segments, interrupts off.
  static ProcessorState protectedMode(long rip, long rbx, Table gdtr, int code, int data) {
    var general = new long[16];
    general[ProcessorState.RBX] = rbx;
    return flat(
        general,
        rip,
        new Segment(code, 0, -1, CODE_32),
        new Segment(data, 0, -1, DATA_32),
        gdtr,
        CR0_PE | CR0_ET,
        0,
        0,
        0);
  }

  private static ProcessorState flat(
      long[] general,
      long rip,
      Segment code,
      Segment data,
      Table gdtr,
      long cr0,
      long cr3,
      long cr4,
      long efer) {
    return new ProcessorState(
        general,
        rip,
        RFLAGS_FIXED,
        data,
        code,
        data,
        data,
        data,
        data,
        new Segment(0, 0, 0xFFFF, LDT),
        new Segment(0, 0, 0x67, TSS_BUSY),
        gdtr,
        new Table(0, 0),
        cr0,
        0,
        cr3,
        cr4,
        efer,
        1,
        new long[] {0, 0, 0, 0, DR6_RESET, DR7_RESET},
        xsave(FCW_INITIAL, 0),
        FIRMWARE_MEMORY_TYPES,
        0,
        Events.NONE,
        null);
  }

  /// An XSAVE area with these x87 values; all registers are zero. XSTATE_BV says that x87 and SSE
  /// are in it.
  ///
  /// @param tags the abridged tag word: a bit for each register that is not empty
  private static byte[] xsave(int fcw, int tags) {
    var area = new byte[ProcessorState.XSAVE_SIZE];
    var view = MemorySegment.ofArray(area);
    view.set(SHORT, 0, (short) fcw);
    view.set(ValueLayout.JAVA_BYTE, 4, (byte) tags);
    view.set(INT, 24, MXCSR);
    view.set(LONG, 512, 3);
    return area;
  }
}
