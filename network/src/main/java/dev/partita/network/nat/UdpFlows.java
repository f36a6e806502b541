package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The guests' UDP: one socket of the host for each port of a guest, whatever its destinations
/// (RFC 4787, REQ-1: endpoint-independent mapping), and answers only from addresses that the
/// guest has sent to (REQ-8: address-dependent filtering). Not thread-safe: under the gateway's
/// lock.
final class UdpFlows {
  private static final long SECOND = 1_000_000_000L;

  /// RFC 4787, REQ-5: at least two minutes, five recommended.
  static final long IDLE = 300 * SECOND;

  /// Destinations that a flow remembers; beyond that the oldest is forgotten.
  static final int MOST_PEERS = 256;

  private static final System.Logger LOG = System.getLogger(UdpFlows.class.getName());

  /// Delivers to a guest.
  interface Output {
    /// The payload is in the buffer from 0 on.
    void datagram(IpAddress from, int fromPort, Guest to, ByteBuffer buffer, int length);
  }

  /// A port of a guest.
  record Guest(IpAddress address, int port, long mac) {}

  private record Key(IpAddress guest, int port, boolean toV4) {}

  private final class Flow implements HostNetwork.DatagramEvents {
    private final Key key;
    private long mac;
    private long until;
    private HostNetwork.@Nullable Datagrams socket;

    /// Addresses sent to: what the guest calls them by what the host does.
    private final LinkedHashMap<IpAddress, IpAddress> peers =
        new LinkedHashMap<>(16, 0.75f, true) {
          private static final long serialVersionUID = 1L;

          @Override
          protected boolean removeEldestEntry(Map.Entry<IpAddress, IpAddress> eldest) {
            return size() > MOST_PEERS;
          }
        };

    Flow(Key key) {
      this.key = key;
    }

    @Override
    public void readable() {
      try {
        for (int i = 0; i < SocketLoop.BURST && socket != null; i++) {
          buffer.clear();
          var from = socket.receive(buffer);
          if (from == null) {
            return;
          }
          var known = peers.get(IpAddress.of(from.getAddress()));
          if (known != null) {
            output.datagram(
                known,
                from.getPort(),
                new Guest(key.guest, key.port, mac),
                buffer,
                buffer.position());
          }
        }
      } catch (IOException e) {
        LOG.log(System.Logger.Level.DEBUG, () -> "nat: " + e.getMessage());
      }
    }
  }

  private final HostNetwork host;
  private final int most;
  private final Output output;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 16);

  /// In the order of their last use.
  private final LinkedHashMap<Key, Flow> flows = new LinkedHashMap<>(16, 0.75f, true);

  UdpFlows(HostNetwork host, int most, Output output) {
    this.host = host;
    this.most = most;
    this.output = output;
  }

  /// Carries a datagram out.
  ///
  /// @param shown the destination as the guest calls it
  /// @param to the destination as the host does
  /// @throws IOException if the host has no way there
  void send(Guest from, IpAddress shown, InetSocketAddress to, ByteBuffer payload, long now)
      throws IOException {
    var destination = IpAddress.of(to.getAddress());
    var key = new Key(from.address, from.port, destination.isV4());
    var flow = flows.get(key);
    if (flow == null) {
      if (flows.size() >= most) {
        end(flows.firstEntry().getValue());
      }
      flow = new Flow(key);
      flow.socket = host.datagrams(key.toV4 ? IpAddress.ANY4 : IpAddress.ANY6, 0, null, flow);
      flows.put(key, flow);
    }
    flow.mac = from.mac;
    flow.until = now + IDLE;
    flow.peers.put(destination, shown);
    if (flow.socket != null) {
      flow.socket.send(payload, to);
    }
  }

  private void end(Flow flow) {
    if (flow.socket != null) {
      flow.socket.close();
      flow.socket = null;
    }
    flows.remove(flow.key);
  }

  /// Ends what is idle.
  void tick(long now) {
    for (var flow : List.copyOf(flows.values())) {
      if (flow.until - now <= 0) {
        end(flow);
      }
    }
  }

  int size() {
    return flows.size();
  }

  void close() {
    List.copyOf(flows.values()).forEach(this::end);
  }
}
