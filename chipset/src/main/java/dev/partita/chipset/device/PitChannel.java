package dev.partita.chipset.device;

/// One counter of the interval timer. It does not run: what it shows is computed from the time
/// passed since its count was loaded. Not thread-safe: {@link Pit} guards it.
final class PitChannel {
  /// No time.
  static final long NEVER = Long.MIN_VALUE;

  private static final Oscillator CLOCK = Oscillator.INTERVAL_TIMER;

  private int mode;
  private boolean bcd;
  private int access = 3;
  private int reload;
  private int pendingReload = -1;
  private boolean counting;
  private boolean gate;

  /// When the count was loaded, moved on by the time the gate was closed.
  private long origin;

  /// Time counted when a closed gate stopped the counter, or -1.
  private long frozen = -1;

  private int lowByte = -1;
  private boolean readHigh;
  private int latchedCount = -1;
  private int latchedStatus = -1;

  PitChannel(boolean gate) {
    this.gate = gate;
  }

  private boolean periodic() {
    return mode == 2 || mode == 3;
  }

  private boolean triggeredByGate() {
    return mode == 1 || mode == 5;
  }

  /// The count that a register value stands for, in ticks, at least 1.
  private long count(int register) {
    if (register == 0) {
      return bcd ? 10_000 : 0x1_0000;
    }
    return bcd
        ? (register >> 12) * 1000L
            + (register >> 8 & 15) * 100
            + (register >> 4 & 15) * 10
            + (register & 15)
        : register;
  }

  private long elapsed(long now) {
    return frozen >= 0 ? frozen : Math.max(0, now - origin);
  }

  /// Loads a count that was waiting for the end of a period which is over by now. While one waits,
  /// `origin` is the start of that period.
  private void settle(long now) {
    if (pendingReload >= 0 && periodic() && frozen < 0) {
      long end = origin + CLOCK.nanos(count(reload));
      if (now - end >= 0) {
        origin = end;
        reload = pendingReload;
        pendingReload = -1;
      }
    }
  }

  /// A control word for this counter.
  void program(int word) {
    access = word >> 4 & 3;
    int field = word >> 1 & 7;
    // Modes 2 and 3 are also 6 and 7.
    mode = field > 5 ? field - 4 : field;
    bcd = (word & 1) != 0;
    counting = false;
    pendingReload = -1;
    frozen = -1;
    lowByte = -1;
    readHigh = false;
    latchedCount = -1;
    latchedStatus = -1;
  }

  void writeByte(int value, long now) {
    settle(now);
    switch (access) {
      case 1 -> load(value, now);
      case 2 -> load(value << 8, now);
      default -> {
        if (lowByte < 0) {
          lowByte = value;
          if (mode == 0) {
            // The first byte stops the count.
            counting = false;
          }
        } else {
          load(value << 8 | lowByte, now);
          lowByte = -1;
        }
      }
    }
  }

  private void load(int register, long now) {
    if (periodic() && counting) {
      if (pendingReload < 0) {
        // From now on only the current period is looked at.
        long period = count(reload);
        long passed = CLOCK.ticks(elapsed(now)) / period * period;
        if (frozen >= 0) {
          frozen -= Math.min(frozen, CLOCK.nanos(passed));
        } else {
          origin += CLOCK.nanos(passed);
        }
      }
      pendingReload = register;
      return;
    }
    if (triggeredByGate()) {
      // Loaded by the next trigger.
      pendingReload = register;
      return;
    }
    reload = register;
    counting = true;
    origin = now;
    frozen = gate ? -1 : 0;
  }

  void setGate(boolean level, long now) {
    if (level == gate) {
      return;
    }
    settle(now);
    if (triggeredByGate()) {
      if (level) {
        restart(now);
      }
    } else if (counting) {
      if (!level) {
        frozen = elapsed(now);
      } else if (periodic()) {
        restart(now);
      } else {
        origin = now - frozen;
        frozen = -1;
      }
    }
    gate = level;
  }

