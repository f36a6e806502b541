package dev.partita.network;

/// An endpoint's way into the network that it is plugged into. Any thread, several at once.
public interface Port extends AutoCloseable {
  /// What became of a frame.
  enum Outcome {
    /// It went on its way, or was dropped by a rule; there is nothing more to do with it.
    TAKEN,
    /// The receiver has no room now. Drop it, or keep it until {@link Endpoint#resume}.
    REFUSED,
    /// The port's bandwidth is used up. Keep it until {@link Endpoint#resume}, or drop it.
    THROTTLED
  }

  /// Sends a frame, lent until the call returns.
  Outcome send(Frame frame);

  /// Sends a frame, lent until the call returns, that the sender would not keep: if the receiver
  /// has no room it is dropped, and counted as that. Never {@link Outcome#REFUSED}.
  Outcome sendOrDrop(Frame frame);

  /// The frames so far were one batch. Every batch of sent frames ends with this.
  void endBatch();

  /// The endpoint, which refused a frame, has room again.
  void ready();

  /// Whether the link is up.
  boolean up();

  /// Unplugs the endpoint; no delivery begins after this.
  @Override
  void close();
}
