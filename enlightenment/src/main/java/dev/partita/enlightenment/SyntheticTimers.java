package dev.partita.enlightenment;

import dev.partita.hypervisor.TimeSource;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;

/// The four synthetic timers of one virtual processor (TLFS, "Timers"), in direct mode (an
/// interrupt vector of their own) and in message mode. Guarded by the lock of the processor's
/// {@link ProcessorSynic}.
///
/// A lazy timer may be late; none here uses the leave. A periodic one whose period is shorter than
/// {@link #SHORTEST_PERIOD} expires that often and no more, so that no guest keeps the host busy
/// with nothing but its timer.
final class SyntheticTimers {
  /// Timers of a processor.
  static final int COUNT = 4;

  /// In units of 100 ns.
  static final long SHORTEST_PERIOD = 1_000;

  private static final int NANOS_PER_UNIT = 100;

  /// Timers are armed for at most so many units (about 12 days) at a time: no sum overflows.
  private static final long FARTHEST = 1L << 43;

  // HV_X64_MSR_STIMERx_CONFIG.
  private static final long ENABLED = 1;
  private static final long PERIODIC = 1 << 1;
  private static final long AUTO_ENABLE = 1 << 3;
  private static final long DIRECT_MODE = 1 << 12;
  private static final long WRITABLE = 0xF_1FFF;
  private static final int LOWEST_VECTOR = 16;

  /// HvMessageTypeTimerExpired.
  private static final int TIMER_EXPIRED = 0x8000_0010;

  // HV_TIMER_MESSAGE_PAYLOAD: index, reserved, expiration time, delivery time.
  private static final int PAYLOAD_SIZE = 24;
  private static final int EXPIRATION_TIME = 8;
  private static final int DELIVERY_TIME = 16;

  private final TimeSource clock;
  private final ProcessorSynic synic;
  private final LongSupplier tsc;
  private final ReferenceTime reference;
  private final Timer[] timers = new Timer[COUNT];
  private boolean closed;

  SyntheticTimers(
      TimeSource clock, ProcessorSynic synic, LongSupplier tsc, ReferenceTime reference) {
    this.clock = clock;
    this.synic = synic;
    this.tsc = tsc;
    this.reference = reference;
    for (int i = 0; i < COUNT; i++) {
      timers[i] = new Timer(i);
    }
  }

  long read(int register) {
    int offset = register - SyntheticMsr.STIMER0_CONFIG;
    var timer = timers[offset / 2];
    synic.lock().lock();
    try {
      return offset % 2 == 0 ? timer.configuration : timer.count;
    } finally {
      synic.lock().unlock();
    }
  }

  /// @return false if the value is not allowed (general-protection fault)
  boolean write(int register, long value) {
    int offset = register - SyntheticMsr.STIMER0_CONFIG;
    var timer = timers[offset / 2];
    synic.lock().lock();
    try {
      return offset % 2 == 0 ? timer.configure(value) : timer.setCount(value);
    } finally {
      synic.lock().unlock();
    }
  }

  /// Notes that a timer's message reaches its slot now.
  ///
  /// @return the payload, with the time of delivery
  byte[] delivered(SynicState.Message message) {
    timers[message.timer()].messageWaits = false;
    var payload = message.payload().clone();
    ByteBuffer.wrap(payload).order(ByteOrder.LITTLE_ENDIAN).putLong(DELIVERY_TIME, now());
    return payload;
  }

  private long now() {
    return reference.at(tsc.getAsLong());
  }

  void reset() {
    for (var timer : timers) {
      timer.clock.cancel();
      timer.configuration = 0;
      timer.count = 0;
      timer.expiration = 0;
      timer.messageWaits = false;
    }
  }

  /// No timer expires any more.
  void close() {
    synic.lock().lock();
    try {
      closed = true;
      for (var timer : timers) {
        timer.clock.cancel();
      }
    } finally {
      synic.lock().unlock();
    }
  }

  List<SynicState.Timer> state() {
    var states = new ArrayList<SynicState.Timer>();
    for (var timer : timers) {
      states.add(new SynicState.Timer(timer.configuration, timer.count, timer.expiration));
    }
    return states;
  }

