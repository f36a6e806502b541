package dev.partita.synthetic.storage;

import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/// Threads for requests that may wait for the host's disks: platform threads, few, and never
/// interrupted (the JDK closes a file under an interrupted thread). The queue before them is as
/// long as the channels let it get.
public final class DiskThreads implements Executor, AutoCloseable {
  private static final int LEAST = 4;
  private static final int MOST = 16;
  private static final int IDLE_SECONDS = 10;

  private final ThreadPoolExecutor pool;

  /// @param processors of the partition: the more there are, the more requests come at a time
  public DiskThreads(int processors) {
    int count = Math.clamp(2L * processors, LEAST, MOST);
    pool =
        new ThreadPoolExecutor(
            count,
            count,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            Thread.ofPlatform().daemon().name("partita-disk-", 0).factory());
    pool.allowCoreThreadTimeOut(true);
  }

  @Override
  public void execute(Runnable request) {
    pool.execute(request);
  }

  /// Takes no more requests; those there are go on to their end.
  @Override
  public void close() {
    pool.shutdown();
  }
}
