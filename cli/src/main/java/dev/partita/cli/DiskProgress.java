package dev.partita.cli;

import dev.partita.disk.Progress;

/// Shows how far an operation on a disk has come, on a terminal only: elsewhere the command is
/// quiet, as one that copies files is.
final class DiskProgress implements Progress, AutoCloseable {
  private final ProgressDisplay display;
  private final boolean moving;
  private final String name;
  private int shown = -1;

  private DiskProgress(ProgressDisplay display, boolean moving, String name) {
    this.display = display;
    this.moving = moving;
    this.name = name;
  }

  static DiskProgress showing(String name) {
    var console = System.console();
    boolean moving = console != null && console.isTerminal();
    return new DiskProgress(new ProgressDisplay(System.err, moving), moving, name);
  }

  @Override
  public void update(long done, long total) {
    int percent = total <= 0 ? 0 : (int) (100.0 * done / total);
    if (moving && percent != shown) {
      shown = percent;
      display.update(name, done, total);
    }
  }

  @Override
  public void close() {
    display.finish();
  }
}
