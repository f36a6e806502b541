package dev.partita.hypervisor;

import java.util.function.Function;

/// What a partition is made of.
///
/// @param processorCount number of virtual processors, 1 to 254
/// @param memory the guest's RAM; the partition uses it and does not close it
/// @param cpuid the CPUID leaves the guest sees (processor-dependent fields are the engine's)
/// @param tscFrequency frequency of the guest's time stamp counter in hertz
/// @param time the one source of time, timers included
/// @param interruptControllers makes the local APICs of a partition whose engine has none of its
/// own
///     ({@link Partition#hasLocalApics()} tells); called once, while the partition is made
public record PartitionConfiguration(
    int processorCount,
    GuestMemory memory,
    CpuidTable cpuid,
    long tscFrequency,
    TimeSource time,
    Function<Partition, LocalApicBus> interruptControllers) {
  public PartitionConfiguration {
    if (processorCount < 1 || processorCount > 254) {
      throw new IllegalArgumentException("processor count " + processorCount + " is not in 1..254");
    }
    if (tscFrequency < 1_000_000) {
      throw new IllegalArgumentException("TSC frequency " + tscFrequency + " Hz is under 1 MHz");
    }
  }
}
