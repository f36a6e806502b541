package dev.partita.cli;

import java.lang.management.ManagementFactory;
import javax.management.JMException;
import javax.management.ObjectName;
import org.jspecify.annotations.Nullable;

/// Keeps the file that tells `perf` what the JVM's compiled code is: `/tmp/perf-PID.map`. The JVM
/// writes it (its diagnostic command `Compiler.perfmap`); the names of translated regions end with
/// the guest's RIP.
///
/// It is written anew every few seconds, for `perf report` may be asked while the guest runs, and
/// once more at the end. What was compiled and thrown away between two of these has no name.
final class PerfMap implements AutoCloseable {
  private static final long PERIOD_MILLIS = 5_000;

  private final Thread thread = Thread.ofPlatform().name("perf-map").daemon().unstarted(this::run);
  private boolean closed;

  private PerfMap() {}

  /// Keeps it from now on.
  ///
  /// @return ends that; null if this JVM cannot write it, which the operator is told
  static @Nullable PerfMap keep() {
    var map = new PerfMap();
    if (!map.write()) {
      return null;
    }
    map.thread.start();
    return map;
  }

  private synchronized void run() {
    try {
      while (!closed) {
        wait(PERIOD_MILLIS);
        write();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean write() {
    try {
      ManagementFactory.getPlatformMBeanServer()
          .invoke(
              new ObjectName("com.sun.management:type=DiagnosticCommand"),
              "compilerPerfmap",
              new Object[] {new String[0]},
              new String[] {String[].class.getName()});
      return true;
    } catch (JMException e) {
      OperatorLog.say("--perf-map: this JVM cannot write it: " + e);
      return false;
    }
  }

  @Override
  public synchronized void close() {
    closed = true;
    notifyAll();
    write();
  }
}
