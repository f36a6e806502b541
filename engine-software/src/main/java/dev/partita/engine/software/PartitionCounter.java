package dev.partita.engine.software;

import dev.partita.hypervisor.TimeSource;

/// The counter behind the time stamp counters of a partition's processors: the partition's time at
/// a fixed frequency. Each processor's own differs from it by its IA32_TSC_ADJUST alone, so that
/// processors agree whenever the guest left theirs alone.
///
/// Thread-safe.
final class PartitionCounter {
  private final TimeSource time;
  private final long frequency;
  private final long origin;
  private volatile long base;

  /// Begins at 0 now.
  ///
  /// @param frequency in hertz
  PartitionCounter(TimeSource time, long frequency) {
    this.time = time;
    this.frequency = frequency;
    this.origin = time.nanoTime();
  }

  long read() {
    long nanos = time.nanoTime() - origin;
    // nanos * frequency / 10^9 without overflow: seconds and the rest apart.
    long seconds = nanos / 1_000_000_000L;
    long rest = nanos % 1_000_000_000L;
    return base + seconds * frequency + rest * (frequency / 1000) / 1_000_000L;
  }

  /// Takes a value that was saved for one processor, unless it is less than a second from what is
  /// here. The states of a partition's processors are taken one after another, and so are loaded;
  /// each alone would set its processor apart from the others by the time between. (KVM's rule for
  /// writes of IA32_TIME_STAMP_COUNTER is the same: Linux, `kvm_synchronize_tsc`.)
  synchronized void restore(long value) {
    long ahead = value - read();
    if (ahead >= frequency || ahead <= -frequency) {
      base += ahead;
    }
  }
}
