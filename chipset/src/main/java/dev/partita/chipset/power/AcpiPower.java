package dev.partita.chipset.power;

import dev.partita.chipset.bus.PortBus;
import dev.partita.chipset.bus.PortDevice;
import dev.partita.chipset.device.Oscillator;
import dev.partita.chipset.interrupt.InterruptLine;
import dev.partita.hypervisor.TimeSource;

/// The ACPI fixed hardware (ACPI 6.3, section 4.8): PM1a event and control registers, power
/// management timer, fixed power button. The machine is always in ACPI mode. Thread-safe.
public final class AcpiPower implements PortDevice {
  /// First port: PM1 status at +0, enable at +2, control at +4, timer at +8.
  public static final int PORT = 0x400;

  /// Number of ports.
  public static final int PORTS = 12;

  /// The ISA interrupt of the system control interrupt; level, active high.
  public static final int SCI = 9;

  /// SLP_TYP for state S5; `\_S5` tells the guest.
  public static final int SLEEP_TYPE_S5 = 5;

  static final int EVENT_OFFSET = 0;
  static final int ENABLE_OFFSET = 2;
  static final int CONTROL_OFFSET = 4;
  static final int TIMER_OFFSET = 8;

  private static final int TIMER = 1;
  private static final int POWER_BUTTON = 1 << 8;

  /// Timer, bus master, global, power button, wake: the status bits that can be set and cleared.
  private static final int STATUS = 1 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 15;

  /// Timer, global, power button, and the clock's alarm: its status never comes (the FADT says so),
  /// but Linux enables it and wants to read the bit back.
  private static final int ENABLE = 1 | 1 << 5 | 1 << 8 | 1 << 10;

  private static final int SCI_ENABLE = 1;
  private static final int SLEEP_TYPE = 0b111 << 10;
  private static final int SLEEP_ENABLE = 1 << 13;

  /// Bus master reload and sleep type; SCI_EN reads one, the rest are write-only or reserved.
  private static final int CONTROL = 1 << 1 | SLEEP_TYPE;

  /// The timer has 32 bits; TMR_STS tells of changes of the highest.
  private static final int CARRY_BIT = 31;

  private static final Oscillator CLOCK = Oscillator.ACPI_TIMER;

  private final TimeSource time;
  private final InterruptLine sci;
  private final PowerListener listener;
  private final TimeSource.Timer alarm;

  private int status;
  private int enable;
  private int control;

  /// The timer's value at {@link #origin}, a moment in nanoTime terms.
  private long base;

  private long origin;
  private long accounted;
  private boolean started;

  public AcpiPower(TimeSource time, InterruptLine sci, PowerListener listener) {
    this.time = time;
    this.sci = sci;
    this.listener = listener;
    this.alarm = time.timer(this::fire);
    this.origin = time.nanoTime();
  }

  /// Claims the ports.
  public void attach(PortBus ports) {
    ports.claim(PORT, PORTS, this);
  }

  /// Back to power-up; the timer goes on.
  public synchronized void reset() {
    status = 0;
    enable = 0;
    control = 0;
    accounted = timer();
    update();
  }

  /// Interrupts begin, or go on after {@link #stop}.
  public synchronized void start() {
    started = true;
    account();
  }

  /// No more timer interrupts.
  public synchronized void stop() {
    started = false;
    alarm.cancel();
  }

  /// Presses the fixed power button: asks the guest to shut down. Any thread.
  public synchronized void pressPowerButton() {
    status |= POWER_BUTTON;
    update();
  }

  @Override
  public int widestAccess() {
    return 4;
  }

  /// The registers as bytes: any aligned or unaligned access shows what lies there.
  @Override
  public synchronized int readPort(int port, int size) {
    int offset = port - PORT;
    if (offset >= TIMER_OFFSET) {
      return (int) ((timer() & 0xFFFF_FFFFL) >>> 8 * (offset & 7));
    }
    account();
    long registers = status | (long) enable << 16 | (long) (control | SCI_ENABLE) << 32;
    return (int) (registers >>> 8 * offset);
  }

  @Override
  public void writePort(int port, int size, int value) {
    boolean off = false;
    synchronized (this) {
      account();
      for (int i = 0; i < size; i++) {
        off |= writeByte(port - PORT + i, value >>> 8 * i & 0xFF);
      }
      update();
    }
    if (off) {
      listener.poweredOff();
    }
  }

  /// @return whether the machine turns off
  private boolean writeByte(int offset, int value) {
    int shift = 8 * (offset & 1);
    int keep = ~(0xFF << shift);
    int bits = value << shift;
    switch (offset & ~1) {
      case EVENT_OFFSET -> status &= ~bits;
      case ENABLE_OFFSET -> enable = (enable & keep | bits) & ENABLE;
      case CONTROL_OFFSET -> {
        control = (control & keep | bits) & CONTROL;
        return (bits & SLEEP_ENABLE) != 0 && (control & SLEEP_TYPE) >> 10 == SLEEP_TYPE_S5;
      }
      default -> {
        // The timer is read-only.
      }
    }
    return false;
  }

  private long timer() {
    return base + CLOCK.ticks(Math.max(0, time.nanoTime() - origin));
  }

  /// Sets the timer's status bit if its highest bit changed since the last look, and arms for the
  /// next change while that interrupts.
  private void account() {
    long now = timer();
    if (now >> CARRY_BIT != accounted >> CARRY_BIT) {
      status |= TIMER;
    }
    accounted = now;
    update();
  }

  private void update() {
    sci.set((status & enable) != 0);
    if (!started) {
      return;
    }
    if ((enable & ~status & TIMER) != 0) {
      long next = (accounted >> CARRY_BIT) + 1 << CARRY_BIT;
      alarm.arm(origin + CLOCK.nanos(next - base));
    } else {
      alarm.cancel();
    }
  }

  private synchronized void fire() {
    if (started) {
      account();
    }
  }

  public synchronized AcpiPowerState state() {
    account();
    return new AcpiPowerState(status, enable, control, accounted);
  }

  public synchronized void setState(AcpiPowerState state) {
    status = state.status() & STATUS;
    enable = state.enable() & ENABLE;
    control = state.control() & CONTROL;
    base = state.timer() & Long.MAX_VALUE >> 1;
    origin = time.nanoTime();
    accounted = base;
    account();
  }
}
