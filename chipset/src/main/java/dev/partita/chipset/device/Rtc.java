package dev.partita.chipset.device;

import dev.partita.chipset.bus.PortBus;
import dev.partita.chipset.bus.PortDevice;
import dev.partita.chipset.interrupt.InterruptLine;
import dev.partita.hypervisor.TimeSource;

/// The PC's MC146818A real-time clock with 128 bytes of CMOS memory. It keeps the host's time, in
/// UTC, plus what the guest set it apart by. Thread-safe.
///
/// Events (second over, period over, alarm) are not run one by one: those since the last look are
/// added up when the guest reads or an enabled one falls due. One that interrupts is not armed
/// again before the guest has read register C.
public final class Rtc implements PortDevice {
  /// Bytes of CMOS memory.
  static final int MEMORY_SIZE = 128;

  private static final int INDEX_PORT = 0x70;
  private static final int DATA_PORT = 0x71;

  private static final int A = 0x0A;
  private static final int B = 0x0B;
  private static final int C = 0x0C;
  private static final int D = 0x0D;

  private static final int A_UPDATE_IN_PROGRESS = 1 << 7;
  private static final int A_DIVIDER_RESET = 0b11 << 5;
  private static final int B_SET = 1 << 7;
  private static final int B_UPDATE_ENABLE = 1 << 4;
  private static final int B_SQUARE_WAVE_ENABLE = 1 << 3;
  private static final int B_BINARY = 1 << 2;
  private static final int B_24_HOURS = 1 << 1;
  private static final int C_REQUEST = 1 << 7;

  /// The flags of register C; each has its enable bit at the same place in register B.
  private static final int PERIODIC = 1 << 6;

  private static final int ALARM = 1 << 5;
  private static final int UPDATE = 1 << 4;
  private static final int EVENTS = PERIODIC | ALARM | UPDATE;

  private static final int D_VALID_RAM_AND_TIME = 1 << 7;

  /// From the rise of the update-in-progress bit to the update, in nanoseconds (tBUC, 244 us). The
  /// update itself takes no time here.
  private static final long BEFORE_UPDATE = 244_000;

  /// An update comes this long after the divider is let go (data sheet, "Divider Stages").
  private static final int AFTER_DIVIDER_RESET = 500_000_000;

  private static final long SECOND = 1_000_000_000L;

  private final TimeSource time;
  private final InterruptLine line;
  private final TimeSource.Timer alarm;
  private final byte[] memory = new byte[MEMORY_SIZE];
  private int index;
  private long offsetSeconds;
  private int offsetNanos;
  private int dayShift;

  /// Wall-clock time up to which events are in register C.
  private long accounted;

  private boolean started;

  /// A clock with the host's time, as after a change of battery and one setting.
  public Rtc(TimeSource time, InterruptLine line) {
    this.time = time;
    this.line = line;
    this.alarm = time.timer(this::fire);
    this.accounted = time.wallClockNanos();
    // 32.768 kHz, 1024 Hz periodic rate; 24 hours, BCD: what every PC's firmware sets.
    memory[A] = 0x26;
    memory[B] = B_24_HOURS;
  }

  /// Claims the clock's ports.
  public void attach(PortBus ports) {
    ports.claim(INDEX_PORT, 2, this);
  }

  /// The RESET pin: interrupts off; time and memory stay.
  public synchronized void reset() {
    memory[B] &= (byte) ~(EVENTS | B_SQUARE_WAVE_ENABLE);
    memory[C] = 0;
    index = 0;
    refresh();
  }

  /// Interrupts begin, or go on after {@link #stop}.
  public synchronized void start() {
    started = true;
    refresh();
  }

  /// No more interrupts; the clock goes on.
  public synchronized void stop() {
    started = false;
    alarm.cancel();
  }

  @Override
  public synchronized int readPort(int port, int size) {
    if (port != DATA_PORT) {
      return 0xFF;
    }
    if (index == C) {
      account();
      int flags = memory[C] & 0xFF;
      memory[C] = 0;
      refresh();
      return flags;
    }
    if (index == A) {
      return memory[A] & 0x7F | (updateInProgress() ? A_UPDATE_IN_PROGRESS : 0);
    }
    if (index == D) {
      return D_VALID_RAM_AND_TIME;
    }
    if (RtcFormat.isTime(index) && running()) {
      format().write(guestSecond(time.wallClockNanos()), dayShift, memory);
    }
    return memory[index] & 0xFF;
  }

  @Override
  public synchronized void writePort(int port, int size, int value) {
    if (port == INDEX_PORT) {
      // Bit 7 masks NMI, which nothing here raises.
      index = value & 0x7F;
      return;
    }
    account();
    switch (index) {
      case A -> writeControl(value & 0x7F, memory[B] & 0xFF);
      case B -> {
        // Setting SET clears the update interrupt's enable bit.
        int b = (value & B_SET) != 0 ? value & ~B_UPDATE_ENABLE : value;
        writeControl(memory[A] & 0x7F, b);
      }
      case C, D -> {}
      default -> {
        if (RtcFormat.isTime(index) && running()) {
          long now = time.wallClockNanos();
          format().write(guestSecond(now), dayShift, memory);
          memory[index] = (byte) value;
          setTime(now, phase(now));
        } else {
          memory[index] = (byte) value;
        }
      }
    }
    refresh();
  }

