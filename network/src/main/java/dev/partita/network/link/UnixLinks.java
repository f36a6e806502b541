package dev.partita.network.link;

import dev.partita.network.Port;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;

/// A Unix socket at which other processes of the same user plug into a switch: each that comes
/// gets a port.
public final class UnixLinks implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(UnixLinks.class.getName());

  /// Processes at once.
  static final int MOST = 64;

  private final Path path;
  private final ServerSocketChannel server;
  private final Set<StreamLink> links = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  private UnixLinks(Path path, ServerSocketChannel server) {
    this.path = path;
    this.server = server;
  }

  /// Listens. A socket that a crashed process left behind is replaced.
  ///
  /// @param plug plugs a link in, by a name, and gives its port; it may refuse by throwing
  ///     {@link RuntimeException}
  /// @throws IOException if another process listens there, the path is another kind of file, or it
  ///     cannot be used
  public static UnixLinks listen(
      Path path, StreamLink.Format format, int mtu, BiFunction<String, StreamLink, Port> plug)
      throws IOException {
    var address = UnixDomainSocketAddress.of(path);
    if (Files.exists(path)) {
      if (!Files.readAttributes(path, BasicFileAttributes.class).isOther()) {
        throw new IOException("%s is no socket".formatted(path));
      }
      try (var probe = SocketChannel.open(address)) {
        throw new IOException("%s: another process listens there".formatted(path));
      } catch (java.net.ConnectException e) {
        Files.deleteIfExists(path);
      }
    }
    var server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      server.bind(address);
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    } catch (IOException e) {
      server.close();
      throw new IOException("%s: %s".formatted(path, e.getMessage()), e);
    }
    var links = new UnixLinks(path, server);
    Thread.ofVirtual()
        .name("partita-links-" + path.getFileName())
        .start(() -> links.accept(format, mtu, plug));
    return links;
  }

  private void accept(
      StreamLink.Format format, int mtu, BiFunction<String, StreamLink, Port> plug) {
    for (int number = 1; !closed; number++) {
      try {
        var channel = server.accept();
        if (links.size() >= MOST) {
          channel.close();
          continue;
        }
        var name = "link-" + number;
        var link = new StreamLink(name, channel, format, mtu);
        try {
          links.add(link);
          link.attach(plug.apply(name, link), () -> links.remove(link));
        } catch (RuntimeException e) {
          LOG.log(System.Logger.Level.WARNING, "link refused: " + e.getMessage());
          links.remove(link);
          link.close();
        }
      } catch (IOException e) {
        if (!closed) {
          LOG.log(System.Logger.Level.WARNING, "%s: %s".formatted(path, e.getMessage()));
        }
        return;
      }
    }
  }

  /// Connects to a switch that another process has.
  ///
  /// @throws IOException if nobody listens there
  public static StreamLink connect(Path path, StreamLink.Format format, int mtu)
      throws IOException {
    try {
      return new StreamLink(
          path.getFileName().toString(),
          SocketChannel.open(UnixDomainSocketAddress.of(path)),
          format,
          mtu);
    } catch (IOException e) {
      throw new IOException("no switch at %s: %s".formatted(path, e.getMessage()), e);
    }
  }

  /// Processes that are plugged in.
  public int size() {
    return links.size();
  }

  /// Unplugs all and removes the socket.
  @Override
  public void close() {
    closed = true;
    try {
      server.close();
      Files.deleteIfExists(path);
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "links: closing failed", e);
    }
    links.forEach(StreamLink::close);
  }
}
