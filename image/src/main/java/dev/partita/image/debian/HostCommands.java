package dev.partita.image.debian;

import dev.partita.image.ImageException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// Runs programs as child processes.
final class HostCommands implements Commands {
  private static final int OUTPUT_LIMIT = 16 << 20;
  private static final long TICK_MILLISECONDS = 100;

  @Override
  public boolean has(String program) {
    String path = Optional.ofNullable(System.getenv("PATH")).orElse("/usr/bin:/bin");
    for (String folder : path.split(File.pathSeparator)) {
      if (!folder.isEmpty() && Files.isExecutable(Path.of(folder, program))) {
        return true;
      }
    }
    return false;
  }

  @Override
  public Result run(List<String> command, Path directory, Runnable tick) throws ImageException {
    ProcessBuilder builder = new ProcessBuilder(command).directory(directory.toFile());
    builder.environment().put("LC_ALL", "C");
    builder.environment().put("DEBIAN_FRONTEND", "noninteractive");
    builder.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new ImageException(
          "cannot run %s: %s".formatted(command.getFirst(), e.getMessage()), e);
    }
    try {
      CompletableFuture<String> out = text(process.getInputStream());
      CompletableFuture<String> err = text(process.getErrorStream());
      while (!process.waitFor(TICK_MILLISECONDS, TimeUnit.MILLISECONDS)) {
        tick.run();
      }
      return new Result(process.exitValue(), out.join(), err.join());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new ImageException("interrupted while %s ran".formatted(command.getFirst()), e);
    } finally {
      process.destroy(); // does nothing to one that has ended
    }
  }

  private static CompletableFuture<String> text(InputStream in) {
    CompletableFuture<String> text = new CompletableFuture<>();
    Thread.ofVirtual()
        .start(
            () -> {
              String start = "";
              try {
                start = new String(in.readNBytes(OUTPUT_LIMIT), StandardCharsets.UTF_8);
                in.skip(Long.MAX_VALUE);
              } catch (IOException e) {
                // The program was ended: what it said so far will do.
              } finally {
                text.complete(start);
              }
            });
    return text;
  }
}
