package dev.partita.synthetic.network;

import dev.partita.hypervisor.TimeSource;
import dev.partita.synthetic.network.NicState.Completion;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// The answers to what a guest has sent on one channel, kept for a moment: each one that finds the
/// guest's ring empty is an interrupt, and the guest only wants its memory back. They go together
/// with what the guest receives, or when there are many, or after {@link #DELAY}; at once where
/// somebody in the guest may wait for one.
///
/// What does not find room stays until there is. Any thread; nothing is called under the lock but
/// the line, and the timer.
final class Completions {
  /// The longest that one is kept, in nanoseconds: less than a tick of any guest's clock.
  static final long DELAY = 2_000_000;

  /// As many are not kept longer: a small part of the send buffer's sections.
  static final int MOST_DELAYED = 32;

  private final Line line;
  private final @Nullable TimeSource time;
  private final TimeSource.@Nullable Timer timer;
  private final ReentrantLock lock = new ReentrantLock();

  // Guarded by the lock.
  private final ArrayDeque<Completion> waiting;
  private boolean urgent;
  private boolean armed;

  /// @param time for the delay; without one they are not kept beyond a batch
  /// @param saved those of a saved state
  Completions(Line line, @Nullable TimeSource time, Collection<Completion> saved) {
    this.line = line;
    this.time = time;
    this.timer = time == null ? null : time.timer(this::due);
    this.waiting = new ArrayDeque<>(saved);
    this.urgent = !saved.isEmpty();
  }

  /// Keeps one.
  ///
  /// @param now whether the guest may wait for it: it goes when the batch ends
  /// @return how many there are
  int add(Completion completion, boolean now) {
    lock.lock();
    try {
      waiting.add(completion);
      urgent |= now;
      return waiting.size();
    } finally {
      lock.unlock();
    }
  }

  /// A batch of packets is read.
  void endBatch() {
    lock.lock();
    try {
      if (time == null || timer == null || urgent || waiting.size() >= MOST_DELAYED) {
        flush();
      } else if (!waiting.isEmpty() && !armed) {
        armed = true;
        timer.arm(time.nanoTime() + DELAY);
      }
    } finally {
      lock.unlock();
    }
  }

  private void due() {
    lock.lock();
    armed = false;
    lock.unlock();
    line.execute(this::flush);
  }

  /// Sends what there is room for.
  ///
  /// @return whether none is left
  boolean flush() {
    lock.lock();
    try {
      for (var next = waiting.peek(); next != null; next = waiting.peek()) {
        if (!line.complete(next.transactionId(), next.payload())) {
          urgent = true;
          return false;
        }
        waiting.remove();
      }
      urgent = false;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /// Forgets all, for good.
  void close() {
    lock.lock();
    try {
      waiting.clear();
      if (timer != null) {
        timer.cancel();
      }
    } finally {
      lock.unlock();
    }
  }

  List<Completion> state() {
    lock.lock();
    try {
      return List.copyOf(waiting);
    } finally {
      lock.unlock();
    }
  }
}
