package dev.partita.chipset.device;

/// Counts of the PC's 14.31818 MHz crystal (exactly 315/22 MHz) divided by 12 for the interval
/// timer and by 4 for the ACPI timer, in exact arithmetic.
public final class Oscillator {
  /// Interval timer: 105/88 MHz, that is 105 ticks in 88,000 ns.
  public static final Oscillator INTERVAL_TIMER = new Oscillator(105, 88_000);

  /// ACPI timer: 315/88 MHz.
  public static final Oscillator ACPI_TIMER = new Oscillator(315, 88_000);

  private final long ticks;
  private final long nanos;

  private Oscillator(long ticks, long nanos) {
    this.ticks = ticks;
    this.nanos = nanos;
  }

  /// Whole ticks in a time of at least 0 ns.
  public long ticks(long elapsedNanos) {
    return elapsedNanos / nanos * ticks + elapsedNanos % nanos * ticks / nanos;
  }

  /// The first nanosecond at which so many ticks are over.
  public long nanos(long elapsedTicks) {
    return elapsedTicks / ticks * nanos + Math.ceilDiv(elapsedTicks % ticks * nanos, ticks);
  }
}
