package dev.partita.network;

/// What is plugged into a port of a switch: a NIC, the NAT, a TAP device, a link.
///
/// Several threads may deliver at once. None of these calls may block. A lock that {@link
/// #deliver} takes must not be held while the endpoint sends, ends a batch or calls {@link
/// Port#ready}: others deliver under locks of their own, and both together would be a deadlock.
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
