package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import dev.partita.network.tcp.HostStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ProtocolFamily;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SelectableChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// The host's sockets through one selector and one thread.
final class SocketLoop implements HostNetwork {
  private static final System.Logger LOG = System.getLogger(SocketLoop.class.getName());

  /// Datagrams or clients taken in one go, so that one busy socket does not stop all others.
  static final int BURST = 64;

  private final Selector selector;
  private final ReentrantLock lock;
  private final Runnable timers;
  private final Runnable batchEnd;
  private final Thread thread;
  private final Set<SelectableChannel> open = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  /// Takes part in the loop.
  private interface Watch {
    void ready(int operations);
  }

  /// @param lock held during all calls back
  /// @param timers runs what is due
  /// @param batchEnd runs after a round of events
  SocketLoop(ReentrantLock lock, Runnable timers, Runnable batchEnd) throws IOException {
    this.lock = lock;
    this.timers = timers;
    this.batchEnd = batchEnd;
    selector = Selector.open();
    // A platform thread: its work is short and its place is beside the virtual processors.
    thread = Thread.ofPlatform().name("partita-nat").daemon().start(this::run);
  }

  private void run() {
    while (!closed) {
      try {
        selector.select();
        lock.lock();
        try {
          timers.run();
        } finally {
          lock.unlock();
        }
        for (var key : selector.selectedKeys()) {
          lock.lock();
          try {
            if (key.isValid() && key.attachment() instanceof Watch watch) {
              watch.ready(key.readyOps());
            }
          } catch (CancelledKeyException e) {
            // Closed while it was ready: nothing to do.
          } finally {
            lock.unlock();
          }
        }
        selector.selectedKeys().clear();
        lock.lock();
        try {
          batchEnd.run();
        } finally {
          lock.unlock();
        }
      } catch (ClosedSelectorException e) {
        return;
      } catch (IOException | RuntimeException e) {
        // One connection's fault must not end all others; a selector that fails again and again
        // cannot be helped, but must not take a whole processor.
        LOG.log(System.Logger.Level.ERROR, "nat: an event of a host's socket failed", e);
        Thread.yield();
      }
    }
  }

  private SelectionKey register(SelectableChannel channel, int operations, Watch watch)
      throws IOException {
    channel.configureBlocking(false);
    var key = channel.register(selector, operations, watch);
    open.add(channel);
    wakeLoop();
    return key;
  }

  private void wakeLoop() {
    if (Thread.currentThread() != thread) {
      selector.wakeup();
    }
  }

  private void interest(SelectionKey key, int operations) {
    if (key.isValid() && key.interestOps() != operations) {
      key.interestOps(operations);
      wakeLoop();
    }
  }