  private void writeControl(int a, int b) {
    long now = time.wallClockNanos();
    boolean before = running();
    boolean held = dividerReset();
    if (before) {
      format().write(guestSecond(now), dayShift, memory);
    }
    int formatBits = B_BINARY | B_24_HOURS;
    boolean otherFormat = ((memory[B] ^ b) & formatBits) != 0;
    memory[A] = (byte) a;
    memory[B] = (byte) b;
    if (!before && running()) {
      setTime(now, held ? AFTER_DIVIDER_RESET : phase(now));
    } else if (before && !running() && otherFormat) {
      // The clock stopped with the old time: show it in the new format.
      format().write(guestSecond(now), dayShift, memory);
    }
  }

  /// Takes the time in the registers.
  ///
  /// @param phase nanoseconds into the second
  private void setTime(long wall, int phase) {
    dayShift = format().dayShift(memory);
    long nanos = Math.floorMod(wall, SECOND);
    offsetNanos = (int) Math.floorMod(phase - nanos, SECOND);
    offsetSeconds = format().read(memory) - Math.floorDiv(wall + offsetNanos, SECOND);
    accounted = wall;
  }

  private RtcFormat format() {
    return new RtcFormat((memory[B] & B_BINARY) != 0, (memory[B] & B_24_HOURS) != 0);
  }

  private boolean dividerReset() {
    return (memory[A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
  }

  private boolean running() {
    return (memory[B] & B_SET) == 0 && !dividerReset();
  }

  private boolean updateInProgress() {
    return running() && phase(time.wallClockNanos()) >= SECOND - BEFORE_UPDATE;
  }

  private long guestSecond(long wall) {
    return Math.floorDiv(wall + offsetNanos, SECOND) + offsetSeconds;
  }

  private int phase(long wall) {
    return (int) Math.floorMod(wall + offsetNanos, SECOND);
  }

  /// Periodic rate in hertz, 0 when off (data sheet, "Periodic Interrupt Rate").
  private long rate() {
    int select = memory[A] & 0xF;
    if (select == 0 || dividerReset()) {
      return 0;
    }
    return 32_768L >> (select <= 2 ? select + 6 : select - 1);
  }

  private long periods(long wall, long rate) {
    long at = wall + offsetNanos;
    return Math.floorDiv(at, SECOND) * rate + Math.floorMod(at, SECOND) * rate / SECOND;
  }

  /// Adds up the events since the last look.
  private void account() {
    long now = time.wallClockNanos();
    long from = accounted;
    accounted = now;
    if (now - from <= 0) {
      // The host's clock was set back.
      return;
    }
    int flags = 0;
    if (running()) {
      long first = guestSecond(from);
      long last = guestSecond(now);
      if (last > first) {
        flags |= UPDATE;
        long match = format().nextAlarm(first, memory);
        if (match <= last) {
          flags |= ALARM;
        }
      }
    }
    long rate = rate();
    if (rate != 0 && periods(now, rate) > periods(from, rate)) {
      flags |= PERIODIC;
    }
    memory[C] |= (byte) flags;
  }

  /// Drives the line, and arms the timer for the next event that interrupts.
  private void refresh() {
    boolean request = (memory[C] & memory[B] & EVENTS) != 0;
    memory[C] = (byte) (memory[C] & EVENTS | (request ? C_REQUEST : 0));
    line.set(request);
    if (!started) {
      return;
    }
    long next = nextEvent();
    if (next == Long.MAX_VALUE) {
      alarm.cancel();
    } else {
      long now = time.wallClockNanos();
      alarm.arm(time.nanoTime() + Math.max(1_000, next - now));
    }
  }

  /// Wall-clock time of the next event that is enabled and not flagged yet.
  private long nextEvent() {
    int wanted = memory[B] & ~memory[C] & EVENTS;
    if (wanted == 0) {
      return Long.MAX_VALUE;
    }
    long next = Long.MAX_VALUE;
    long rate = rate();
    if ((wanted & PERIODIC) != 0 && rate != 0) {
      long period = periods(accounted, rate) + 1;
      long at =
          Math.floorDiv(period, rate) * SECOND
              + Math.ceilDiv(Math.floorMod(period, rate) * SECOND, rate);
      next = at - offsetNanos;
    }
    if (running()) {
      long second = guestSecond(accounted);
      if ((wanted & UPDATE) != 0) {
        next = Math.min(next, wallOf(second + 1));
      }
      if ((wanted & ALARM) != 0) {
        long match = format().nextAlarm(second, memory);
        if (match != RtcFormat.NEVER) {
          next = Math.min(next, wallOf(match));
        }
      }
    }
    return next;
  }

  private long wallOf(long guestSecond) {
    return (guestSecond - offsetSeconds) * SECOND - offsetNanos;
  }

  private synchronized void fire() {
    if (started) {
      account();
      refresh();
    }
  }

  public synchronized RtcState state() {
    account();
    refresh();
    return new RtcState(memory.clone(), index, offsetSeconds, offsetNanos, dayShift, accounted);
  }

  public synchronized void setState(RtcState state) {
    System.arraycopy(state.memory(), 0, memory, 0, MEMORY_SIZE);
    index = state.index() & 0x7F;
    offsetSeconds = state.offsetSeconds();
    offsetNanos = state.offsetNanos();
    dayShift = Math.floorMod(state.dayShift(), 7);
    accounted = state.accounted();
    account();
    refresh();
  }
}
