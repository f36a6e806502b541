package dev.partita.hypervisor;

import java.util.PriorityQueue;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The host's clocks, and one daemon thread that fires timers.
public final class SystemTimeSource implements TimeSource {
  private static final System.Logger LOG = System.getLogger(SystemTimeSource.class.getName());

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final PriorityQueue<Entry> queue = new PriorityQueue<>();
  private final Thread thread;
  private boolean closed;

  /// Starts the timer thread.
  public SystemTimeSource() {
    thread = Thread.ofPlatform().name("partita-timer").daemon().start(this::fireTimers);
  }

  @Override
  public long nanoTime() {
    return System.nanoTime();
  }

  @Override
  public long wallClockNanos() {
    var now = java.time.Instant.now();
    return now.getEpochSecond() * 1_000_000_000L + now.getNano();
  }

  @Override
  public Timer timer(Runnable action) {
    return new QueuedTimer(action);
  }

  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  private void fireTimers() {
    while (true) {
      Runnable due;
      lock.lock();
      try {
        while (true) {
          if (closed) {
            return;
          }
          var first = queue.peek();
          if (first == null) {
            changed.awaitUninterruptibly();
            continue;
          }
          long wait = first.deadline - System.nanoTime();
          if (wait > 0) {
            try {
              changed.awaitNanos(wait);
            } catch (InterruptedException e) {
              // Nobody interrupts this thread on purpose; look at the queue again.
              continue;
            }
            continue;
          }
          queue.poll();
          first.timer.entry = null;
          due = first.timer.action;
          break;
        }
      } finally {
        lock.unlock();
      }
      try {
        due.run();
      } catch (RuntimeException e) {
        LOG.log(System.Logger.Level.ERROR, "a timer's action failed", e);
      }
    }
  }

  private record Entry(QueuedTimer timer, long deadline) implements Comparable<Entry> {
    @Override
    public int compareTo(Entry other) {
      return Long.signum(deadline - other.deadline);
    }
  }

  private final class QueuedTimer implements Timer {
    private final Runnable action;
    private @org.jspecify.annotations.Nullable Entry entry;

    QueuedTimer(Runnable action) {
      this.action = action;
    }

    @Override
    public void arm(long deadline) {
      lock.lock();
      try {
        if (entry != null) {
          queue.remove(entry);
        }
        entry = new Entry(this, deadline);
        queue.add(entry);
        if (queue.peek() == entry) {
          changed.signal();
        }
      } finally {
        lock.unlock();
      }
    }

    @Override
    public void cancel() {
      lock.lock();
      try {
        if (entry != null) {
          queue.remove(entry);
          entry = null;
        }
      } finally {
        lock.unlock();
      }
    }
  }
}
