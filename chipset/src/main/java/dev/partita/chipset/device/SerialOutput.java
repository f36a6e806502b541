package dev.partita.chipset.device;

/// Where a serial port's output goes.
@FunctionalInterface
public interface SerialOutput {
  /// Takes one byte, 0 to 255. Called on a processor's thread with the port locked: an
  /// implementation that waits for a slow reader holds up that processor, as a slow line would. It
  /// must not throw, and must not call the port.
  void write(int value);
}
