package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// Carries DNS queries over UDP to the host's resolvers: each from a port of its own and under an
/// identifier of its own, so that answers cannot be forged by guessing (RFC 5452), and to the next
/// resolver when one is silent. Not thread-safe: under the gateway's lock.
final class DnsRelay {
  private static final long SECOND = 1_000_000_000L;

  /// A resolver that is silent for so long is passed over.
  private static final long PATIENCE = 3 * SECOND;

  /// Rounds over all resolvers.
  private static final int ROUNDS = 2;

  /// Queries under way at once.
  static final int MOST = 256;

  private static final int HEADER = 12;

  /// Answers a guest.
  interface Output {
    /// The payload is in the buffer from `at` on.
    void answer(Client client, ByteBuffer buffer, int at, int length);
  }

  /// Who asks.
  ///
  /// @param server the gateway's address that was asked
  record Client(IpAddress guest, int port, long mac, IpAddress server) {}

  private record Key(IpAddress guest, int port, int id) {}

  private final class Query implements HostNetwork.DatagramEvents {
    private final Key key;
    private final Client client;
    private final byte[] message;
    private final List<InetSocketAddress> servers;
    private final int id = random.nextInt() & 0xffff;
    private int attempt;
    private long until;
    private HostNetwork.@Nullable Datagrams socket;

    Query(Key key, Client client, byte[] message, List<InetSocketAddress> servers) {
      this.key = key;
      this.client = client;
      this.message = message;
      this.servers = servers;
    }

    /// Asks the next resolver.
    ///
    /// @return false if there is none left
    private boolean ask(long now) {
      while (attempt < servers.size() * ROUNDS) {
        var server = servers.get(attempt++ % servers.size());
        until = now + PATIENCE;
        close();
        try {
          boolean v4 = server.getAddress().getAddress().length == 4;
          var any = v4 ? IpAddress.ANY4 : IpAddress.ANY6;
          var opened = host.datagrams(any, 0, server, this);
          socket = opened;
          var query = ByteBuffer.wrap(message.clone()).putShort(0, (short) id);
          opened.send(query, server);
          return true;
        } catch (IOException e) {
          // The next one, then.
        }
      }
      return false;
    }

    private void close() {
      if (socket != null) {
        socket.close();
        socket = null;
      }
    }

    @Override
    public void readable() {
      try {
        for (int i = 0; i < 8 && socket != null; i++) {
          buffer.clear();
          if (socket.receive(buffer) == null) {
            return;
          }
          int length = buffer.position();
          if (length >= HEADER && (buffer.getShort(0) & 0xffff) == id && buffer.get(2) < 0) {
            buffer.putShort(0, (short) key.id);
            end(this);
            output.answer(client, buffer, 0, length);
            return;
          }
        }
      } catch (IOException e) {
        // Nobody listens there.
        if (!ask(now)) {
          end(this);
        }
      }
    }
  }

  private final HostNetwork host;
  private final RandomGenerator random;
  private final Output output;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 16);
  private final Map<Key, Query> queries = new HashMap<>();
  private final LinkedHashMap<Query, Boolean> order = new LinkedHashMap<>();
  private long now;

  DnsRelay(HostNetwork host, RandomGenerator random, Output output) {
    this.host = host;
    this.random = random;
    this.output = output;
  }

  /// Carries a query.
  void query(Client client, byte[] message, List<InetSocketAddress> servers, long now) {
    this.now = now;
    if (message.length < HEADER || message[2] < 0 || servers.isEmpty()) {
      return;
    }
    var key = new Key(client.guest(), client.port(), ByteBuffer.wrap(message).getShort() & 0xffff);
    if (queries.containsKey(key)) {
      // The guest asks again; the relay is at it.
      return;
    }
    if (queries.size() >= MOST) {
      end(order.firstEntry().getKey());
    }
    var query = new Query(key, client, message, servers);
    queries.put(key, query);
    order.put(query, true);
    if (!query.ask(now)) {
      end(query);
    }
  }

  private void end(Query query) {
    query.close();
    queries.remove(query.key, query);
    order.remove(query);
  }

  /// Passes over silent resolvers.
  void tick(long now) {
    this.now = now;
    for (var query : List.copyOf(order.keySet())) {
      if (query.until - now <= 0 && !query.ask(now)) {
        end(query);
      }
    }
  }

  int size() {
    return queries.size();
  }

  void close() {
    List.copyOf(order.keySet()).forEach(this::end);
  }
}
