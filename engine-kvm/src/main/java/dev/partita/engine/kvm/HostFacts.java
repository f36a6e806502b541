package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.Msrs;
import dev.partita.hypervisor.CpuidTable;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/// What does not change while the host is up: what KVM can give a guest.
///
/// @param cpuid the leaves it can give, as the engine's contract wants them
/// @param tscFrequency of the host's time stamp counter, and a guest's if nothing else is asked, in
///     hertz; KVM knows it in kilohertz
/// @param tscScaling whether a guest's counter can have another frequency
/// @param msrs the registers that make up a processor's state and have no place of their own in it,
///     ascending, unsigned
/// @param maximumProcessors most virtual processors of a partition
record HostFacts(
    CpuidTable cpuid,
    long tscFrequency,
    boolean tscScaling,
    List<Integer> msrs,
    int maximumProcessors) {

  /// KVM does not name the memory-type range registers before Linux 6.5, but it has them.
  private static final int[] UNNAMED_MSRS = {
    0x250, 0x258, 0x259, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F, 0x277, 0x2FF
  };

  private static final int VARIABLE_RANGES_FIRST = 0x200;
  private static final int VARIABLE_RANGES = 16;

  /// Finds out. Makes a virtual machine for it, which is gone afterwards.
  ///
  /// @throws KvmException if KVM refuses
  static HostFacts of(KvmHost host) {
    var cpuid =
        GuestCpuid.supported(
            host.supportedCpuid(), host.check(Capability.KVM_CAP_TSC_DEADLINE_TIMER) != 0);
    try (var machine = host.createMachine()) {
      KvmHost.enable(machine, Capability.KVM_CAP_SPLIT_IRQCHIP, LevelRoutes.PINS);
      try (var processor = machine.create(Ioctl.KVM_CREATE_VCPU, 0)) {
        GuestCpuid.set(processor, cpuid.leaves());
        int kilohertz = processor.call(Ioctl.KVM_GET_TSC_KHZ, 0);
        return new HostFacts(
            cpuid,
            kilohertz * 1000L,
            host.check(Capability.KVM_CAP_TSC_CONTROL) != 0,
            stateMsrs(host.msrs(), processor),
            host.check(Capability.KVM_CAP_MAX_VCPUS));
      }
    }
  }

  /// Of the registers that KVM names, those that are a processor's own state and can be put back.
  private static List<Integer> stateMsrs(List<Integer> named, KvmDescriptor processor) {
    var candidates = new TreeSet<Integer>(Integer::compareUnsigned);
    candidates.addAll(named);
    for (int msr : UNNAMED_MSRS) {
      candidates.add(msr);
    }
    for (int i = 0; i < VARIABLE_RANGES; i++) {
      candidates.add(VARIABLE_RANGES_FIRST + i);
    }
    var usable = new ArrayList<Integer>();
    try (var arena = Arena.ofConfined()) {
      var one = arena.allocate(Msrs.SIZE + Msrs.ENTRY_SIZE, 8);
      for (int msr : candidates) {
        if (isElsewhere(msr)) {
          continue;
        }
        one.set(JAVA_INT, Msrs.COUNT, 1);
        one.set(JAVA_INT, Msrs.SIZE + Msrs.ENTRY_INDEX, msr);
        one.set(JAVA_LONG, Msrs.SIZE + Msrs.ENTRY_DATA, 0);
        // One that can be read and written back as it is.
        if (processor.tryCall(Ioctl.KVM_GET_MSRS, one) == 1
            && processor.tryCall(Ioctl.KVM_SET_MSRS, one) == 1) {
          usable.add(msr);
        }
      }
    }
    return List.copyOf(usable);
  }

  /// Registers with a place of their own in a saved state, those of a hypervisor's interface, which
  /// belongs to the partition's owner, and those that tell what the processor is.
  private static boolean isElsewhere(int msr) {
    return switch (msr) {
      // Time stamp counter, APIC base, APIC deadline, EFER, FS and GS base.
      case 0x10, 0x1B, 0x6E0, 0xC000_0080, 0xC000_0100, 0xC000_0101 -> true;
      // KVM's clock (old numbers), and its count of system management interrupts.
      case 0x11, 0x12, 0x34 -> true;
      // Feature control, platform information, architectural capabilities, performance
      // capabilities.
      case 0x3A, 0xCE, 0x10A, 0x345 -> true;
      // VMX capabilities, KVM's own registers, the hypervisor's.
      default ->
          msr >= 0x480 && msr <= 0x493
              || (msr & 0xFFFF_FF00) == 0x4B56_4D00
              || (msr & 0xFFFF_F000) == 0x4000_0000;
    };
  }
}
