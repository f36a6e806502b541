package dev.partita.vmbus;

/// A device's part in one open channel. All methods are called on the channel's own thread, one at
/// a time, and may block: nothing else waits for them, other than the guest that closes the
/// channel. An exception ends the channel.
public interface ChannelHandler {
  /// A packet has come.
  void received(Packet packet);

  /// There may be room again in the ring to the guest, after {@link Channel#send} found none.
  default void roomAvailable() {}

  /// The guest takes a GPADL back. When this returns, the device must not touch its memory any
  /// more.
  default void gpadlRemoved(int id) {}

  /// The bus is paused. When this returns, the device must not touch guest memory on the
  /// channel's behalf any more until the next call of another method; its sends find no room
  /// meanwhile. Called on the thread that pauses the bus, while the channel's own thread rests.
  default void rest() {}

  /// The channel is closed. When this returns, the device must not touch guest memory on its behalf
  /// any more. Called once, and nothing after it.
  default void closed() {}
}
