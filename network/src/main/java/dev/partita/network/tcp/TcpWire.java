package dev.partita.network.tcp;

/// The way of a connection's segments to its peer, and of its news to its owner.
public interface TcpWire {
  /// Sends a segment: acknowledgment, window and selective acknowledgments are read from the
  /// connection.
  ///
  /// @param length octets of payload, from the connection's {@link TcpConnection#copyPayload};
  ///     may be many times the segment size
  /// @return false if the link has no room now; then {@link TcpConnection#resume} follows
  boolean send(TcpConnection connection, int sequence, int flags, int length);

  /// The connection is over, and its stream toward the host is closed or has only to be drained.
  void closed(TcpConnection connection);

  /// The connection wants {@link TcpConnection#timer} at another time.
  void reschedule(TcpConnection connection);
}
