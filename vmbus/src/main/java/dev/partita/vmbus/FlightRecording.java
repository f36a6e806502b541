package dev.partita.vmbus;

import jdk.jfr.FlightRecorder;

/// Whether the flight recorder may want events. The first event class that is touched costs a fifth
/// of a second and a hundred classes; a partition that nobody watches pays neither.
final class FlightRecording {
  private FlightRecording() {}

  /// False until a recording has been made in this process, by a command-line option or `jcmd`.
  static boolean isOn() {
    return FlightRecorder.isInitialized();
  }
}
