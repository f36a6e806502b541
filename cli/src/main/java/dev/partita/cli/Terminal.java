package dev.partita.cli;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/// The operator's terminal in raw mode, while it lives. What it was is restored when it is closed,
/// and when the process ends in any way that lets it run a shutdown hook; the launcher script
/// restores it in every other.
final class Terminal implements AutoCloseable {
  private static final int STANDARD_INPUT = 0;

  // System.in and System.out buffer and lock: these are the descriptors themselves.
  private final InputStream input = new FileInputStream(FileDescriptor.in);
  private final FileOutputStream output = new FileOutputStream(FileDescriptor.out);
  private final Posix.TerminalSettings before;
  private final Thread restore;
  private boolean raw;

  /// Whether standard input and output are both a terminal.
  static boolean isInteractive() {
    return Posix.isTerminal(0) && Posix.isTerminal(1);
  }

  /// Makes the terminal raw.
  Terminal() {
    before = Posix.TerminalSettings.of(STANDARD_INPUT);
    var rawSettings = before.raw();
    restore = new Thread(this::restore, "partita-terminal");
    Runtime.getRuntime().addShutdownHook(restore);
    synchronized (this) {
      raw = rawSettings.apply(STANDARD_INPUT);
    }
    OperatorLog.setRaw(true);
  }

  private synchronized void restore() {
    if (raw) {
      raw = false;
      before.apply(STANDARD_INPUT);
      OperatorLog.setRaw(false);
    }
  }

  /// Reads what was typed; blocks.
  ///
  /// @return bytes read, or -1 when the terminal is gone
  int read(byte[] bytes) {
    try {
      return input.read(bytes);
    } catch (IOException e) {
      return -1;
    }
  }

  void write(byte[] bytes, int length) throws IOException {
    output.write(bytes, 0, length);
  }

  /// Writes a line of the operator's own, from the first column.
  void say(String line) {
    try {
      var bytes = ("\r\n" + line + "\r\n").getBytes(StandardCharsets.UTF_8);
      write(bytes, bytes.length);
    } catch (IOException e) {
      // The terminal is gone: nobody to tell.
    }
  }

  /// Restores what was.
  @Override
  public void close() {
    restore();
    try {
      Runtime.getRuntime().removeShutdownHook(restore);
    } catch (IllegalStateException e) {
      // The process is ending: the hook has run or will.
    }
  }
}
