package dev.partita.network;

/// What is plugged into a port of a switch: a NIC, the NAT, a TAP device, a link.
///
/// Several threads may deliver at once. None of these calls may block, nor send into the switch on
/// the same thread while it holds a lock that its {@link #deliver} takes.
public interface Endpoint {
  /// What it takes as it is. May change while it is connected.
  Offloads offloads();

  /// Takes a frame from the switch. The frame is lent until the call returns.
  ///
  /// @return false if there is no room; nothing was taken, and the endpoint calls
  ///     {@link Port#ready} when there is
  boolean deliver(Frame frame);

  /// The frames so far were one batch: now is the time to signal a guest or a kernel.
  default void endBatch() {}

  /// A frame that was refused or throttled can be sent again. Runs on any thread.
  default void resume() {}

  /// The port's link went up or down.
  default void linkChanged(boolean up) {}
}
