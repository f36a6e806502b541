package dev.partita.chipset.apic;

import dev.partita.hypervisor.TimeSource;
import dev.partita.hypervisor.VirtualProcessor;

/// A local APIC's timer (Intel SDM, volume 3, "APIC Timer"): one-shot, periodic and TSC-deadline.
/// All methods are called with the APIC's lock held.
final class ApicTimer {
  static final int ONE_SHOT = 0;
  static final int PERIODIC = 1;
  static final int TSC_DEADLINE = 2;

  /// A periodic timer with a shorter period interrupts only this often (nanoseconds), so that a
  /// guest cannot keep the time source's thread busy; its count runs as programmed.
  static final long SHORTEST_INTERVAL = 20_000;

  /// The furthest a deadline is armed ahead, about 73 years: keeps sums from overflowing.
  private static final long FURTHEST = 1L << 61;

  private static final long NANOS_PER_TICK = 1_000_000_000L / LocalApics.APIC_FREQUENCY;

  private final VirtualProcessor processor;
  private final TimeSource time;
  private final TimeSource.Timer alarm;
  private final long tscFrequency;

  private int mode;
  private int initialCount;
  private int divideConfiguration;

  /// Whether the count runs; meaningless in TSC-deadline mode.
  private boolean running;

  /// When the running count reaches zero, in nanoTime terms.
  private long end;

  private long tscDeadline;

  ApicTimer(VirtualProcessor processor, TimeSource time, long tscFrequency, Runnable action) {
    this.processor = processor;
    this.time = time;
    this.tscFrequency = tscFrequency;
    this.alarm = time.timer(action);
  }

  void reset() {
    alarm.cancel();
    mode = ONE_SHOT;
    initialCount = 0;
    divideConfiguration = 0;
    running = false;
    tscDeadline = 0;
  }

  /// The timer mode field of the LVT entry. Going to or from TSC-deadline mode disarms.
  void setMode(int newMode) {
    if (newMode == mode) {
      return;
    }
    boolean deadlineChanges = newMode == TSC_DEADLINE || mode == TSC_DEADLINE;
    mode = newMode;
    if (deadlineChanges) {
      alarm.cancel();
      running = false;
      initialCount = 0;
      tscDeadline = 0;
    }
  }

  int initialCount() {
    return initialCount;
  }

  /// Starts the count; 0 stops it. Ignored in TSC-deadline mode.
  void setInitialCount(int count) {
    if (mode == TSC_DEADLINE) {
      return;
    }
    initialCount = count;
    if (count == 0) {
      running = false;
      alarm.cancel();
    } else {
      running = true;
      end = time.nanoTime() + period();
      armAtEnd();
    }
  }

  int currentCount() {
    if (mode == TSC_DEADLINE || !running) {
      return 0;
    }
    long left = end - time.nanoTime();
    if (mode == PERIODIC) {
      // The end may be past, or several periods away.
      left = Math.floorMod(left - 1, period()) + 1;
    } else if (left <= 0) {
      return 0;
    }
    long tick = tickNanos();
    // A new divider or mode may leave more than a full count: the register has 32 bits.
    return (int) Math.min((left + tick - 1) / tick, 0xFFFF_FFFFL);
  }

  int divideConfiguration() {
    return divideConfiguration;
  }

  /// Sets the divider; a running count goes on from where it is, at the new rate.
  void setDivideConfiguration(int value) {
    long count = currentCount() & 0xFFFF_FFFFL;
    divideConfiguration = value & 0b1011;
    if (running && count != 0) {
      end = time.nanoTime() + count * tickNanos();
      armAtEnd();
    }
  }

  long tscDeadline() {
    return mode == TSC_DEADLINE ? tscDeadline : 0;
  }

  /// IA32_TSC_DEADLINE; ignored in the other modes.
  void setTscDeadline(long deadline) {
    if (mode != TSC_DEADLINE) {
      return;
    }
    tscDeadline = deadline;
    if (deadline == 0) {
      alarm.cancel();
    } else {
      armAtTsc(0);
    }
  }

  /// The time source's timer fired.
  ///
  /// @return whether the timer interrupts now
  boolean expire() {
    long now = time.nanoTime();
    if (mode == TSC_DEADLINE) {
      if (tscDeadline == 0) {
        return false;
      }
      if (Long.compareUnsigned(processor.readTsc(), tscDeadline) >= 0) {
        tscDeadline = 0;
        return true;
      }
      // The two clocks differ a little, or the guest moved its TSC back.
      armAtTsc(1_000);
      return false;
    }
    if (!running) {
      return false;
    }
    if (end - now > 0) {
      armAtEnd();
      return false;
    }
    if (mode == PERIODIC) {
      long period = period();
      long earliest = period >= SHORTEST_INTERVAL ? now + 1 : now + SHORTEST_INTERVAL;
      end += Math.ceilDiv(earliest - end, period) * period;
      armAtEnd();
    } else {
      running = false;
    }
    return true;
  }

  /// Nanoseconds until the one-shot or periodic count ends, -1 when it does not run.
  long remaining() {
    return mode == TSC_DEADLINE || !running ? -1 : Math.max(0, end - time.nanoTime());
  }

  void restore(int mode, int initialCount, int divide, long remaining, long tscDeadline) {
    reset();
    this.mode = mode;
    this.divideConfiguration = divide & 0b1011;
    if (mode == TSC_DEADLINE) {
      setTscDeadline(tscDeadline);
      return;
    }
    this.initialCount = initialCount;
    if (remaining >= 0 && initialCount != 0) {
      running = true;
      end = time.nanoTime() + Math.min(remaining, FURTHEST);
      armAtEnd();
    }
  }

  private void armAtEnd() {
    alarm.arm(end);
  }

  private void armAtTsc(long atLeast) {
    long tsc = processor.readTsc();
    long left = tscDeadline - tsc;
    long nanos;
    if (Long.compareUnsigned(tscDeadline, tsc) <= 0) {
      nanos = 0;
    } else {
      long seconds = Long.divideUnsigned(left, tscFrequency);
      long rest = Long.remainderUnsigned(left, tscFrequency);
      nanos =
          seconds >= FURTHEST / 1_000_000_000L
              ? FURTHEST
              : seconds * 1_000_000_000L
                  + Long.divideUnsigned(rest * 1_000_000_000L + tscFrequency - 1, tscFrequency);
    }
    alarm.arm(time.nanoTime() + Math.max(nanos, atLeast));
  }

  private long period() {
    return (initialCount & 0xFFFF_FFFFL) * tickNanos();
  }

  private long tickNanos() {
    int code = divideConfiguration >> 1 & 0b100 | divideConfiguration & 0b11;
    // 000 divides by 2, 001 by 4, ... 110 by 128, 111 by 1.
    return NANOS_PER_TICK << (code + 1 & 7);
  }
}