  private void close(SelectableChannel channel) {
    // A connection that failed is closed already, but still counted.
    if (!open.remove(channel)) {
      return;
    }
    try {
      channel.close();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "nat: closing a socket failed", e);
    }
    // The descriptor goes when the selector has seen that its key is cancelled.
    wakeLoop();
  }

  private static ProtocolFamily family(InetAddress address) {
    return address.getAddress().length == 4
        ? StandardProtocolFamily.INET
        : StandardProtocolFamily.INET6;
  }

  @Override
  public HostStream connect(InetSocketAddress to, StreamEvents events) throws IOException {
    var channel = SocketChannel.open(family(to.getAddress()));
    try {
      channel.configureBlocking(false);
      // The guest decided already what goes together.
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
      var stream = new Stream(channel);
      stream.listen(events);
      boolean connected = channel.connect(to);
      stream.connecting = true;
      stream.key = register(channel, SelectionKey.OP_CONNECT, stream);
      if (connected) {
        // Rare (never over TCP on Linux); the selector reports it as ready to be finished.
        LOG.log(System.Logger.Level.DEBUG, "nat: connected at once");
      }
      return stream;
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e instanceof IOException io ? io : new IOException(e);
    }
  }

  @Override
  public Runnable listen(InetSocketAddress at, ListenEvents events) throws IOException {
    var channel = ServerSocketChannel.open(family(at.getAddress()));
    try {
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      channel.bind(at, 256);
      register(channel, SelectionKey.OP_ACCEPT, operations -> accept(channel, events));
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    return () -> close(channel);
  }

  private void accept(ServerSocketChannel channel, ListenEvents events) {
    try {
      for (int i = 0; i < BURST; i++) {
        var client = channel.accept();
        if (client == null) {
          return;
        }
        try {
          client.configureBlocking(false);
          client.setOption(StandardSocketOptions.TCP_NODELAY, true);
          client.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
          var stream = new Stream(client);
          var from = (InetSocketAddress) client.getRemoteAddress();
          stream.key = register(client, 0, stream);
          events.accepted(stream, from);
        } catch (IOException e) {
          client.close();
        }
      }
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "nat: a client could not be accepted", e);
    }
  }

  @Override
  public Datagrams datagrams(
      IpAddress bind, int port, @Nullable InetSocketAddress peer, DatagramEvents events)
      throws IOException {
    var address = bind.toInetAddress();
    var channel = DatagramChannel.open(family(address));
    try {
      channel.configureBlocking(false);
      channel.bind(new InetSocketAddress(address, port));
      if (peer != null) {
        channel.connect(peer);
      }
      int bound = ((InetSocketAddress) channel.getLocalAddress()).getPort();
      register(channel, SelectionKey.OP_READ, operations -> events.readable());
      return new Datagrams() {
        @Override
        public @Nullable InetSocketAddress receive(ByteBuffer into) throws IOException {
          return (InetSocketAddress) channel.receive(into);
        }

        @Override
        public void send(ByteBuffer from, InetSocketAddress to) throws IOException {
          channel.send(from, to);
        }

        @Override
        public int port() {
          return bound;
        }

        @Override
        public void close() {
          SocketLoop.this.close(channel);
        }
      };
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e instanceof IOException io ? io : new IOException(e);
    }
  }

  @Override
  public void wake() {
    selector.wakeup();
  }

  @Override
  public int open() {
    return open.size();
  }

  @Override
  public void close() {
    closed = true;
    for (var key : selector.keys()) {
      close(key.channel());
    }
    selector.wakeup();
    try {
      thread.join();
      selector.close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "nat: closing the selector failed", e);
    }
  }

  private final class Stream implements Accepted, Watch {
    private final SocketChannel channel;
    private @Nullable SelectionKey key;
    private @Nullable StreamEvents events;
    private boolean connecting;

    Stream(SocketChannel channel) {
      this.channel = channel;
    }

    @Override
    public void listen(StreamEvents events) {
      this.events = events;
    }

    @Override
    public void ready(int operations) {
      if (events == null) {
        return;
      }
      if (connecting) {
        try {
          if (!channel.finishConnect()) {
            return;
          }
        } catch (IOException e) {
          events.failed(e);
          return;
        }
        connecting = false;
        set(0);
        events.connected();
        return;
      }
      if ((operations & SelectionKey.OP_WRITE) != 0) {
        events.writable();
      }
      if ((operations & SelectionKey.OP_READ) != 0) {
        events.readable();
      }
    }

    private void set(int operations) {
      if (key != null) {
        interest(key, operations);
      }
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
      return channel.read(into);
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
      return channel.write(from);
    }

    @Override
    public void shutdownOutput() throws IOException {
      channel.shutdownOutput();
    }

    @Override
    public void await(boolean readable, boolean writable) {
      if (!connecting) {
        set((readable ? SelectionKey.OP_READ : 0) | (writable ? SelectionKey.OP_WRITE : 0));
      }
    }

    @Override
    public void close() {
      SocketLoop.this.close(channel);
    }

    @Override
    public void reset() {
      try {
        if (channel.isConnected()) {
          channel.setOption(StandardSocketOptions.SO_LINGER, 0);
        }
      } catch (IOException e) {
        LOG.log(System.Logger.Level.DEBUG, "nat: a connection could not be reset", e);
      }
      close();
    }
  }
}
