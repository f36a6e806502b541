package dev.partita.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// What every benchmark beside QEMU's TCG needs: both programs, and the same guest in both.
final class SideBySide {
  static final String QEMU = "qemu-system-x86_64";

  /// The nearest to Partita's processor that QEMU has: x86-64-v2, and what Partita offers beyond.
  private static final String QEMU_CPU =
      "Westmere,+movbe,+rdrand,+xsave,+fsgsbase,+bmi1,+bmi2,+adx,+smep,+smap,+erms,+rdseed,"
          + "+clflushopt,+clwb,+x2apic,+tsc-deadline";

  /// Work that one processor model would save and the other not is left out on both sides:
  /// mitigations of speculation, which Partita's processor does not need.
  static final String COMMON_PARAMETERS = " mitigations=off";

  private SideBySide() {}

  /// The launcher that runs Partita.
  ///
  /// @param benchmark its name, for who calls it in another way
  static String launcher(String benchmark) throws IOException {
    var launcher = System.getenv("PARTITA_LAUNCHER");
    if (launcher == null) {
      throw new IOException("run it as ./partita bench " + benchmark);
    }
    return launcher;
  }

  /// Refuses to begin without a program.
  static void require(String program, String debianPackage, String instead) throws IOException {
    if (!isOnPath(program)) {
      throw new IOException(
          "%s is missing: install the package %s (as root: apt-get install %s)%s"
              .formatted(program, debianPackage, debianPackage, instead));
    }
  }

  private static boolean isOnPath(String program) {
    var path = System.getenv("PATH");
    return path != null
        && Arrays.stream(path.split(":"))
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }

  /// What a guest boots.
  ///
  /// @param commandLine of the kernel
  /// @param memory MiB
  record Guest(Path kernel, Path initrd, String commandLine, int memory, int processors) {}

  /// The command that boots a guest under Partita, without a network.
  static List<String> partita(String launcher, Guest guest, String... more) {
    var command =
        new ArrayList<>(
            List.of(
                launcher,
                "run",
                "--kernel",
                guest.kernel.toString(),
                "--initrd",
                guest.initrd.toString(),
                "--append",
                guest.commandLine,
                "--memory",
                guest.memory + "M",
                "--cpus",
                Integer.toString(guest.processors),
                "--no-reboot",
                "--stats"));
    command.addAll(List.of(more));
    return command;
  }

  /// The same under QEMU's TCG.
  static List<String> qemu(Guest guest, String... more) {
    var command =
        new ArrayList<>(
            List.of(
                QEMU,
                "-accel",
                "tcg",
                "-M",
                "pc",
                "-cpu",
                QEMU_CPU,
                "-m",
                guest.memory + "M",
                "-smp",
                Integer.toString(guest.processors),
                "-nodefaults",
                "-display",
                "none",
                "-serial",
                "stdio",
                "-no-reboot",
                "-kernel",
                guest.kernel.toString(),
                "-initrd",
                guest.initrd.toString(),
                "-append",
                guest.commandLine));
    command.addAll(List.of(more));
    return command;
  }

  /// What a program printed.
  ///
  /// @param out standard output: the guest's console
  record Output(int exitCode, String out, String errors) {
    /// The end of the console, for a message.
    String lastWords() {
      return out.substring(Math.max(0, out.length() - 2000));
    }
  }

  /// A program that runs.
  static final class Running implements AutoCloseable {
    private final List<String> command;
    private final Process process;
    private final CompletableFuture<String> out;
    private final CompletableFuture<String> errors;

    private Running(List<String> command) throws IOException {
      this.command = command;
      process = new ProcessBuilder(command).start();
      process.getOutputStream().close();
      out = read(process.getInputStream());
      errors = read(process.getErrorStream());
    }

    private static CompletableFuture<String> read(InputStream in) {
      return CompletableFuture.supplyAsync(() -> text(in), task -> Thread.ofVirtual().start(task));
    }

    /// Waits for the end.
    ///
    /// @param limit seconds
    /// @throws IOException if it takes longer
    Output await(int limit) throws IOException, InterruptedException {
      if (!process.waitFor(limit, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new IOException(
            "%s: not through after %d s; its console ends with: %s"
                .formatted(
                    command.getFirst(),
                    limit,
                    new Output(0, out.join(), errors.join()).lastWords()));
      }
      return new Output(process.exitValue(), out.join(), errors.join());
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }

  /// Starts a program, with nothing on its standard input.
  static Running start(List<String> command) throws IOException {
    return new Running(command);
  }

  /// Runs a program to its end.
  ///
  /// @param limit seconds
  /// @throws IOException if it takes longer
  static Output run(List<String> command, int limit) throws IOException, InterruptedException {
    try (var running = start(command)) {
      return running.await(limit);
    }
  }

  /// All that a stream brings, until it ends or breaks.
  static String text(InputStream in) {
    try {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      return "";
    }
  }

  /// The median, the upper one of an even number; 0 of none.
  static double median(double[] values) {
    var sorted = values.clone();
    Arrays.sort(sorted);
    return sorted.length == 0 ? 0 : sorted[sorted.length / 2];
  }
}
