package dev.partita.image.debian;

import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Runs the installation script, keeps what it prints in a log, and tells progress from it.
final class Installation {
  private static final long TICK_MILLISECONDS = 100;
  private static final int KEPT_LINES = 8;
  private static final Pattern STEP =
      Pattern.compile("(Unpacking|Setting up) ([a-z0-9][a-z0-9+.-]*)(?::\\w+)? \\(.*");

  private final Path log;
  private final Progress progress;
  private final Map<String, Long> sizes = new HashMap<>();
  private final long total;
  private final Deque<String> last = new ArrayDeque<>();
  private final Map<String, Long> steps = new HashMap<>();
  private String stop = "";
  private String stage = "";
  private long done;

  /// @param log what the script prints
  /// @param packages where the packages' files are
  Installation(Path log, Path packages, List<ReleaseArchive.Planned> plan, Progress progress)
      throws IOException {
    this.log = log;
    this.progress = progress;
    long sum = 0;
    for (ReleaseArchive.Planned one : plan) {
      long size = Files.size(packages.resolve(one.fileName()));
      sizes.put(one.name(), size);
      sum += size;
    }
    total = sum;
  }

  /// Runs it to its end.
  ///
  /// @throws ImageException when it fails; its message has what it said last
  void run(List<String> command, Path directory, Map<String, String> environment)
      throws IOException {
    Files.deleteIfExists(log);
    ProcessBuilder builder = new ProcessBuilder(command).directory(directory.toFile());
    // A person's own settings have no place in a guest's making.
    builder.environment().keySet().removeIf(name -> !name.equals("PATH"));
    builder.environment().merge("PATH", "/usr/sbin:/sbin", (a, b) -> a + ":" + b);
    builder.environment().put("LC_ALL", "C");
    builder.environment().putAll(environment);
    builder.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
    builder.redirectErrorStream(true);
    builder.redirectOutput(log.toFile());
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new ImageException(
          "cannot run %s: %s".formatted(command.getFirst(), e.getMessage()), e);
    }
    try (RandomAccessFile text = new RandomAccessFile(log.toFile(), "r")) {
      StringBuilder partial = new StringBuilder();
      while (!process.waitFor(TICK_MILLISECONDS, TimeUnit.MILLISECONDS)) {
        read(text, partial);
      }
      read(text, partial);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ImageException("interrupted while the packages were installed", e);
    } finally {
      process.destroyForcibly(); // does nothing to one that has ended
    }
    if (process.exitValue() != 0 || !stage.equals("done")) {
      String why = stop.isEmpty() ? "its last words: " + String.join(" | ", last) : stop;
      throw new ImageException("the installation failed (all of it: %s): %s".formatted(log, why));
    }
  }

  private void read(RandomAccessFile text, StringBuilder partial) throws IOException {
    byte[] chunk = new byte[64 << 10];
    for (int count = text.read(chunk); count > 0; count = text.read(chunk)) {
      partial.append(new String(chunk, 0, count, StandardCharsets.ISO_8859_1));
      int end;
      while ((end = partial.indexOf("\n")) >= 0) {
        line(partial.substring(0, end));
        partial.delete(0, end + 1);
      }
    }
  }

  private void line(String line) {
    if (line.startsWith("partita: stop ")) {
      stop = line.substring("partita: stop ".length());
      return;
    }
    if (line.startsWith("partita: stage ")) {
      stage = line.substring("partita: stage ".length());
      switch (stage) {
        case "unpack" -> progress.update("Unpacking the base system", 0, 0);
        case "install" -> tell();
        case "settle" -> progress.update("Setting up the guest", 0, 0);
        case "format" -> progress.update("Making the file system", 0, 0);
        default -> {}
      }
      return;
    }
    if (!line.isBlank()) {
      last.addLast(line.strip());
      if (last.size() > KEPT_LINES) {
        last.removeFirst();
      }
    }
    Matcher step = STEP.matcher(line);
    if (stage.equals("install") && step.matches()) {
      Long size = sizes.get(step.group(2));
      // Half of a package's share for each of its two steps, once.
      if (size != null && steps.put(step.group(1) + step.group(2), size) == null) {
        done += size;
        tell();
      }
    }
  }

  private void tell() {
    progress.update("Installing %d packages".formatted(sizes.size()), done / 2, total);
  }
}
