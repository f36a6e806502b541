package dev.partita.engine.software;

/// A processor's time stamp counter: the partition's, plus an offset that the guest may write.
/// Written on the processor's own thread, read by any.
final class TimeStampCounter {
  private final PartitionCounter counter;

  /// The value of IA32_TSC_ADJUST.
  private volatile long adjust;

  TimeStampCounter(PartitionCounter counter) {
    this.counter = counter;
  }

  long read() {
    return counter.read() + adjust;
  }

  /// A write of IA32_TIME_STAMP_COUNTER; moves IA32_TSC_ADJUST by the same (SDM volume 3, 19.17.3).
  void write(long value) {
    adjust = value - counter.read();
  }

  long adjust() {
    return adjust;
  }

  void setAdjust(long value) {
    adjust = value;
  }

  /// Puts a saved counter back: it goes on from `value`, in step with the partition's others.
  void restore(long value, long savedAdjust) {
    counter.restore(value - savedAdjust);
    adjust = savedAdjust;
  }
}
