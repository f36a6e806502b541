package dev.partita.hypervisor;

/// A way to run guest code: in software, or on the host's hardware through KVM.
///
/// An engine is stateless; partitions hold all state. Thread-safe.
public interface Engine {
  /// The name an operator uses to choose this engine, such as `software`.
  String name();

  /// The CPUID leaves of the processor this engine implements, before any policy of the partition's
  /// owner. Leaves and bits not in it must not be offered to a guest. Processor-dependent fields
  /// (APIC id, OSXSAVE, topology) are filled in by the engine when the guest asks.
  CpuidTable supportedCpuid();

  /// The frequency that a guest's time stamp counter has best on this engine, in hertz. A partition
  /// may ask for another one, which an engine refuses if the host's hardware cannot have it.
  ///
  /// @throws PartitionException if the engine is not to be had on this host
  default long tscFrequency() {
    return 1_000_000_000L;
  }

  /// Makes a partition with its memory and virtual processors. Nothing runs until {@link
  /// VirtualProcessor#run}.
  ///
  /// @throws PartitionException if the engine cannot provide what the configuration asks
  Partition createPartition(PartitionConfiguration configuration);
}
