package dev.partita.network.nat;

import dev.partita.hypervisor.TimeSource;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The host's resolvers as resolv.conf(5) names them, read again when the file changes. Not
/// thread-safe.
final class Resolvers {
  private static final System.Logger LOG = System.getLogger(Resolvers.class.getName());
  private static final int DNS = 53;

  /// As many as the C library uses.
  private static final int MOST_SERVERS = 3;

  private static final int MOST_DOMAINS = 6;
  private static final long LARGEST_FILE = 1 << 16;
  private static final long CHECK_NANOS = 5_000_000_000L;

  private final Path file;
  private final TimeSource time;
  private List<InetSocketAddress> servers = List.of();
  private List<String> search = List.of();
  private @Nullable FileTime read;
  private long checked;
  private boolean started;

  Resolvers(Path file, TimeSource time) {
    this.file = file;
    this.time = time;
  }

  /// The servers, in the order in which they are asked; one of the host itself if the file names
  /// none.
  List<InetSocketAddress> servers() {
    refresh();
    return servers;
  }

  /// The domains that names are looked up in.
  List<String> search() {
    refresh();
    return search;
  }

  private void refresh() {
    long now = time.nanoTime();
    if (started && now - checked < CHECK_NANOS) {
      return;
    }
    started = true;
    checked = now;
    try {
      var modified = Files.getLastModifiedTime(file);
      if (modified.equals(read)) {
        return;
      }
      read = modified;
      if (Files.size(file) > LARGEST_FILE) {
        throw new IOException("larger than %d octets".formatted(LARGEST_FILE));
      }
      parse(Files.readAllLines(file, StandardCharsets.ISO_8859_1));
    } catch (IOException e) {
      if (servers.isEmpty()) {
        LOG.log(
            System.Logger.Level.WARNING,
            "nat: %s cannot be read (%s): guests resolve no names".formatted(file, e.getMessage()));
      }
    }
  }

  private void parse(List<String> lines) {
    var addresses = new ArrayList<InetSocketAddress>();
    List<String> domains = List.of();
    for (var line : lines) {
      var words = line.replaceFirst("[#;].*", "").strip().split("\\s+");
      if (words[0].equals("nameserver") && words.length > 1 && addresses.size() < MOST_SERVERS) {
        try {
          addresses.add(new InetSocketAddress(InetAddress.ofLiteral(words[1]), DNS));
        } catch (IllegalArgumentException e) {
          LOG.log(System.Logger.Level.DEBUG, "nat: no resolver's address: {0}", words[1]);
        }
      } else if (words[0].equals("search") || words[0].equals("domain")) {
        domains = List.of(words).subList(1, Math.min(words.length, MOST_DOMAINS + 1));
      }
    }
    if (addresses.isEmpty()) {
      // resolv.conf(5): the server of the machine itself.
      addresses.add(new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), DNS));
    }
    servers = List.copyOf(addresses);
    search = domains;
  }
}
