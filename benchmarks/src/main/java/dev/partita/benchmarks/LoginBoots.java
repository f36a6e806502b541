package dev.partita.benchmarks;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// Boots of one Debian with systemd from its disk to the login prompt: under Partita from a VHDX on
/// the synthetic SCSI controller, under QEMU's TCG from a raw file on virtio-blk. Each boot begins
/// with the same contents, of a system that was booted once before: what it does only the first
/// time is done.
final class LoginBoots {
  private static final String PROMPT = "login: ";
  private static final String FIRST_LINE = "Linux version ";

  private final String launcher;
  private final int memory;
  private final int processors;
  private final Duration limit;

  /// A boot's times, in seconds.
  ///
  /// @param whole from the start of the program to the prompt
  /// @param kernel from the kernel's first line to the prompt
  record Login(double whole, double kernel) {}

  /// @param memory MiB
  /// @param limit of each boot
  LoginBoots(String launcher, int memory, int processors, Duration limit) {
    this.launcher = launcher;
    this.memory = memory;
    this.processors = processors;
    this.limit = limit;
  }

  /// Boots in turn.
  ///
  /// @param ours takes Partita's times, unless null
  /// @param theirs takes QEMU's
  void run(int runs, boolean partita, boolean qemu, List<Login> ours, List<Login> theirs)
      throws IOException, InterruptedException {
    try (var disk = BenchmarkDisk.prepare("debian", List.of())) {
      var settled = disk.child("settled.vhdx", disk.vhdx());
      System.err.println("The first boot of the disk, which does not count");
      try (var guest = new Guest(partitaCommand(disk, settled.toString()), disk.errors())) {
        guest.waitFor(PROMPT);
        guest.type("partita\n");
        guest.waitFor("$ ");
        guest.type("sudo poweroff\n");
        guest.waitForEnd();
      }
      if (qemu) {
        disk.raw(settled);
      }
      System.out.printf("%n%-8s %16s %16s%n", "", "start to login", "kernel to login");
      for (int i = 0; i < runs; i++) {
        if (partita) {
          var child = disk.child("run.vhdx", settled).toString();
          ours.add(boot("partita", partitaCommand(disk, child), disk.errors()));
        }
        if (qemu) {
          theirs.add(boot("qemu", qemuCommand(disk), disk.errors()));
        }
      }
    }
  }

  private Login boot(String name, List<String> command, Path errors)
      throws IOException, InterruptedException {
    try (var guest = new Guest(command, errors)) {
      guest.waitFor(FIRST_LINE);
      long kernel = System.nanoTime();
      guest.waitFor(PROMPT);
      long end = System.nanoTime();
      var login = new Login((end - guest.start) / 1e9, (end - kernel) / 1e9);
      System.out.printf("%-8s %14.2f s %14.2f s%n", name, login.whole, login.kernel);
      return login;
    }
  }

  private SideBySide.Guest guest(BenchmarkDisk disk) {
    return new SideBySide.Guest(
        disk.kernel(),
        disk.initrd(),
        disk.commandLine() + SideBySide.COMMON_PARAMETERS,
        memory,
        processors);
  }

  private List<String> partitaCommand(BenchmarkDisk disk, String file) {
    return SideBySide.partita(launcher, guest(disk), "--disk", file);
  }

  private List<String> qemuCommand(BenchmarkDisk disk) {
    return SideBySide.qemu(
        guest(disk),
        "-drive",
        "if=virtio,format=raw,snapshot=on,file=" + disk.raw(),
        "-netdev",
        "user,id=net",
        "-device",
        "virtio-net-pci,netdev=net,romfile=");
  }

  /// A program whose console is read here; killed on closing.
  private final class Guest implements AutoCloseable {
    final long start = System.nanoTime();
    private final Process process;
    private final Path errors;
    private final StringBuilder unread = new StringBuilder();

    /// @param errors takes what it says on standard error
    Guest(List<String> command, Path errors) throws IOException {
      this.errors = errors;
      process = new ProcessBuilder(command).redirectError(errors.toFile()).start();
    }

    /// Reads the console up to a text.
    void waitFor(String text) throws IOException, InterruptedException {
      long deadline = System.nanoTime() + limit.toNanos();
      var in = process.getInputStream();
      var bytes = new byte[4096];
      int at = unread.indexOf(text);
      while (at < 0) {
        if (in.available() == 0) {
          // A blocking read could not be ended in time.
          if (System.nanoTime() - deadline > 0 || !process.isAlive()) {
            throw new IOException(
                "no \"%s\" on the console, which ends with: %s%n%s"
                    .formatted(
                        text,
                        unread.substring(Math.max(0, unread.length() - 1000)),
                        Files.readString(errors, StandardCharsets.ISO_8859_1)));
          }
          Thread.sleep(1);
          continue;
        }
        int n = in.read(bytes);
        unread.append(new String(bytes, 0, Math.max(0, n), StandardCharsets.ISO_8859_1));
        at = unread.indexOf(text);
      }
      unread.delete(0, at + text.length());
    }

    void type(String text) throws IOException {
      process.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
      process.getOutputStream().flush();
    }

    void waitForEnd() throws IOException, InterruptedException {
      process.getInputStream().transferTo(java.io.OutputStream.nullOutputStream());
      if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS) || process.exitValue() != 0) {
        throw new IOException("the guest did not power off in good order");
      }
    }

    @Override
    public void close() throws InterruptedException {
      process.destroy();
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    }
  }
}
