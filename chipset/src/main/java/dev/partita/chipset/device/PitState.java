package dev.partita.chipset.device;

import java.util.List;

/// The interval timer's saveable state.
///
/// @param channels the three counters
/// @param speaker the speaker bit of port 0x61
public record PitState(List<Channel> channels, boolean speaker) {
  public PitState {
    channels = List.copyOf(channels);
    if (channels.size() != Pit.CHANNELS) {
      throw new IllegalArgumentException(channels.size() + " interval timer channels, not 3");
    }
  }

  /// One counter.
  ///
  /// @param mode 0 to 5
  /// @param bcd counts in decimal
  /// @param access bytes read and written: 1 low, 2 high, 3 low then high
  /// @param reload the count register; 0 stands for the largest count
  /// @param pendingReload a count that replaces it when the period ends, or -1
  /// @param counting a count has been loaded (and triggered, in modes 1 and 5)
  /// @param gate the level of the gate input
  /// @param elapsed nanoseconds since the count was loaded, without those the gate held
  /// @param lowByte the low byte of a count whose high byte is to come, or -1
  /// @param readHigh the next read gives the high byte
  /// @param latchedCount a latched count not yet read, or -1
  /// @param latchedStatus a latched status not yet read, or -1
  public record Channel(
      int mode,
      boolean bcd,
      int access,
      int reload,
      int pendingReload,
      boolean counting,
      boolean gate,
      long elapsed,
      int lowByte,
      boolean readHigh,
      int latchedCount,
      int latchedStatus) {}
}
