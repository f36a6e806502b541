package dev.partita.image;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// Runs programs of the host that tests compare with.
public final class HostPrograms {
  private HostPrograms() {}

  /// Finds a program, or leaves out the test with the reason.
  public static Path require(String program) {
    Optional<Path> found = find(program);
    assumeTrue(found.isPresent(), program + " is not installed");
    return found.orElseThrow();
  }

  public static Optional<Path> find(String program) {
    List<String> folders =
        new ArrayList<>(
            List.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator)));
    folders.addAll(List.of("/usr/sbin", "/sbin"));
    return folders.stream()
        .filter(folder -> !folder.isEmpty())
        .map(folder -> Path.of(folder, program))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /// Runs a program, which must succeed, and gives what it printed on both outputs.
  public static String run(Path directory, Optional<Path> input, Object... command)
      throws IOException, InterruptedException {
    List<String> words = new ArrayList<>();
    for (Object word : command) {
      words.add(word.toString());
    }
    ProcessBuilder builder =
        new ProcessBuilder(words).directory(directory.toFile()).redirectErrorStream(true);
    builder.environment().put("LC_ALL", "C");
    builder.environment().put("TZ", "UTC");
    builder.redirectInput(input.map(Path::toFile).orElse(new File("/dev/null")));
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
    if (!process.waitFor(120, TimeUnit.SECONDS) || process.exitValue() != 0) {
      process.destroy();
      throw new IOException(words + " failed: " + out);
    }
    return out;
  }
}
