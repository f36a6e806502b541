package dev.partita.chipset.device;

import dev.partita.chipset.bus.PortBus;
import dev.partita.chipset.bus.PortDevice;
import dev.partita.chipset.interrupt.InterruptLine;
import dev.partita.hypervisor.TimeSource;
import java.util.Arrays;

/// The 8254 interval timer (Intel 231164) at 1.193182 MHz, and port 0x61, through which software
/// gates channel 2 and sees its output. Channel 0 interrupts. Thread-safe.
///
/// A count written to a running counter in mode 2 or 3 takes effect when its period ends.
public final class Pit implements PortDevice {
  static final int CHANNELS = 3;

  /// The least time between two interrupts, in nanoseconds: with a shorter period some are left
  /// out, so that a guest cannot keep the time source's thread busy.
  static final long SHORTEST_INTERVAL = 20_000;

  private static final int FIRST_PORT = 0x40;
  private static final int CONTROL = 0x43;
  private static final int PORT_B = 0x61;

  /// Half the period of the DRAM refresh signal of a PC/AT, in nanoseconds: it toggles with every
  /// refresh request, 18 ticks apart.
  private static final long REFRESH = 15_085;

  private final TimeSource time;
  private final InterruptLine line;
  private final TimeSource.Timer alarm;
  private final PitChannel[] channels = new PitChannel[CHANNELS];
  private boolean speaker;
  private boolean started;

  /// When channel 0's output rises next.
  private long nextRise = PitChannel.NEVER;

  public Pit(TimeSource time, InterruptLine line) {
    this.time = time;
    this.line = line;
    this.alarm = time.timer(this::fire);
    makeChannels();
  }

  private void makeChannels() {
    for (int i = 0; i < CHANNELS; i++) {
      // Only channel 2 has its gate on a register.
      channels[i] = new PitChannel(i < 2);
    }
    speaker = false;
  }

  /// Claims the timer's ports.
  public void attach(PortBus ports) {
    ports.claim(FIRST_PORT, 4, this);
    ports.claim(PORT_B, 1, this);
  }

  /// Back to power-up.
  public synchronized void reset() {
    makeChannels();
    alarm.cancel();
    line.lower();
  }

  /// Interrupts begin, or go on after {@link #stop}.
  public synchronized void start() {
    started = true;
    arm(time.nanoTime());
  }

  /// No more interrupts; the counters go on.
  public synchronized void stop() {
    started = false;
    alarm.cancel();
  }

  @Override
  public synchronized int readPort(int port, int size) {
    long now = time.nanoTime();
    if (port == PORT_B) {
      var channel = channels[2];
      return (channel.gate() ? 1 : 0)
          | (speaker ? 1 << 1 : 0)
          | (Math.floorMod(Math.floorDiv(now, REFRESH), 2) == 1 ? 1 << 4 : 0)
          | (channel.output(now) ? 1 << 5 : 0);
    }
    int index = port - FIRST_PORT;
    return index >= 0 && index < CHANNELS ? channels[index].readByte(now) : 0xFF;
  }

  @Override
  public synchronized void writePort(int port, int size, int value) {
    long now = time.nanoTime();
    if (port == PORT_B) {
      channels[2].setGate((value & 1) != 0, now);
      speaker = (value & 1 << 1) != 0;
    } else if (port == CONTROL) {
      control(value, now);
    } else if (port >= FIRST_PORT && port < CONTROL) {
      channels[port - FIRST_PORT].writeByte(value, now);
      if (port == FIRST_PORT) {
        line.set(channels[0].output(now));
        arm(now);
      }
    }
  }

  private void control(int value, long now) {
    int index = value >> 6;
    if (index == 3) {
      readBack(value, now);
    } else if ((value >> 4 & 3) == 0) {
      channels[index].latchCount(now);
    } else {
      channels[index].program(value);
      if (index == 0) {
        line.set(channels[0].output(now));
        arm(now);
      }
    }
  }

  private void readBack(int value, long now) {
    for (int i = 0; i < CHANNELS; i++) {
      if ((value & 2 << i) != 0) {
        if ((value & 1 << 5) == 0) {
          channels[i].latchCount(now);
        }
        if ((value & 1 << 4) == 0) {
          channels[i].latchStatus(now);
        }
      }
    }
  }

  private void arm(long now) {
    if (!started) {
      return;
    }
    nextRise = channels[0].nextRise(now);
    if (nextRise == PitChannel.NEVER) {
      alarm.cancel();
    } else {
      alarm.arm(nextRise);
    }
  }

  private synchronized void fire() {
    long now = time.nanoTime();
    if (!started || nextRise == PitChannel.NEVER || now - nextRise < 0) {
      return;
    }
    line.lower();
    line.raise();
    long after = channels[0].nextRise(now);
    if (after != PitChannel.NEVER && after - now < SHORTEST_INTERVAL) {
      after = channels[0].nextRise(now + SHORTEST_INTERVAL);
    }
    nextRise = after;
    if (after != PitChannel.NEVER) {
      alarm.arm(after);
    }
  }

  public synchronized PitState state() {
    long now = time.nanoTime();
    return new PitState(
        Arrays.stream(channels).map(channel -> channel.state(now)).toList(), speaker);
  }

  public synchronized void setState(PitState state) {
    long now = time.nanoTime();
    for (int i = 0; i < CHANNELS; i++) {
      channels[i].setState(state.channels().get(i), now);
    }
    speaker = state.speaker();
    line.set(channels[0].output(now));
    arm(now);
  }
}
