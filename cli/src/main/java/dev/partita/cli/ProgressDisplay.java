package dev.partita.cli;

import java.io.PrintStream;
import java.util.Locale;

/// Shows how far a long job has come: a bar that moves on a terminal, else one plain line as each
/// stage ends. Nothing is shown of a job that is done at once. One thread.
final class ProgressDisplay {
  private static final int BAR_WIDTH = 30;

  private final PrintStream out;
  private final boolean moving;
  private String stage = "";
  private boolean lineOpen;

  /// @param out where to
  /// @param moving whether it is a terminal, on which a line can be rewritten
  ProgressDisplay(PrintStream out, boolean moving) {
    this.out = out;
    this.moving = moving;
  }

  /// Shows one step.
  ///
  /// @param name what is being done
  /// @param done bytes so far
  /// @param total bytes in all, 0 when not known
  void update(String name, long done, long total) {
    if (!name.equals(stage)) {
      finish();
      stage = name;
      if (!moving) {
        out.println("partita: " + name + size(total));
        out.flush();
      }
    }
    if (moving) {
      out.print("\r\033[K" + bar(name, done, total));
      out.flush();
      lineOpen = true;
    }
  }

  /// Ends the moving line, so that what comes next has a line of its own.
  void finish() {
    if (lineOpen) {
      out.println();
      out.flush();
      lineOpen = false;
    }
  }

  private static String size(long total) {
    return total > 0 ? " (" + bytes(total) + ")" : "";
  }

  private static String bar(String name, long done, long total) {
    if (total <= 0) {
      return name + "  " + bytes(done);
    }
    double share = Math.clamp((double) done / total, 0, 1);
    int full = (int) (share * BAR_WIDTH);
    return "%s  [%s%s] %3d%%  %s"
        .formatted(
            name,
            "#".repeat(full),
            " ".repeat(BAR_WIDTH - full),
            (int) (share * 100),
            bytes(total));
  }

  static String bytes(long count) {
    return count < 1 << 20
        ? (count + 1023) / 1024 + " KiB"
        : String.format(Locale.ROOT, "%.1f MiB", count / (double) (1 << 20));
  }
}
