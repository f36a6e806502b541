package dev.partita.network.nat;

import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.network.IpAddress;
import dev.partita.network.tcp.HostStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// A host whose sockets a test holds in its hands: everything happens on the test's thread, at its
/// time.
final class SimulatedHost implements HostNetwork {
  final ManualTimeSource time;
  final List<Stream> streams = new ArrayList<>();
  final List<Socket> sockets = new ArrayList<>();
  final Map<InetSocketAddress, ListenEvents> listeners = new HashMap<>();
  private final Supplier<NatGateway> gateway;
  int open;

  /// What a connection attempt meets; nothing for success.
  @Nullable IOException connectFailure;

  /// Whether an attempt stays without an answer.
  boolean silent;

  SimulatedHost(ManualTimeSource time, Supplier<NatGateway> gateway) {
    this.time = time;
    this.gateway = gateway;
  }

  /// Runs soon, as a thread of the host's would.
  void later(long nanos, Runnable action) {
    time.timer(
            () -> {
              action.run();
              gateway.get().endBatch();
            })
        .arm(time.nanoTime() + nanos);
  }

  /// One connection on the host's side: what the far end sends, and what it got.
  final class Stream implements Accepted {
    final InetSocketAddress to;
    final ByteArrayOutputStream got = new ByteArrayOutputStream();
    private final ArrayDeque<byte[]> coming = new ArrayDeque<>();
    private @Nullable StreamEvents events;
    private boolean readable;
    private boolean writable;
    boolean ended;
    boolean closed;
    boolean reset;
    boolean shut;
    @Nullable IOException broken;

    /// Octets that the far end takes now.
    long room = Long.MAX_VALUE;

    /// Makes reads and writes partial, if set.
    @Nullable SplittableRandom partial;

    Stream(InetSocketAddress to) {
      this.to = to;
      open++;
    }

    @Override
    public void listen(StreamEvents events) {
      this.events = events;
    }

    StreamEvents events() {
      if (events == null) {
        throw new AssertionError("nobody listens");
      }
      return events;
    }

    /// The far end sends.
    void send(byte[] octets) {
      coming.add(octets);
      notifyReadable();
    }

    /// The far end ends its stream.
    void end() {
      ended = true;
      notifyReadable();
    }

    /// The far end resets.
    void breakDown() {
      broken = new IOException("Connection reset by peer");
      notifyReadable();
      notifyWritable();
    }

    /// The far end takes more.
    void allow(long octets) {
      room += octets;
      notifyWritable();
    }

    private void notifyReadable() {
      if (readable && !closed) {
        later(
            1000,
            () -> {
              if (readable && !closed) {
                events().readable();
              }
            });
      }
    }

    private void notifyWritable() {
      if (writable && !closed && (room > 0 || broken != null)) {
        later(
            1000,
            () -> {
              if (writable && !closed) {
                events().writable();
              }
            });
      }
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
      if (broken != null) {
        throw broken;
      }
      var first = coming.peek();
      if (first == null) {
        return ended ? -1 : 0;
      }
      int n = Math.min(into.remaining(), first.length);
      if (partial != null && n > 1) {
        n = 1 + partial.nextInt(n);
      }
      into.put(first, 0, n);
      coming.remove();
      if (n < first.length) {
        coming.addFirst(java.util.Arrays.copyOfRange(first, n, first.length));
      }
      if (!coming.isEmpty() || ended) {
        notifyReadable();
      }
      return n;
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
      if (broken != null) {
        throw broken;
      }
      if (shut) {
        throw new IOException("written after the end");
      }
      int n = (int) Math.min(room, from.remaining());
      if (partial != null && n > 0) {
        n = partial.nextInt(n + 1);
        later(10_000, this::notifyWritable);
      }
      var octets = new byte[n];
      from.get(octets);
      got.writeBytes(octets);
      if (room != Long.MAX_VALUE) {
        room -= n;
      }
      return n;
    }

    @Override
    public void shutdownOutput() {
      shut = true;
    }

    @Override
    public void await(boolean readable, boolean writable) {
      this.readable = readable;
      this.writable = writable;
      if (readable && (!coming.isEmpty() || ended || broken != null)) {
        notifyReadable();
      }
      if (writable) {
        notifyWritable();
      }
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        open--;
      }
    }

    @Override
    public void reset() {
      reset = true;
      close();
    }
  }

  @Override
  public HostStream connect(InetSocketAddress to, StreamEvents events) throws IOException {
    var stream = new Stream(to);
    stream.listen(events);
    streams.add(stream);
    var failure = connectFailure;
    if (!silent) {
      later(
          1_000_000,
          () -> {
            if (stream.closed) {
              return;
            }
            if (failure != null) {
              events.failed(failure);
            } else {
              events.connected();
            }
          });
    }
    return stream;
  }

  /// A client connects to a published port.
  Stream accept(InetSocketAddress at, InetSocketAddress client) {
    var stream = new Stream(client);
    streams.add(stream);
    var listener = listeners.get(at);
    if (listener == null) {
      throw new AssertionError("nobody listens at " + at + ", only at " + listeners.keySet());
    }
    listener.accepted(stream, client);
    gateway.get().endBatch();
    return stream;
  }

  /// A datagram that was sent or is to be received.
  record Datagram(byte[] payload, InetSocketAddress peer) {}

  /// A datagram socket of the host.
  final class Socket implements Datagrams {
    final @Nullable InetSocketAddress peer;
    final int port;
    final List<Datagram> sent = new ArrayList<>();
    private final ArrayDeque<Datagram> coming = new ArrayDeque<>();
    private final DatagramEvents events;
    boolean closed;

    Socket(int port, @Nullable InetSocketAddress peer, DatagramEvents events) {
      this.port = port;
      this.peer = peer;
      this.events = events;
      open++;
    }

    void arrive(byte[] payload, InetSocketAddress from) {
      coming.add(new Datagram(payload, from));
      events.readable();
      gateway.get().endBatch();
    }

    @Override
    public @Nullable InetSocketAddress receive(ByteBuffer into) {
      var datagram = coming.poll();
      if (datagram == null) {
        return null;
      }
      into.put(datagram.payload);
      return datagram.peer;
    }

    @Override
    public void send(ByteBuffer from, InetSocketAddress to) {
      var octets = new byte[from.remaining()];
      from.get(octets);
      sent.add(new Datagram(octets, to));
    }

    @Override
    public int port() {
      return port;
    }

    @Override
    public void close() {
      if (!closed) {
        closed = true;
        open--;
      }
    }
  }

  @Override
  public Datagrams datagrams(
      IpAddress bind, int port, @Nullable InetSocketAddress peer, DatagramEvents events) {
    var socket = new Socket(port == 0 ? 40_000 + sockets.size() : port, peer, events);
    sockets.add(socket);
    return socket;
  }

  @Override
  public Runnable listen(InetSocketAddress at, ListenEvents events) {
    listeners.put(at, events);
    open++;
    return () -> {
      listeners.remove(at);
      open--;
    };
  }

  @Override
  public void wake() {
    gateway.get().runTimers();
  }

  @Override
  public int open() {
    return open;
  }

  @Override
  public void close() {}
}
