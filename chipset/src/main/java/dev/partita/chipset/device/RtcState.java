package dev.partita.chipset.device;

/// The real-time clock's saveable state.
///
/// @param memory the 128 bytes; those of the time hold it while the clock stands
/// @param index the register chosen through port 0x70
/// @param offsetSeconds whole seconds the guest's clock is ahead of the host's
/// @param offsetNanos nanoseconds it is ahead of that, 0 to 999,999,999
/// @param dayShift days to add to the true day of the week, 0 to 6
/// @param accounted wall-clock nanoseconds up to which events are in register C
public record RtcState(
    byte[] memory, int index, long offsetSeconds, int offsetNanos, int dayShift, long accounted) {
  public RtcState {
    if (memory.length != Rtc.MEMORY_SIZE) {
      throw new IllegalArgumentException("CMOS memory has " + memory.length + " bytes");
    }
    if (offsetNanos < 0 || offsetNanos > 999_999_999) {
      throw new IllegalArgumentException("clock offset of " + offsetNanos + " ns");
    }
  }
}
