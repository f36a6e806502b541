package dev.partita.synthetic.storage;

/// Counts requests under way, and lets others wait until they are done. Any thread.
final class InFlight {
  private int count;
  private int holds;
  private boolean ended;

  /// A request begins. Waits while it is held.
  ///
  /// @return false if no more begin
  synchronized boolean enter() {
    awaitWhile(() -> holds > 0 && !ended);
    if (ended) {
      return false;
    }
    count++;
    return true;
  }

  /// A request is done.
  synchronized void exit() {
    if (--count == 0) {
      notifyAll();
    }
  }

  /// Waits until no request is under way, and lets none begin until {@link #release}.
  synchronized void hold() {
    holds++;
    awaitNone();
  }

  synchronized void release() {
    holds--;
    notifyAll();
  }

  /// Waits until no request is under way.
  synchronized void awaitNone() {
    awaitWhile(() -> count > 0);
  }

  /// Lets no more requests begin, and waits until those under way are done.
  synchronized void end() {
    ended = true;
    notifyAll();
    awaitNone();
  }

  private void awaitWhile(java.util.function.BooleanSupplier condition) {
    boolean interrupted = false;
    while (condition.getAsBoolean()) {
      try {
        wait();
      } catch (InterruptedException e) {
        // What is waited for is memory that must not be touched any more: there is no giving up.
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
