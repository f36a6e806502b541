package dev.partita.network.tcp;

import java.io.IOException;
import java.nio.ByteBuffer;

/// The host's side of a connection: a socket that never blocks.
public interface HostStream {
  /// Reads what is there.
  ///
  /// @return octets, 0 if there are none now, -1 at the end of the stream
  /// @throws IOException if the connection broke
  int read(ByteBuffer into) throws IOException;

  /// Writes what fits.
  ///
  /// @return octets, perhaps 0
  /// @throws IOException if the connection broke
  int write(ByteBuffer from) throws IOException;

  /// Ends the stream toward the host.
  ///
  /// @throws IOException if the connection broke
  void shutdownOutput() throws IOException;

  /// Asks for {@link TcpConnection#hostReadable} or {@link TcpConnection#hostWritable}, or for
  /// neither.
  void await(boolean readable, boolean writable);

  /// Closes in order.
  void close();

  /// Breaks the connection: the host's peer sees a reset.
  void reset();
}
