package dev.partita.cli;

import dev.partita.worker.Outcome.StopReason;
import dev.partita.worker.Worker;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// Ends the partition in good order when the process is told to end (SIGINT, SIGTERM, SIGHUP): the
/// JVM runs this as its shutdown hook, and then ends with 128 + the signal's number.
final class EndingSignals implements AutoCloseable {
  /// How long the partition may take to stop before the process ends all the same.
  private static final long STOP_SECONDS = 5;

  private final CountDownLatch done = new CountDownLatch(1);
  private final Thread hook;

  EndingSignals(Worker worker) {
    hook =
        new Thread(
            () -> {
              worker.stop(StopReason.SIGNAL);
              try {
                done.await(STOP_SECONDS, TimeUnit.SECONDS);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "partita-signals");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /// The partition has ended and everything is cleaned up.
  @Override
  public void close() {
    done.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is ending: the hook runs now and has been told.
    }
  }
}
