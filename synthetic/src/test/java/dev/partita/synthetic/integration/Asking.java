package dev.partita.synthetic.integration;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;

/// Asks the guest on threads of their own, while the test answers for the guest.
final class Asking {
  private Asking() {}

  static <T> Future<T> inBackground(Callable<T> question) {
    var task = new FutureTask<T>(question);
    Thread.ofVirtual().start(task);
    return task;
  }

  /// The status with which a question is refused.
  static int refusal(Future<?> asked) throws InterruptedException {
    try {
      asked.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof GuestRefusalException refused) {
        return refused.status();
      }
      throw new AssertionError(e.getCause());
    }
    throw new AssertionError("not refused");
  }
}
