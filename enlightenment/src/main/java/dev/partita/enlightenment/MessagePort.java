package dev.partita.enlightenment;

/// The host's end of a message connection: what a guest posts to its id with `HvCallPostMessage`.
@FunctionalInterface
public interface MessagePort {
  /// Takes a message, on the thread of the processor that posts it; must not block for long.
  ///
  /// @param type chosen by the guest, 1 to 0x7FFFFFFF
  /// @param payload 0 to 240 bytes, a copy
  Answer post(int type, byte[] payload);

  /// What the hypercall answers.
  enum Answer {
    /// HV_STATUS_SUCCESS.
    ACCEPTED,
    /// HV_STATUS_INSUFFICIENT_BUFFERS: nothing was taken, and the guest is to try again later.
    INSUFFICIENT_BUFFERS
  }
}
