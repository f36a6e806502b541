package dev.partita.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

/// One boot of a guest by one program, by the host's clock.
///
/// @param startToScript seconds from the start of the program to the marker that the guest's
///     script prints
/// @param kernelToInit seconds from the kernel's first line on the console to its last, that it
///     starts init: what drivers init loads then depends on the devices that are there
/// @param whole seconds from the start of the program to its end, the guest powered off
/// @param residentKib the program's resident set when the marker appears, guest RAM included
/// @param statistics what the program wrote to standard error as `key value` lines
record BootRun(
    double startToScript,
    double kernelToInit,
    double whole,
    long residentKib,
    Map<String, String> statistics) {

  /// What every Linux kernel says first.
  private static final String FIRST_LINE = "Linux version ";

  /// What it says last, before it starts init from a RAM disk.
  private static final String LAST_LINE = "Run /init as init process";

  private static final Pattern STATISTIC = Pattern.compile(" +([a-z0-9.-]+) ([0-9.]+)");
  private static final Pattern RESIDENT = Pattern.compile("VmRSS:\\s+([0-9]+) kB");

  /// Runs a program to its end.
  ///
  /// @param marker the line the guest prints when it is there
  /// @throws IOException if it fails, or its guest does not print both lines in time
  static BootRun measure(List<String> command, String marker, Duration limit)
      throws IOException, InterruptedException {
    long start = System.nanoTime();
    var process = new ProcessBuilder(command).start();
    try {
      process.getOutputStream().close();
      var errors =
          CompletableFuture.supplyAsync(
              () -> readAll(process.getErrorStream()), task -> Thread.ofVirtual().start(task));
      var console = new ConsoleClock(process, marker);
      var reader = Thread.ofPlatform().daemon().start(console);
      if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new IOException(
            "%s: not through after %d s; its console ends with: %s"
                .formatted(command.getFirst(), limit.toSeconds(), console.lastWords()));
      }
      long end = System.nanoTime();
      reader.join();
      if (process.exitValue() != 0
          || console.markerNanos == 0
          || console.firstNanos == 0
          || console.initNanos == 0) {
        throw new IOException(
            "%s: exit code %d; its console ends with: %s; it says: %s"
                .formatted(
                    command.getFirst(),
                    process.exitValue(),
                    console.lastWords(),
                    errors.join().strip()));
      }
      return new BootRun(
          (console.markerNanos - start) / 1e9,
          (console.initNanos - console.firstNanos) / 1e9,
          (end - start) / 1e9,
          console.residentKib,
          statistics(errors.join()));
    } finally {
      process.destroyForcibly();
    }
  }

  private static String readAll(InputStream in) {
    try {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      return "";
    }
  }

  private static Map<String, String> statistics(String errors) {
    var statistics = new HashMap<String, String>();
    for (var line : errors.lines().toList()) {
      var match = STATISTIC.matcher(line);
      if (match.matches()) {
        statistics.put(match.group(1), match.group(2));
      }
    }
    return statistics;
  }

  /// Reads a console and notes when the lines come.
  private static final class ConsoleClock implements Runnable {
    private final Process process;
    private final String marker;
    private final StringBuilder tail = new StringBuilder();
    private volatile long firstNanos;
    private volatile long initNanos;
    private volatile long markerNanos;
    private volatile long residentKib;

    ConsoleClock(Process process, String marker) {
      this.process = process;
      this.marker = marker;
    }

    @Override
    public void run() {
      var in = process.getInputStream();
      var line = new StringBuilder();
      var bytes = new byte[4096];
      try {
        for (int n = in.read(bytes); n >= 0; n = in.read(bytes)) {
          long now = System.nanoTime();
          for (int i = 0; i < n; i++) {
            if (bytes[i] == '\n') {
              take(line.toString().strip(), now);
              line.setLength(0);
            } else {
              line.append((char) (bytes[i] & 0xFF));
            }
          }
        }
      } catch (IOException e) {
        // The program has ended.
      }
    }

    private void take(String line, long now) {
      if (firstNanos == 0 && line.contains(FIRST_LINE)) {
        firstNanos = now;
      }
      if (initNanos == 0 && line.contains(LAST_LINE)) {
        initNanos = now;
      }
      // The whole line: the kernel prints its command line, which holds the script.
      if (markerNanos == 0 && line.equals(marker)) {
        markerNanos = now;
        residentKib = resident(process.pid());
      }
      synchronized (tail) {
        tail.append(line).append(" | ");
        tail.delete(0, Math.max(0, tail.length() - 300));
      }
    }

    String lastWords() {
      synchronized (tail) {
        return tail.toString();
      }
    }

    private static long resident(long pid) {
      try {
        var match =
            RESIDENT.matcher(Files.readString(Path.of("/proc", Long.toString(pid), "status")));
        return match.find() ? Long.parseLong(match.group(1)) : 0;
      } catch (IOException e) {
        return 0;
      }
    }
  }
}
