package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/// A `./partita` that a test runs as a person does.
final class PartitaProcess implements AutoCloseable {
  static {
    // Usually done already; else the first test would see the build's messages.
    try {
      var build = new ProcessBuilder(launcher().toString(), "build").inheritIO().start();
      if (build.waitFor() != 0) {
        throw new IllegalStateException("./partita build failed");
      }
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private final Process process;
  private final Output out;
  private final Output err;

  private PartitaProcess(List<String> command, Map<String, String> environment) throws IOException {
    var builder = new ProcessBuilder(command);
    builder.environment().putAll(environment);
    process = builder.start();
    out = new Output(process.getInputStream());
    err = new Output(process.getErrorStream());
  }

  /// Starts `./partita` with arguments, its runtime folder in `runtime`.
  static PartitaProcess start(Path runtime, String... arguments) throws IOException {
    var command = new ArrayList<String>();
    command.add(launcher().toString());
    command.addAll(List.of(arguments));
    return new PartitaProcess(command, environment(runtime));
  }

  /// The same on a terminal of its own, made by script(1).
  static PartitaProcess startOnTerminal(Path runtime, String... arguments) throws IOException {
    var command = new StringBuilder("'" + launcher() + "'");
    for (var argument : arguments) {
      command.append(" '").append(argument).append("'");
    }
    return new PartitaProcess(
        List.of("script", "-q", "-e", "-f", "-c", command.toString(), "/dev/null"),
        environment(runtime));
  }

  private static Map<String, String> environment(Path runtime) {
    return Map.of(
        "XDG_RUNTIME_DIR", runtime.toString(), "XDG_STATE_HOME", runtime.resolve("s").toString());
  }

  /// The launcher at the project's root.
  static Path launcher() {
    for (var folder = Path.of("").toAbsolutePath(); folder != null; folder = folder.getParent()) {
      var launcher = folder.resolve("partita");
      if (Files.isExecutable(launcher) && Files.isRegularFile(launcher)) {
        return launcher;
      }
    }
    throw new IllegalStateException("no ./partita above " + Path.of("").toAbsolutePath());
  }

  Process process() {
    return process;
  }

  void type(String text) throws IOException {
    process.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
    process.getOutputStream().flush();
  }

  void closeInput() throws IOException {
    process.getOutputStream().close();
  }

  String out() {
    return out.text();
  }

  /// What it said on standard error, but for the line that tells the engine, which depends on the
  /// host.
  String err() {
    return err.text().replaceFirst("^partita: engine [^\n]*\n", "");
  }

  /// All that it said on standard error.
  String wholeErr() {
    return err.text();
  }

  /// Waits until standard output holds a text, after the place where the last wait ended.
  void expect(String text, int seconds) throws InterruptedException {
    out.expect(text, seconds, this);
  }

  /// Waits for the end.
  ///
  /// @return the exit code; both outputs are complete then
  int exitCode(int seconds) throws InterruptedException {
    if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
      fail("still running after %d s%n%s", seconds, this);
    }
    out.join();
    err.join();
    return process.exitValue();
  }

  @Override
  public String toString() {
    return "--- standard output ---\n" + out() + "\n--- standard error ---\n" + err();
  }

  @Override
  public void close() {
    process.descendants().forEach(ProcessHandle::destroyForcibly);
    process.destroyForcibly();
  }

  /// Asserts that a runtime folder holds no partition any more, and nothing but its lock.
  static void assertNothingLeft(Path runtime) throws IOException {
    var folder = runtime.resolve("partita");
    if (Files.exists(folder)) {
      try (var files = Files.list(folder)) {
        assertThat(files.map(file -> String.valueOf(file.getFileName()))).allMatch(".lock"::equals);
      }
    }
  }

  /// Collects one output of the process.
  private static final class Output {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final Thread reader;
    private int seen;
    private boolean ended;

    Output(InputStream in) {
      reader = Thread.ofPlatform().daemon().start(() -> collect(in));
    }

    private void collect(InputStream in) {
      var buffer = new byte[8192];
      try {
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
          synchronized (this) {
            bytes.write(buffer, 0, n);
            notifyAll();
          }
        }
      } catch (IOException e) {
        // The process was ended by the test.
      }
      synchronized (this) {
        ended = true;
        notifyAll();
      }
    }

    synchronized String text() {
      return bytes.toString(StandardCharsets.ISO_8859_1);
    }

    synchronized void expect(String text, int seconds, PartitaProcess whole)
        throws InterruptedException {
      long end = System.nanoTime() + seconds * 1_000_000_000L;
      int at = text().indexOf(text, seen);
      while (at < 0) {
        long left = (end - System.nanoTime()) / 1_000_000L;
        if (left <= 0 || ended) {
          fail(
              "\"%s\" did not appear %s%n%s",
              text, ended ? "before the end" : "within " + seconds + " s", whole);
        }
        wait(left);
        at = text().indexOf(text, seen);
      }
      seen = at + text.length();
    }

    void join() throws InterruptedException {
      reader.join(10_000);
    }
  }
}
