package dev.partita.engine.software;

import dev.partita.hypervisor.TimeSource;

/// A processor's time stamp counter: the partition's time at a fixed frequency, plus an offset that
/// the
/// guest may write.
final class TimeStampCounter {
  private final TimeSource time;
  private final long frequency;
  private final long origin;
  private volatile long offset;

  /// The value of IA32_TSC_ADJUST.
  private volatile long adjust;

  /// @param origin when the counters of the partition's processors began, in nanoTime terms: one
  /// for all,
  /// so that they agree
  TimeStampCounter(TimeSource time, long frequency, long origin) {
    this.time = time;
    this.frequency = frequency;
    this.origin = origin;
  }

  private long ticks() {
    long nanos = time.nanoTime() - origin;
    // nanos * frequency / 10^9 without overflow: seconds and the rest apart.
    long seconds = nanos / 1_000_000_000L;
    long rest = nanos % 1_000_000_000L;
    return seconds * frequency + rest * (frequency / 1000) / 1_000_000L;
  }

  long read() {
    return ticks() + offset;
  }

  /// A write of IA32_TIME_STAMP_COUNTER; moves IA32_TSC_ADJUST by the same (SDM volume 3, 19.17.3).
  void write(long value) {
    long old = offset;
    offset = value - ticks();
    adjust += offset - old;
  }

  long adjust() {
    return adjust;
  }

  void setAdjust(long value) {
    offset += value - adjust;
    adjust = value;
  }

  /// Puts a saved counter back: it goes on from `value`.
  void restore(long value, long savedAdjust) {
    offset = value - ticks();
    adjust = savedAdjust;
  }
}
