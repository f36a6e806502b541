package dev.partita.enlightenment;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.CpuidTable.Leaf;
import java.util.List;

/// The CPUID leaves of the hypervisor (TLFS, "Feature and Interface Discovery"). A privilege or
/// feature bit is set only if it is implemented.
final class HypervisorLeaves {
  static final int FEATURES = 0x4000_0003;

  // 0x40000003 EAX: the low half of HV_PARTITION_PRIVILEGE_MASK.
  static final int ACCESS_PARTITION_REFERENCE_COUNTER = 1 << 1;
  static final int ACCESS_SYNIC_REGS = 1 << 2;
  static final int ACCESS_SYNTHETIC_TIMER_REGS = 1 << 3;
  static final int ACCESS_HYPERCALL_MSRS = 1 << 5;
  static final int ACCESS_VP_INDEX = 1 << 6;
  static final int ACCESS_PARTITION_REFERENCE_TSC = 1 << 9;
  static final int ACCESS_FREQUENCY_MSRS = 1 << 11;

  /// AccessTscInvariantControls; not in the TLFS's table, but on Hyper-V since Windows Server 2022
  /// and in Linux, `asm/hyperv-tlfs.h`.
  static final int ACCESS_TSC_INVARIANT_CONTROLS = 1 << 15;

  // 0x40000003 EBX: the high half.
  static final int POST_MESSAGES = 1 << 4;
  static final int SIGNAL_EVENTS = 1 << 5;

  // 0x40000003 EDX.
  static final int FREQUENCY_MSRS_AVAILABLE = 1 << 8;
  static final int GUEST_CRASH_MSRS_AVAILABLE = 1 << 10;
  static final int HYPERCALL_MSR_LOCK_AVAILABLE = 1 << 18;

  static final int DIRECT_SYNTHETIC_TIMERS = 1 << 19;

  /// 0x40000004 EAX: a guest should not watch for late interrupts, for its processors may pause.
  private static final int RELAXED_TIMING = 1 << 5;

  /// 0x40000004 EAX: a guest should end its synthetic interrupts itself. Local APICs of hardware
  /// cannot do it for them.
  private static final int DEPRECATING_AUTO_EOI = 1 << 9;

  private static final int NEVER_NOTIFY_LONG_SPIN_WAIT = -1;

  // 0x40000002: the version of Windows whose interface this follows. Linux takes invariant TSC only
  // from builds from 22621 on (arch/x86/kernel/cpu/mshyperv.c).
  private static final int BUILD = 26100;
  private static final int MAJOR = 10;
  private static final int MINOR = 0;

  private static final int HYPERVISOR_PRESENT = 1 << 31;
  private static final int INVARIANT_TSC = 1 << 8;

  /// The properties of the virtualization stack, which Hyper-V's worker process answers and not the
  /// hypervisor: not in the TLFS, but in Linux (`hvgdk_mini.h`) and OpenVMM (`hvdef`). Linux
  /// from 6.19 on reads it whatever the highest leaf is. Bit 3 stands for a confidential VMBus,
  /// bit 2 for interrupt messages with 15 bits of destination: neither is here.
  private static final int STACK_PROPERTIES = 0x4000_0082;

  /// 0x40000082 EAX: the partition may be brought up on another machine.
  private static final int PORTABLE = 1;

  private HypervisorLeaves() {}

  /// The leaves to add to a table or to replace in it.
  ///
  /// @param base the processor's own leaves, 1 among them
  /// @param processorCount virtual processors of the partition
  static List<Leaf> of(CpuidTable base, int processorCount) {
    var one = base.find(1, 0);
    if (one == null) {
      throw new IllegalArgumentException("the CPUID table has no leaf 1");
    }
    var power = base.find(0x8000_0007, 0);
    boolean invariantTsc = power != null && (power.edx() & INVARIANT_TSC) != 0;
    var addressSizes = base.find(0x8000_0008, 0);
    int physicalBits = addressSizes == null ? 0 : addressSizes.eax() & 0x7F;
    int privileges =
        ACCESS_PARTITION_REFERENCE_COUNTER
            | ACCESS_SYNIC_REGS
            | ACCESS_SYNTHETIC_TIMER_REGS
            | ACCESS_HYPERCALL_MSRS
            | ACCESS_VP_INDEX
            | ACCESS_PARTITION_REFERENCE_TSC
            | ACCESS_FREQUENCY_MSRS
            | (invariantTsc ? ACCESS_TSC_INVARIANT_CONTROLS : 0);
    return List.of(
        new Leaf(
            one.function(),
            one.subleaf(),
            one.eax(),
            one.ebx(),
            one.ecx() | HYPERVISOR_PRESENT,
            one.edx()),
        // The highest leaf, and "Microsoft Hv".
        leaf(0x4000_0000, 0x4000_0006, 0x7263_694D, 0x666F_736F, 0x7648_2074),
        // "Hv#1".
        leaf(0x4000_0001, 0x3123_7648, 0, 0, 0),
        leaf(0x4000_0002, BUILD, MAJOR << 16 | MINOR, 0, 0),
        leaf(
            FEATURES,
            privileges,
            POST_MESSAGES | SIGNAL_EVENTS,
            0,
            FREQUENCY_MSRS_AVAILABLE
                | GUEST_CRASH_MSRS_AVAILABLE
                | HYPERCALL_MSR_LOCK_AVAILABLE
                | DIRECT_SYNTHETIC_TIMERS),
        leaf(
            0x4000_0004,
            RELAXED_TIMING | DEPRECATING_AUTO_EOI,
            NEVER_NOTIFY_LONG_SPIN_WAIT,
            physicalBits,
            0),
        leaf(0x4000_0005, processorCount, processorCount, 0, 0),
        // No hardware feature is in use that a guest should know of.
        leaf(0x4000_0006, 0, 0, 0, 0),
        // The highest leaf of the virtualization stack, and "Microsoft VS".
        leaf(0x4000_0080, STACK_PROPERTIES, 0x7263_694D, 0x666F_736F, 0x5356_2074),
        // "VS#1".
        leaf(0x4000_0081, 0x3123_5356, 0, 0, 0),
        leaf(STACK_PROPERTIES, PORTABLE, 0, 0, 0));
  }

  private static Leaf leaf(int function, int eax, int ebx, int ecx, int edx) {
    return new Leaf(function, CpuidTable.ANY_SUBLEAF, eax, ebx, ecx, edx);
  }
}
