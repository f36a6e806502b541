package dev.partita.enlightenment;

/// The host's end of an event connection: what a guest signals with `HvCallSignalEvent`.
@FunctionalInterface
public interface EventPort {
  /// Hears of a signal, on the thread of the processor that gives it; must not block for long.
  ///
  /// @param flag the number of the event flag, 0 to 65535
  void signal(int flag);
}
