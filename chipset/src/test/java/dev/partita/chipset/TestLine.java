package dev.partita.chipset;

import dev.partita.chipset.interrupt.InterruptLine;

/// A line that counts its rises.
public final class TestLine implements InterruptLine {
  public boolean level;
  public int rises;

  @Override
  public void set(boolean asserted) {
    if (asserted && !level) {
      rises++;
    }
    level = asserted;
  }
}
