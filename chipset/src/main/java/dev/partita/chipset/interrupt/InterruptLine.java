package dev.partita.chipset.interrupt;

/// One device's interrupt output. Several lines may share an input: it is asserted while any of
/// them is. Thread-safe.
public interface InterruptLine {
  void set(boolean asserted);

  default void raise() {
    set(true);
  }

  default void lower() {
    set(false);
  }
}