  void restore(List<SynicState.Timer> states, List<SynicState.Message> waiting) {
    reset();
    for (var message : waiting) {
      if (message.timer() >= 0) {
        timers[message.timer()].messageWaits = true;
      }
    }
    for (int i = 0; i < COUNT; i++) {
      var state = states.get(i);
      timers[i].configuration = state.configuration() & WRITABLE;
      timers[i].count = state.count();
      timers[i].expiration = state.expiration();
      timers[i].arm();
    }
  }

  private final class Timer {
    final int index;
    final TimeSource.Timer clock;
    long configuration;
    long count;
    long expiration;

    /// Whether a message of this timer has not reached its slot: there is never a second one.
    boolean messageWaits;

    Timer(int index) {
      this.index = index;
      this.clock = SyntheticTimers.this.clock.timer(this::fire);
    }

    boolean has(long bit) {
      return (configuration & bit) != 0;
    }

    boolean configure(long value) {
      if ((value & ~WRITABLE) != 0) {
        return false;
      }
      withdraw();
      configuration = value;
      if (!hasTarget()) {
        configuration &= ~ENABLED;
      }
      begin();
      return true;
    }

    boolean setCount(long value) {
      withdraw();
      count = value;
      if (value == 0) {
        configuration &= ~ENABLED;
      } else if (has(AUTO_ENABLE) && hasTarget()) {
        configuration |= ENABLED;
      }
      begin();
      return true;
    }

    /// A timer that is set anew does not send for what it was before: a guest that has switched it
    /// off and taken its handler away (Linux, when it unloads VMBus) would be hit by that.
    private void withdraw() {
      if (messageWaits) {
        messageWaits = false;
        synic.withdraw(index);
      }
    }

    private int vector() {
      return (int) (configuration >> 4) & 0xFF;
    }

    private int source() {
      return (int) (configuration >> 16) & 0xF;
    }

    /// Source 0 is the hypervisor's own.
    private boolean hasTarget() {
      return has(DIRECT_MODE) ? vector() >= LOWEST_VECTOR : source() != 0;
    }

    private void begin() {
      if (has(ENABLED) && count != 0) {
        expiration = has(PERIODIC) ? now() + period() : count;
      }
      arm();
    }

    private long period() {
      return Long.compareUnsigned(count, SHORTEST_PERIOD) < 0
          ? SHORTEST_PERIOD
          : Long.compareUnsigned(count, FARTHEST) > 0 ? FARTHEST : count;
    }

    /// Waits for the expiration, or expires at once.
    void arm() {
      if (!has(ENABLED) || count == 0 || closed) {
        clock.cancel();
        return;
      }
      long now = now();
      // The reference time itself never gets to 2^63.
      if (Long.compareUnsigned(expiration, now) <= 0) {
        expire(now);
        return;
      }
      long units = expiration - now;
      if (Long.compareUnsigned(units, FARTHEST) > 0) {
        units = FARTHEST;
      }
      clock.arm(SyntheticTimers.this.clock.nanoTime() + units * NANOS_PER_UNIT);
    }

    private void fire() {
      synic.lock().lock();
      try {
        // It may have been changed since, or be early by the rounding of clocks.
        arm();
      } finally {
        synic.lock().unlock();
      }
    }

    private void expire(long now) {
      long due = expiration;
      if (has(PERIODIC)) {
        long period = period();
        // Periods that are over are not made up for.
        expiration += ((now - expiration) / period + 1) * period;
      } else {
        configuration &= ~ENABLED;
      }
      if (has(DIRECT_MODE)) {
        synic.interruptWith(vector());
      } else if (!messageWaits) {
        messageWaits = true;
        var payload = ByteBuffer.allocate(PAYLOAD_SIZE).order(ByteOrder.LITTLE_ENDIAN);
        payload.putInt(0, index).putLong(EXPIRATION_TIME, due);
        synic.post(new SynicState.Message(source(), TIMER_EXPIRED, 0, payload.array(), index));
      }
      if (has(PERIODIC)) {
        arm();
      } else {
        clock.cancel();
      }
    }
  }
}
