package dev.partita.enlightenment;

import dev.partita.hypervisor.GuestMemory;
import java.lang.invoke.VarHandle;
import java.math.BigInteger;
import java.util.concurrent.atomic.AtomicLong;

/// A partition's reference time: 100-nanosecond units since its creation (TLFS, "Reference
/// Counter").
///
/// Counter MSR and reference TSC page are one clock: both are ((TSC * scale) >> 64) + offset, so
/// that a guest may mix them. The counter never goes back, whichever processor reads it.
final class ReferenceTime {
  /// Units in a second.
  static final long FREQUENCY = 10_000_000;

  // HV_REFERENCE_TSC_PAGE.
  private static final int SEQUENCE = 0;
  private static final int SCALE = 8;
  private static final int OFFSET = 16;

  private final long scale;
  private final AtomicLong last = new AtomicLong();
  private volatile long offset;
  private volatile int sequence = 1;

  /// @param tscFrequency in hertz, more than 10 MHz: the scale is a fraction of 64 bits
  /// @param tsc the time stamp counter now, at reference time 0
  ReferenceTime(long tscFrequency, long tsc) {
    if (tscFrequency <= FREQUENCY) {
      throw new IllegalArgumentException(
          "TSC frequency " + tscFrequency + " Hz is too low for the reference TSC page");
    }
    scale =
        BigInteger.valueOf(FREQUENCY)
            .shiftLeft(64)
            .divide(BigInteger.valueOf(tscFrequency))
            .longValue();
    offset = -Math.unsignedMultiplyHigh(tsc, scale);
  }

  /// The reference time at some value of the time stamp counter.
  long at(long tsc) {
    long now = Math.unsignedMultiplyHigh(tsc, scale) + offset;
    return last.accumulateAndGet(now, Math::max);
  }

  /// A clock's saveable state.
  ///
  /// @param count the reference time when it was taken
  /// @param sequence of the reference TSC page
  record State(long count, int sequence) {}

  State state(long tsc) {
    return new State(at(tsc), sequence);
  }

  /// Goes on from a saved time, with the counter's value now. The page, if there is one, is to be
  /// written again.
  void restore(State state, long tsc) {
    offset = state.count - Math.unsignedMultiplyHigh(tsc, scale);
    last.set(state.count);
    int next = state.sequence + 1;
    // 0 is "no reference time here"; early editions said so of the largest number.
    sequence = next == 0 || next == -1 ? 1 : next;
  }

  /// Writes the page's contents: the sequence last, for a processor may be reading.
  void writePage(GuestMemory memory, long address) {
    memory.writeInt(address + SEQUENCE, 0);
    VarHandle.releaseFence();
    memory.writeInt(address + SEQUENCE + 4, 0);
    memory.writeLong(address + SCALE, scale);
    memory.writeLong(address + OFFSET, offset);
    VarHandle.releaseFence();
    memory.writeInt(address + SEQUENCE, sequence);
  }
}
