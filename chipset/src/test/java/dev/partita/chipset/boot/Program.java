package dev.partita.chipset.boot;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/// A program of the host that works from standard input to standard output.
final class Program {
  private Program() {}

  static boolean installed(String name) {
    for (var directory : System.getenv().getOrDefault("PATH", "").split(":")) {
      if (Files.isExecutable(Path.of(directory, name))) {
        return true;
      }
    }
    return false;
  }

  static byte[] filter(byte[] input, String... command) {
    Path in = null;
    Path out = null;
    try {
      in = Files.createTempFile("partita", ".in");
      out = Files.createTempFile("partita", ".out");
      Files.write(in, input);
      var process =
          new ProcessBuilder(command)
              .redirectInput(in.toFile())
              .redirectOutput(out.toFile())
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      if (!process.waitFor(60, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new IllegalStateException(command[0] + " does not end");
      }
      if (process.exitValue() != 0) {
        throw new IllegalStateException(command[0] + " ended with " + process.exitValue());
      }
      return Files.readAllBytes(out);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } finally {
      for (var file : new Path[] {in, out}) {
        if (file != null && !file.toFile().delete()) {
          file.toFile().deleteOnExit();
        }
      }
    }
  }
}
