package dev.partita.cli;

import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;

/// The launcher's training run after a build: goes through what every start goes through, for the
/// JDK to keep it in its ahead-of-time cache. Not a command: it has no use of its own.
final class Train {
  private Train() {}

  /// Runs through the start-up paths, and exits with 0.
  public static void main(String[] args) throws Exception {
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
    Terminal.isInteractive();
  }
}
