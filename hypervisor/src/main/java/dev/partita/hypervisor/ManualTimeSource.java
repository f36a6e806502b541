package dev.partita.hypervisor;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A time source that stands still until it is moved: for tests and deterministic runs. Timers fire
/// inside {@link #advance}, on the caller's thread, in order of their deadlines.
public final class ManualTimeSource implements TimeSource {
  private final List<ManualTimer> armed = new ArrayList<>();
  private final long wallOrigin;
  private long now;

  /// @param wallClockOrigin wall-clock nanoseconds since 1970 at nanoTime 0
  public ManualTimeSource(long wallClockOrigin) {
    this.wallOrigin = wallClockOrigin;
  }

  @Override
  public synchronized long nanoTime() {
    return now;
  }

  @Override
  public synchronized long wallClockNanos() {
    return wallOrigin + now;
  }

  @Override
  public Timer timer(Runnable action) {
    return new ManualTimer(action);
  }

  /// Moves time forward, firing what falls due on the way with the clock at its deadline.
  ///
  /// @param nanos at least 0
  public void advance(long nanos) {
    if (nanos < 0) {
      throw new IllegalArgumentException("time cannot go back by " + -nanos + " ns");
    }
    long end = nanoTime() + nanos;
    for (var due = nextDue(end); due != null; due = nextDue(end)) {
      due.action.run();
    }
    synchronized (this) {
      now = end;
    }
  }

  private synchronized @Nullable ManualTimer nextDue(long end) {
    ManualTimer first = null;
    for (var timer : armed) {
      if (first == null || timer.deadline < first.deadline) {
        first = timer;
      }
    }
    if (first == null || first.deadline > end) {
      return null;
    }
    armed.remove(first);
    now = Math.max(now, first.deadline);
    return first;
  }

  @Override
  public void close() {}

  private final class ManualTimer implements Timer {
    private final Runnable action;
    private long deadline;

    ManualTimer(Runnable action) {
      this.action = action;
    }

    @Override
    public void arm(long deadline) {
      synchronized (ManualTimeSource.this) {
        armed.remove(this);
        this.deadline = deadline;
        armed.add(this);
      }
    }

    @Override
    public void cancel() {
      synchronized (ManualTimeSource.this) {
        armed.remove(this);
      }
    }
  }
}
