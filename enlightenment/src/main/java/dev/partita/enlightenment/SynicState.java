package dev.partita.enlightenment;

import java.util.List;

/// The saveable state of one virtual processor's synthetic interrupt controller and timers. The
/// message and event-flag pages are saved with guest RAM.
///
/// @param control HV_X64_MSR_SCONTROL
/// @param eventFlagsPage HV_X64_MSR_SIEFP
/// @param messagePage HV_X64_MSR_SIMP
/// @param sources HV_X64_MSR_SINT0 to SINT15
/// @param waiting messages that have not reached their slot, in order
/// @param timers 0 to 3
public record SynicState(
    long control,
    long eventFlagsPage,
    long messagePage,
    List<Long> sources,
    List<Message> waiting,
    List<Timer> timers) {

  public SynicState {
    sources = List.copyOf(sources);
    waiting = List.copyOf(waiting);
    timers = List.copyOf(timers);
    if (sources.size() != Synic.SOURCES || timers.size() != SyntheticTimers.COUNT) {
      throw new IllegalArgumentException(
          "saved state of %d interrupt sources and %d timers"
              .formatted(sources.size(), timers.size()));
    }
  }

  /// A message on its way to a guest.
  ///
  /// @param source the interrupt source it goes to, 0 to 15
  /// @param type HV_MESSAGE_TYPE
  /// @param origin sender's partition or port id
  /// @param payload 0 to 240 bytes, not changed after the record is made
  /// @param timer the timer that sends it, or -1
  public record Message(int source, int type, long origin, byte[] payload, int timer) {
    public Message {
      if (source < 0
          || source >= Synic.SOURCES
          || type == 0
          || payload.length > Synic.LARGEST_PAYLOAD
          || timer < -1
          || timer >= SyntheticTimers.COUNT) {
        throw new IllegalArgumentException(
            "message of type 0x%x, %d bytes, to source %d, of timer %d"
                .formatted(type, payload.length, source, timer));
      }
    }
  }

  /// A synthetic timer.
  ///
  /// @param configuration HV_X64_MSR_STIMERx_CONFIG
  /// @param count HV_X64_MSR_STIMERx_COUNT
  /// @param expiration the reference time at which it expires next, if it is enabled
  public record Timer(long configuration, long count, long expiration) {}
}