  private void restart(long now) {
    if (pendingReload >= 0) {
      reload = pendingReload;
      pendingReload = -1;
    }
    counting = true;
    origin = now;
    frozen = -1;
  }

  boolean gate() {
    return gate;
  }

  /// The level of the output.
  boolean output(long now) {
    settle(now);
    if (!counting) {
      return mode != 0;
    }
    if (periodic() && !gate) {
      return true;
    }
    long ticks = CLOCK.ticks(elapsed(now));
    long count = count(reload);
    return switch (mode) {
      case 0, 1 -> ticks >= count;
      case 2 -> ticks % count != count - 1;
      case 3 -> ticks % count < (count + 1) / 2;
      default -> ticks != count;
    };
  }

  /// When the output rises next after a time, or {@link #NEVER}.
  long nextRise(long now) {
    settle(now);
    if (!counting || frozen >= 0) {
      return NEVER;
    }
    long ticks = CLOCK.ticks(elapsed(now));
    long count = count(reload);
    long at =
        switch (mode) {
          case 0, 1 -> ticks < count ? count : -1;
          case 2, 3 -> (ticks / count + 1) * count;
          default -> ticks < count + 1 ? count + 1 : -1;
        };
    return at < 0 ? NEVER : now - elapsed(now) + CLOCK.nanos(at);
  }

  private int currentCount(long now) {
    settle(now);
    if (!counting) {
      return reload;
    }
    long ticks = CLOCK.ticks(elapsed(now));
    long count = count(reload);
    long range = bcd ? 10_000 : 0x1_0000;
    long left =
        switch (mode) {
          case 2 -> count - ticks % count;
          case 3 -> {
            long position = ticks % count;
            long half = (count + 1) / 2;
            yield count - 2 * (position < half ? position : position - half) & ~1L;
          }
          default -> Math.floorMod(count - ticks, range);
        };
    int value = (int) (left % range);
    return bcd
        ? value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10
        : value;
  }

  void latchCount(long now) {
    if (latchedCount < 0) {
      latchedCount = currentCount(now);
      readHigh = false;
    }
  }

  void latchStatus(long now) {
    if (latchedStatus < 0) {
      boolean output = output(now);
      boolean notLoaded = !counting || pendingReload >= 0;
      latchedStatus =
          (output ? 1 << 7 : 0)
              | (notLoaded ? 1 << 6 : 0)
              | access << 4
              | mode << 1
              | (bcd ? 1 : 0);
    }
  }

  int readByte(long now) {
    if (latchedStatus >= 0) {
      int status = latchedStatus;
      latchedStatus = -1;
      return status;
    }
    int value = latchedCount >= 0 ? latchedCount : currentCount(now);
    boolean high = access == 2 || access == 3 && readHigh;
    if (access == 3) {
      readHigh = !readHigh;
    }
    if (high || access == 1) {
      latchedCount = -1;
    }
    return high ? value >> 8 : value & 0xFF;
  }

  PitState.Channel state(long now) {
    return new PitState.Channel(
        mode,
        bcd,
        access,
        reload,
        pendingReload,
        counting,
        gate,
        elapsed(now),
        lowByte,
        readHigh,
        latchedCount,
        latchedStatus);
  }

  void setState(PitState.Channel state, long now) {
    mode = Math.clamp(state.mode(), 0, 5);
    bcd = state.bcd();
    access = state.access() & 3;
    reload = state.reload() & 0xFFFF;
    pendingReload = state.pendingReload() < 0 ? -1 : state.pendingReload() & 0xFFFF;
    counting = state.counting();
    gate = state.gate();
    long elapsed = Math.max(0, state.elapsed());
    boolean stopped = counting && !gate && !triggeredByGate();
    frozen = stopped ? elapsed : -1;
    origin = now - elapsed;
    lowByte = state.lowByte() < 0 ? -1 : state.lowByte() & 0xFF;
    readHigh = state.readHigh();
    latchedCount = state.latchedCount() < 0 ? -1 : state.latchedCount() & 0xFFFF;
    latchedStatus = state.latchedStatus() < 0 ? -1 : state.latchedStatus() & 0xFF;
  }
}
