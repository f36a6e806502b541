package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import dev.partita.network.tcp.HostStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/// The host's sockets, none of which blocks. All calls, and all calls back, are made under the
/// gateway's lock.
interface HostNetwork extends AutoCloseable {
  /// What happens to a stream.
  interface StreamEvents {
    void connected();

    /// It could not be connected.
    void failed(IOException reason);

    void readable();

    void writable();
  }

  /// What happens to a datagram socket.
  interface DatagramEvents {
    /// Datagrams are there.
    void readable();
  }

  /// A datagram socket.
  interface Datagrams {
    /// Takes a datagram that is there.
    ///
    /// @return its sender, or nothing if there is none
    @Nullable InetSocketAddress receive(ByteBuffer into) throws IOException;

    /// Sends, or drops if the host has no room.
    void send(ByteBuffer from, InetSocketAddress to) throws IOException;

    /// The port it is bound to.
    int port();

    void close();
  }

  /// What happens to a listening socket.
  interface ListenEvents {
    /// A client is there; its events are still to be set.
    void accepted(Accepted stream, InetSocketAddress client);
  }

  /// A stream whose events can be set once.
  interface Accepted extends HostStream {
    void listen(StreamEvents events);
  }

  /// Begins to connect; the outcome comes as an event, never before this returns.
  ///
  /// @throws IOException if it cannot even be begun
  HostStream connect(InetSocketAddress to, StreamEvents events) throws IOException;

  /// A datagram socket.
  ///
  /// @param bind an address of the family that it is for, unspecified for any
  /// @param port 0 for any
  /// @param peer the only one it talks with, or nothing
  Datagrams datagrams(
      IpAddress bind, int port, @Nullable InetSocketAddress peer, DatagramEvents events)
      throws IOException;

  /// Listens; closed by what is returned.
  Runnable listen(InetSocketAddress at, ListenEvents events) throws IOException;

  /// Runs the gateway's timers soon, on a thread of the network's own.
  void wake();

  /// Sockets that are open.
  int open();

  @Override
  void close();
}
