package dev.partita.cli;

import dev.partita.image.GuestScript;
import dev.partita.image.Images;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.file.Files;

/// The launcher's training run after a build: goes through what every start goes through, and boots
/// a guest, for the JDK to keep classes and profiles in its ahead-of-time cache. Not a command: it
/// has no use of its own.
final class Train {
  /// What the guest does: some processes, some files, some arithmetic.
  private static final String SCRIPT = "ls -lR /bin >/dev/null; sha256sum /bin/busybox; uname -a";

  private Train() {}

  /// With the argument `fetch` only makes the guest's files, with progress on standard error; else
  /// trains, with a guest if its files are there. Exits with 0 in any case: what cannot be had is
  /// done without.
  public static void main(String[] args) {
    try {
      if (args.length == 1 && args[0].equals("fetch")) {
        GuestSystem.initramfs();
      } else {
        startCommands();
        boot();
      }
    } catch (IOException e) {
      // The run that needs them will say so.
    }
    System.exit(0);
  }

  private static void startCommands() {
    var out = System.out;
    try (var nowhere = new PrintStream(OutputStream.nullOutputStream())) {
      System.setOut(nowhere);
      var line = Main.commandLine();
      line.setOut(new PrintWriter(OutputStream.nullOutputStream()));
      line.execute("--version");
      line.execute("help", "run");
      line.execute("list");
    } finally {
      System.setOut(out);
    }
  }

  private static void boot() throws IOException {
    if (!Files.isDirectory(Images.defaultCache().resolve("debian"))) {
      return;
    }
    var files = GuestSystem.initramfs();
    Main.commandLine()
        .execute(
            "run",
            "--kernel",
            files.kernel().toString(),
            "--initrd",
            files.initrd().toString(),
            "--append",
            GuestScript.onCommandLine(files.commandLine(), SCRIPT),
            "--no-reboot",
            "--timeout",
            "60s");
  }
}
