package dev.partita.hypervisor;

import java.util.List;
import org.jspecify.annotations.Nullable;

/// All architectural state of one x86-64 virtual processor, in no engine's own terms. Immutable by
/// convention: arrays are the record's own and are not changed after it is made.
///
/// @param general RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15
/// @param rip instruction pointer
/// @param rflags flags register
/// @param es segment registers with their hidden parts
/// @param gdtr global descriptor table register
/// @param idtr interrupt descriptor table register
/// @param cr0 control registers; CR8 is the local APIC's
/// @param efer IA32_EFER
/// @param xcr0 extended control register 0
/// @param debug DR0, DR1, DR2, DR3, DR6, DR7
/// @param xsave x87, SSE and AVX state in the standard (non-compacted) XSAVE format, at least
/// {@link
///     #XSAVE_SIZE} bytes; XSTATE_BV tells what is not in its initial state
/// @param msrs model-specific registers by number, ascending, those with a field of their own left
/// out
/// @param tsc the time stamp counter when the state was taken. Processors are in step with each
///     other but for IA32_TSC_ADJUST: when it is loaded, a value less than a second from what the
///     partition's counter has already is taken for the same counter, and changes nothing
/// @param events pending events and shadows
/// @param localApic the local APIC, if the engine or its bus has one
public record ProcessorState(
    long[] general,
    long rip,
    long rflags,
    Segment es,
    Segment cs,
    Segment ss,
    Segment ds,
    Segment fs,
    Segment gs,
    Segment ldtr,
    Segment tr,
    Table gdtr,
    Table idtr,
    long cr0,
    long cr2,
    long cr3,
    long cr4,
    long efer,
    long xcr0,
    long[] debug,
    byte[] xsave,
    List<Msr> msrs,
    long tsc,
    Events events,
    @Nullable LocalApicState localApic) {

  /// Bytes of the XSAVE area: legacy region 512, header 64, AVX 256.
  public static final int XSAVE_SIZE = 832;

  /// Index of a register in {@link #general()}.
  public static final int RAX = 0;

  public static final int RCX = 1;
  public static final int RDX = 2;
  public static final int RBX = 3;
  public static final int RSP = 4;
  public static final int RBP = 5;
  public static final int RSI = 6;
  public static final int RDI = 7;

  public ProcessorState {
    if (general.length != 16) {
      throw new IllegalArgumentException(general.length + " general registers, not 16");
    }
    if (debug.length != 6) {
      throw new IllegalArgumentException(debug.length + " debug registers, not 6");
    }
    if (xsave.length < XSAVE_SIZE) {
      throw new IllegalArgumentException("XSAVE area of " + xsave.length + " bytes is too small");
    }
    msrs = List.copyOf(msrs);
  }

  /// A segment register with its hidden part.
  ///
  /// @param selector 0 to 0xFFFF
  /// @param base linear base address
  /// @param limit last valid offset, in bytes (granularity already applied)
  /// @param attributes as in the descriptor's second word shifted right by 8: type 3:0, S 4, DPL
  /// 6:5, P
  ///     7, AVL 12, L 13, D/B 14, G 15; {@link #UNUSABLE} when null
  public record Segment(int selector, long base, int limit, int attributes) {
    /// Attribute bit of a register that holds a null selector; same place as VMX's.
    public static final int UNUSABLE = 1 << 16;
  }

  /// A descriptor table register.
  ///
  /// @param base linear address
  /// @param limit last valid offset, 0 to 0xFFFF
  public record Table(long base, int limit) {}

  /// One model-specific register.
  public record Msr(int index, long value) {}

  /// Whether the processor runs or waits.
  public enum Activity {
    RUNNING,
    HALTED,
    /// An application processor before INIT and SIPI.
    WAIT_FOR_SIPI,
    SHUTDOWN
  }

  /// Pending events and interrupt shadows.
  ///
  /// @param activity running or waiting
  /// @param pendingException vector of an exception that is to be delivered before the next
  /// instruction,
  ///     or -1
  /// @param pendingErrorCode its error code, or -1 when it has none
  /// @param pendingInterrupt vector taken from the APIC and not yet delivered, or -1
  /// @param nmiPending an NMI waits
  /// @param nmiMasked an NMI handler runs (until IRET)
  /// @param interruptShadow one instruction after STI or MOV SS is not interrupted
  public record Events(
      Activity activity,
      int pendingException,
      int pendingErrorCode,
      int pendingInterrupt,
      boolean nmiPending,
      boolean nmiMasked,
      boolean interruptShadow) {
    /// Running, with nothing pending.
    public static final Events NONE = new Events(Activity.RUNNING, -1, -1, -1, false, false, false);
  }
}
