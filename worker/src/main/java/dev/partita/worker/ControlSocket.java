package dev.partita.worker;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/// A running partition's control socket. A client connects, sends one line, and reads the answer:
///
/// | line | answer |
/// |---|---|
/// | `status` | lines `key=value`, then the end |
/// | `stop` | `ok`, then the partition ends as by its quit key |
/// | `reset` | `ok`, then the machine begins again, as by its reset button |
/// | `await-reset COUNT` | `ok` after more resets than that; `error` if it has ended |
/// | `console` | `ok`, then the console line both ways, taken from its former holder |
/// | `wait` | when the partition has ended: `exit CODE`, and further lines for the operator |
///
/// Those for the guest are in {@link GuestRequests}, those for the drives in {@link
/// DriveRequests}, those for the network in {@link NetworkRequests}. Anything else is answered
/// `error` and a reason. One virtual thread a client, at most {@link #MAXIMUM_CLIENTS} at a time;
/// the socket's folder keeps other users out.
public final class ControlSocket implements AutoCloseable {
  /// Clients at one time; more are turned away.
  public static final int MAXIMUM_CLIENTS = 32;

  /// Goes up when requests change; a partition tells its own in its status. 2 brought those for the
  /// guest, 3 those for the drives, 4 those for the network.
  public static final int PROTOCOL = 4;

  /// Bytes in a request, at most, with its newline.
  static final int MAXIMUM_REQUEST = 16 << 10;

  private static final System.Logger LOG = System.getLogger(ControlSocket.class.getName());

  private final ServerSocketChannel server;
  private final Target target;
  private final Set<SocketChannel> clients = ConcurrentHashMap.newKeySet();

  /// The partition behind the socket.
  public interface Target {
    /// Lines `key=value` for the operator.
    String status();

    /// Ends the partition; returns at once.
    void stop();

    /// Begins the machine again; returns at once.
    void reset();

    /// Waits until the machine has begun again more often than a count.
    ///
    /// @return false if it never will
    boolean awaitReset(int count) throws InterruptedException;

    Console console();

    /// The guest, by way of its integration services.
    Guest guest();

    /// Its disks and DVD drives.
    Drives drives();

    /// Its NICs and switches.
    Adapters adapters();

    /// Waits for the end.
    ///
    /// @return `exit CODE` and the lines that tell the operator why
    String awaitEnd() throws InterruptedException;
  }

  /// Listens.
  ///
  /// @throws IOException if the socket cannot be made; its path is too long for the system, say
  public ControlSocket(Path path, Target target) throws IOException {
    this.target = target;
    server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    boolean bound = false;
    try {
      server.bind(UnixDomainSocketAddress.of(path));
      bound = true;
    } finally {
      if (!bound) {
        server.close();
      }
    }
    Thread.ofVirtual().name("partita-control").start(this::accept);
  }

  private void accept() {
    while (server.isOpen()) {
      try {
        var client = server.accept();
        if (clients.size() >= MAXIMUM_CLIENTS) {
          client.close();
          continue;
        }
        clients.add(client);
        Thread.ofVirtual().start(() -> serve(client));
      } catch (IOException e) {
        if (server.isOpen()) {
          LOG.log(System.Logger.Level.WARNING, "control socket: {0}", e.getMessage());
          close();
        }
      }
    }
  }

  private void serve(SocketChannel client) {
    try (client) {
      var request = readLine(client);
      if (request == null) {
        return;
      }
      switch (request) {
        case "status" -> say(client, target.status());
        case "stop" -> {
          say(client, "ok\n");
          target.stop();
        }
        case "reset" -> {
          say(client, "ok\n");
          target.reset();
        }
        case "console" -> serveConsole(client);
        case "wait" -> say(client, target.awaitEnd());
        default -> {
          if (request.matches("await-reset [0-9]{1,9}")) {
            int count = Integer.parseInt(request.substring("await-reset ".length()));
            say(client, target.awaitReset(count) ? "ok\n" : "error it has ended\n");
          } else if (GuestRequests.isFor(request)) {
            new GuestRequests(target.guest()::services, client).serve(request);
          } else if (DriveRequests.isFor(request)) {
            say(client, new DriveRequests(target.drives()).serve(request));
          } else if (NetworkRequests.isFor(request)) {
            new NetworkRequests(target.adapters(), client).serve(request);
          } else {
            say(client, "error unknown request\n");
          }
        }
      }
    } catch (IOException e) {
      // The client is gone: nothing to tell anyone.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      clients.remove(client);
    }
  }

  private static @Nullable String readLine(SocketChannel client) throws IOException {
    var line = new StringBuilder();
    // A byte at a time: what follows the line is the console's.
    var one = ByteBuffer.allocate(1);
    while (line.length() < MAXIMUM_REQUEST) {
      if (client.read(one.clear()) < 0) {
        return null;
      }
      char c = (char) (one.get(0) & 0xFF);
      if (c == '\n') {
        return line.toString();
      }
      line.append(c);
    }
    say(client, "error request too long\n");
    return null;
  }

  static void say(SocketChannel client, String text) throws IOException {
    var bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      client.write(bytes);
    }
  }

  private void serveConsole(SocketChannel client) throws IOException, InterruptedException {
    var console = target.console();
    var holder = new ClientHolder(client);
    try {
      // The answer comes before any output, and once it is there the line is the client's.
      synchronized (holder) {
        console.attach(holder);
        say(client, "ok\n");
      }
      var buffer = ByteBuffer.allocate(Console.INPUT_CAPACITY);
      while (client.read(buffer.clear()) >= 0) {
        if (!console.holds(holder) || !console.send(buffer.array(), buffer.position())) {
          return;
        }
      }
    } finally {
      console.detach(holder);
    }
  }

  private static final class ClientHolder implements Console.Holder {
    private final SocketChannel client;

    ClientHolder(SocketChannel client) {
      this.client = client;
    }

    @Override
    public synchronized void write(byte[] bytes, int length) throws IOException {
      var buffer = ByteBuffer.wrap(bytes, 0, length);
      while (buffer.hasRemaining()) {
        client.write(buffer);
      }
    }

    @Override
    public void released(@Nullable IOException failure) {
      try {
        client.close();
      } catch (IOException e) {
        // Closed is what it is to be.
      }
    }
  }

  /// Stops listening. Clients that wait for the end are served first if {@link Target#awaitEnd}
  /// answers; all others lose their connection.
  @Override
  public void close() {
    try {
      server.close();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.WARNING, "control socket: {0}", e.getMessage());
    }
  }

  /// Waits a little for clients that are still being answered, then drops them.
  ///
  /// @param nanos at most this long
  public void finish(long nanos) throws InterruptedException {
    close();
    long end = System.nanoTime() + nanos;
    while (!clients.isEmpty() && System.nanoTime() < end) {
      Thread.sleep(1);
    }
    for (var client : clients) {
      try {
        client.close();
      } catch (IOException e) {
        // Closed is what it is to be.
      }
    }
  }
}
