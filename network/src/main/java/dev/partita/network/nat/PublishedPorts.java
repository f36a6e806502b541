package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Ports of the host that lead to a guest. A client appears to the guest under its own address, so
/// that the guest's logs and rules mean something, unless that address means something else to the
/// guest: then the gateway stands for it. Not thread-safe: under the gateway's lock.
final class PublishedPorts {
  private static final System.Logger LOG = System.getLogger(PublishedPorts.class.getName());

  /// Clients of a UDP port that are remembered; beyond that the least recent is forgotten.
  private static final int MOST_CLIENTS = 1024;

  private static final int FIRST_PORT = 49_152;

  /// What publishing needs of the gateway.
  interface Owner {
    /// The guest that a publication means: its address and station; nothing while there is none.
    UdpFlows.@Nullable Guest guest(Publication publication);

    /// How a client appears to guests of a family, or nothing if under the gateway's address.
    @Nullable IpAddress shown(InetSocketAddress client, boolean v4);

    IpAddress gateway(boolean v4);

    void open(TcpFlowKey key, long mac, HostNetwork.Accepted stream);

    boolean isOpen(TcpFlowKey key);

    void datagram(IpAddress from, int fromPort, UdpFlows.Guest to, ByteBuffer buffer, int length);
  }

  private record Client(IpAddress address, int port) {}

  private final class DatagramPort implements HostNetwork.DatagramEvents {
    private final Publication publication;
    private HostNetwork.@Nullable Datagrams socket;

    /// Clients by how the guest knows them, in the order of their last use.
    private final LinkedHashMap<Client, InetSocketAddress> clients =
        new LinkedHashMap<>(16, 0.75f, true) {
          private static final long serialVersionUID = 1L;

          @Override
          protected boolean removeEldestEntry(Map.Entry<Client, InetSocketAddress> eldest) {
            return size() > MOST_CLIENTS;
          }
        };

    DatagramPort(Publication publication) {
      this.publication = publication;
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
          var guest = owner.guest(publication);
          if (guest != null) {
            var client = client(from, guest.address().isV4());
            owner.datagram(client.address, client.port, guest, buffer, buffer.position());
          }
        }
      } catch (IOException e) {
        LOG.log(System.Logger.Level.DEBUG, () -> "nat: " + e.getMessage());
      }
    }

    private Client client(InetSocketAddress from, boolean v4) {
      var shown = owner.shown(from, v4);
      var address = shown == null ? owner.gateway(v4) : shown;
      int port = from.getPort();
      for (int i = 0; ; i++) {
        var client = new Client(address, port);
        var known = clients.get(client);
        if (known == null || known.equals(from) || i > MOST_CLIENTS) {
          clients.put(client, from);
          return client;
        }
        port = FIRST_PORT + (port + 1) % (65_536 - FIRST_PORT);
      }
    }
  }

  private final HostNetwork host;
  private final Owner owner;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 16);
  private final List<Runnable> closers = new ArrayList<>();
  private final List<DatagramPort> datagramPorts = new ArrayList<>();

  PublishedPorts(HostNetwork host, Owner owner) {
    this.host = host;
    this.owner = owner;
  }

  /// Opens the host's ports.
  ///
  /// @throws IOException naming the port that could not be opened
  void open(List<Publication> publications) throws IOException {
    for (var publication : publications) {
      var bind = publication.bind();
      try {
        open(publication, bind == null ? IpAddress.LOOPBACK4 : bind);
      } catch (IOException e) {
        throw new IOException(
            "cannot publish %s: port %d of the host: %s"
                .formatted(publication, publication.hostPort(), e.getMessage()),
            e);
      }
      if (bind == null) {
        try {
          open(publication, IpAddress.LOOPBACK6);
        } catch (IOException e) {
          // A host without IPv6: the other address does.
          LOG.log(System.Logger.Level.DEBUG, () -> "nat: no [::1]: " + e.getMessage());
        }
      }
    }
  }

  private void open(Publication publication, IpAddress bind) throws IOException {
    if (publication.udp()) {
      var port = new DatagramPort(publication);
      var socket = host.datagrams(bind, publication.hostPort(), null, port);
      port.socket = socket;
      datagramPorts.add(port);
      closers.add(socket::close);
    } else {
      closers.add(
          host.listen(
              new InetSocketAddress(bind.toInetAddress(), publication.hostPort()),
              (stream, client) -> accepted(publication, stream, client)));
    }
  }

  private void accepted(
      Publication publication, HostNetwork.Accepted stream, InetSocketAddress client) {
    var guest = owner.guest(publication);
    if (guest == null) {
      stream.reset();
      return;
    }
    boolean v4 = guest.address().isV4();
    var shown = owner.shown(client, v4);
    var address = shown == null ? owner.gateway(v4) : shown;
    int port = client.getPort();
    for (int i = 0; i < 64; i++) {
      var key = new TcpFlowKey(guest.address(), publication.guestPort(), address, port);
      if (!owner.isOpen(key)) {
        owner.open(key, guest.mac(), stream);
        return;
      }
      port = FIRST_PORT + (port + 1) % (65_536 - FIRST_PORT);
    }
    stream.reset();
  }

  /// Carries a guest's answer to the client of a published UDP port.
  ///
  /// @return false if it is none
  boolean answer(int guestPort, IpAddress to, int toPort, ByteBuffer payload) {
    for (var port : datagramPorts) {
      if (port.publication.guestPort() == guestPort && port.socket != null) {
        var client = port.clients.get(new Client(to, toPort));
        if (client != null) {
          try {
            port.socket.send(payload, client);
          } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, () -> "nat: " + e.getMessage());
          }
          return true;
        }
      }
    }
    return false;
  }

  void close() {
    closers.forEach(Runnable::run);
    closers.clear();
    datagramPorts.forEach(port -> port.socket = null);
    datagramPorts.clear();
  }
}
