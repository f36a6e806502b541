package dev.partita.hypervisor;

/// The one source of time of a partition: clocks and timers. Tests inject one that they move by
/// hand.
public interface TimeSource extends AutoCloseable {
  /// Nanoseconds since an arbitrary origin, never going back. Any thread.
  long nanoTime();

  /// Wall-clock time: nanoseconds since 1970-01-01T00:00Z. Any thread.
  long wallClockNanos();

  /// A timer that is not armed.
  ///
  /// @param action runs on the time source's own thread when the timer fires; must be short and
  /// must not
  ///     block
  Timer timer(Runnable action);

  @Override
  void close();

  /// A one-shot timer. Any thread may arm and cancel it.
  interface Timer {
    /// Arms the timer, replacing an earlier deadline. A deadline in the past fires at once.
    ///
    /// @param deadline in {@link TimeSource#nanoTime} terms
    void arm(long deadline);

    /// Disarms; a firing that already began still completes.
    void cancel();
  }
}
