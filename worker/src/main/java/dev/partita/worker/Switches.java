package dev.partita.worker;

import dev.partita.hypervisor.PartitionException;
import dev.partita.hypervisor.TimeSource;
import dev.partita.network.link.StreamLink;
import dev.partita.network.link.TapDevice;
import dev.partita.network.link.UdpLink;
import dev.partita.network.link.UnixLinks;
import dev.partita.network.nat.NatGateway;
import dev.partita.network.nat.NatNetwork;
import dev.partita.network.nat.NatSettings;
import dev.partita.network.nat.Publication;
import dev.partita.network.vswitch.PortRole;
import dev.partita.network.vswitch.PortSettings;
import dev.partita.network.vswitch.SwitchKind;
import dev.partita.network.vswitch.VirtualSwitch;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The virtual switches that a partition's NICs are plugged into, each from its first NIC to its
/// last. Not thread-safe: its owner's monitor guards it.
final class Switches implements AutoCloseable {
  /// The port of what leads out of a switch.
  private static final String WAY_OUT = "uplink";

  /// A switch, with what leads out of it; all of it is closed with this.
  interface Room extends AutoCloseable {
    VirtualSwitch network();

    /// The gateway, if it is in this process.
    default @Nullable NatGateway gateway() {
      return null;
    }

    @Override
    void close();
  }

  private record Use(Room room, int adapters) {}

  private static final System.Logger LOG = System.getLogger(Switches.class.getName());

  private final Path folder;
  private final List<Publication> publications;
  private final TimeSource time;
  private final Map<Attachment, Use> rooms = new LinkedHashMap<>();

  /// @param folder where partitions of one user meet at shared switches
  /// @param publications of the NAT
  Switches(Path folder, List<Publication> publications, TimeSource time) {
    this.folder = folder;
    this.publications = publications;
    this.time = time;
  }

  /// The switch for one more NIC.
  ///
  /// @param mtu octets; counts when this is the switch's first NIC
  /// @throws PartitionException if it cannot be had; the message tells why
  Room enter(Attachment attachment, int mtu) {
    var use = rooms.get(attachment);
    if (use == null) {
      if (attachment instanceof Attachment.Shared(var name, var internal)
          && rooms.containsKey(new Attachment.Shared(name, !internal))) {
        throw new PartitionException("switch '%s' cannot be of both kinds".formatted(name));
      }
      try {
        use = new Use(open(attachment, mtu), 0);
      } catch (IOException | IllegalArgumentException e) {
        throw new PartitionException(String.valueOf(e.getMessage()), e);
      }
    }
    rooms.put(attachment, new Use(use.room, use.adapters + 1));
    return use.room;
  }

  /// A NIC has left.
  void leave(Attachment attachment) {
    var use = rooms.get(attachment);
    if (use == null) {
      return;
    }
    if (use.adapters > 1) {
      rooms.put(attachment, new Use(use.room, use.adapters - 1));
    } else {
      rooms.remove(attachment);
      use.room.close();
      if (attachment instanceof Attachment.Nat && !publications.isEmpty()) {
        LOG.log(
            System.Logger.Level.WARNING,
            "no network card is on the NAT any more: the published ports are closed until one is");
      }
    }
  }

  /// Those with NICs, in the order in which they came.
  List<Room> all() {
    return rooms.values().stream().map(Use::room).toList();
  }

  private Room open(Attachment attachment, int mtu) throws IOException {
    return switch (attachment) {
      case Attachment.Nat nat -> nat(nat, mtu);
      case Attachment.Shared shared -> SharedSwitch.open(folder, shared, time);
      case Attachment.Tap(var device, var bridge) -> {
        var tap = TapDevice.open(device, bridge, mtu);
        var network = new VirtualSwitch(tap.name(), SwitchKind.EXTERNAL, time);
        tap.attach(network.connect(WAY_OUT, tap, PortSettings.stations(PortRole.UPLINK)));
        yield new Simple(network, tap::close);
      }
      case Attachment.Socket(var path) -> socket(path, mtu);
      case Attachment.Udp(var local, var remote) -> {
        var link = UdpLink.open(local, remote, mtu);
        var network = new VirtualSwitch("udp-" + remote.getPort(), SwitchKind.PRIVATE, time);
        link.attach(network.connect(WAY_OUT, link, PortSettings.stations(PortRole.LINK)));
        yield new Simple(network, link::close);
      }
    };
  }

  /// Who comes first waits for the others there.
  private Room socket(Path path, int mtu) throws IOException {
    var network = new VirtualSwitch(String.valueOf(path.getFileName()), SwitchKind.PRIVATE, time);
    StreamLink link;
    try {
      link = UnixLinks.connect(path, StreamLink.Format.PLAIN, mtu);
    } catch (IOException nobodyThere) {
      try {
        var links =
            UnixLinks.listen(
                path,
                StreamLink.Format.PLAIN,
                mtu,
                (name, one) -> network.connect(name, one, PortSettings.stations(PortRole.LINK)));
        return new Simple(network, links::close);
      } catch (IOException e) {
        // Another one was as quick; or neither is possible, and the reason is this one.
        try {
          link = UnixLinks.connect(path, StreamLink.Format.PLAIN, mtu);
        } catch (IOException _) {
          throw e;
        }
      }
    }
    link.attach(network.connect(WAY_OUT, link, PortSettings.stations(PortRole.LINK)), () -> {});
    return new Simple(network, link::close);
  }

  private Room nat(Attachment.Nat wanted, int mtu) throws IOException {
    if (rooms.keySet().stream().anyMatch(other -> other instanceof Attachment.Nat)) {
      throw new PartitionException(
          "there is a NAT already: further NICs of it have the same allow-host and net=");
    }
    var settings =
        NatSettings.forHost()
            .withMtu(mtu)
            .withHostAllowed(wanted.hostAllowed())
            .withPublications(publications);
    var own = wanted.network();
    var nat = NatNetwork.open(own == null ? settings : settings.withIpv4(own), time);
    return new Room() {
      @Override
      public VirtualSwitch network() {
        return nat.network();
      }

      @Override
      public NatGateway gateway() {
        return nat.gateway();
      }

      @Override
      public void close() {
        nat.close();
      }
    };
  }

  private record Simple(VirtualSwitch network, Runnable wayOut) implements Room {
    @Override
    public void close() {
      wayOut.run();
      network.close();
    }
  }

  @Override
  public void close() {
    rooms.values().forEach(use -> use.room.close());
    rooms.clear();
  }
}
