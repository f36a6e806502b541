package dev.partita.cli;

import java.io.PrintStream;
import java.text.MessageFormat;
import java.util.ResourceBundle;
import org.jspecify.annotations.Nullable;

/// What operators read: messages of {@link System.Logger} and of the commands, one line each on the
/// standard error. The logging module is not used: it would be loaded at every start for this.
public final class OperatorLog extends System.LoggerFinder {
  private static final PrintStream ERR = System.err;
  private static volatile boolean raw;

  /// For {@link java.util.ServiceLoader}.
  public OperatorLog() {}

  /// Whether the terminal is raw now, so that a line needs its carriage return.
  static void setRaw(boolean on) {
    raw = on;
  }

  /// Writes one line; control characters, which may be a guest's, are made harmless.
  static void say(String line) {
    var clean = new StringBuilder("partita: ");
    append(clean, line);
    emit(clean);
  }

  /// Writes lines under the one before, indented.
  static void sayMore(Iterable<String> lines) {
    for (var line : lines) {
      var clean = new StringBuilder("  ");
      append(clean, line);
      emit(clean);
    }
  }

  private static void append(StringBuilder to, String line) {
    line.chars().forEach(c -> to.append(c < ' ' || c >= 0x7F && c < 0xA0 ? '?' : (char) c));
  }

  private static void emit(StringBuilder line) {
    if (raw) {
      line.insert(0, '\r').append('\r');
    }
    line.append('\n');
    ERR.print(line);
    ERR.flush();
  }

  @Override
  public System.Logger getLogger(String name, Module module) {
    return new LineLogger(name);
  }

  private record LineLogger(String name) implements System.Logger {
    @Override
    public String getName() {
      return name;
    }

    @Override
    public boolean isLoggable(Level level) {
      return level.getSeverity() >= Level.WARNING.getSeverity() && level != Level.OFF;
    }

    /// The default hands null for the arguments on.
    @Override
    public void log(Level level, @Nullable String message) {
      log(level, null, message, (Throwable) null);
    }

    @Override
    public void log(
        Level level,
        @Nullable ResourceBundle bundle,
        @Nullable String message,
        @Nullable Throwable thrown) {
      if (!isLoggable(level)) {
        return;
      }
      say(String.valueOf(message) + (thrown == null ? "" : ": " + thrown));
      if (thrown != null && level == Level.ERROR) {
        for (var frame : thrown.getStackTrace()) {
          sayMore(java.util.List.of("at " + frame));
        }
      }
    }

    @Override
    public void log(
        Level level,
        @Nullable ResourceBundle bundle,
        @Nullable String format,
        @Nullable Object... arguments) {
      if (isLoggable(level)) {
        say(
            format == null || arguments.length == 0
                ? String.valueOf(format)
                : MessageFormat.format(format, arguments));
      }
    }
  }
}
