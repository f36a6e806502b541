package dev.partita.worker;

import dev.partita.hypervisor.PartitionException;
import dev.partita.hypervisor.TimeSource;
import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import dev.partita.network.capture.Capture;
import dev.partita.network.nat.NatState;
import dev.partita.network.vswitch.SwitchInfo;
import dev.partita.network.vswitch.SwitchPort;
import dev.partita.synthetic.network.NicSettings;
import dev.partita.synthetic.network.NicStatistics;
import dev.partita.synthetic.network.SyntheticNic;
import dev.partita.vmbus.Vmbus;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// A partition's NICs and the switches that they are plugged into: these are there from the
/// beginning to the end of the partition, through resets of the machine; the devices that the guest
/// sees belong to the machine of the day. Any thread.
public final class Adapters implements AutoCloseable {
  /// NICs of one partition, as many as a machine under Hyper-V has of this kind.
  public static final int MOST = 8;

  /// Microsoft's block of Ethernet addresses for NICs of children (IEEE 00-15-5D).
  private static final long MAC_BLOCK = 0x00155dL << 24;

  /// Half of the block is for addresses that follow from the partition.
  private static final long MAC_MASK = 0x7f_ffffL;

  private final String identity;
  private final Path folder;
  private final int queues;
  private final Supplier<TimeSource> clocks;
  private final Map<Integer, Adapter> adapters = new TreeMap<>();
  private @Nullable TimeSource time;
  private @Nullable Switches switches;
  private @Nullable Vmbus bus;
  private boolean closed;

  /// @param identity what tells the partition from others, today and tomorrow: addresses that are
  ///     not given follow from it
  /// @param folder where shared switches are
  /// @param processors of the partition
  /// @param clocks makes the switches' clock, which is closed with this
  Adapters(String identity, Path folder, int processors, Supplier<TimeSource> clocks) {
    this.identity = identity;
    this.folder = folder;
    this.queues = Math.min(processors, NicSettings.MOST_QUEUES);
    this.clocks = clocks;
  }

  private static final class Adapter {
    final UUID instance;
    final Socket socket = new Socket();
    AdapterSettings settings;
    MacAddress mac;
    SwitchPort port;
    Switches.Room room;
    @Nullable SyntheticNic nic;

    Adapter(
        UUID instance, AdapterSettings settings, MacAddress mac, Switches.Room room, int number) {
      this.instance = instance;
      this.settings = settings;
      this.mac = mac;
      this.room = room;
      this.port = room.network().connect(portName(number), socket, settings.port(mac));
      if (!settings.up()) {
        port.setUp(false);
      }
    }
  }

  /// The end of a port's cable, whatever machine's NIC is in it.
  private static final class Socket implements Endpoint {
    private volatile @Nullable Endpoint nic;

    @Override
    public Offloads offloads() {
      var to = nic;
      return to == null ? Offloads.NONE : to.offloads();
    }

    @Override
    public boolean deliver(Frame frame) {
      var to = nic;
      return to == null || to.deliver(frame);
    }

    @Override
    public void endBatch() {
      var to = nic;
      if (to != null) {
        to.endBatch();
      }
    }

    @Override
    public void resume() {
      var to = nic;
      if (to != null) {
        to.resume();
      }
    }

    @Override
    public void linkChanged(boolean up) {
      var to = nic;
      if (to != null) {
        to.linkChanged(up);
      }
    }
  }

  /// What an operator is told of a NIC.
  ///
  /// @param settings as asked for, with what was changed since
  /// @param mac its address
  /// @param guestMac the address that the guest uses now
  /// @param addresses that the NAT has given it, or of other ways
  /// @param queues channels that the guest's driver has open; 0 without a driver
  public record Info(
      int number,
      AdapterSettings settings,
      MacAddress mac,
      MacAddress guestMac,
      List<String> addresses,
      int queues,
      long framesSent,
      long octetsSent,
      long framesReceived,
      long octetsReceived) {}

  private static String portName(int number) {
    return "nic" + number;
  }

  // --- life cycle ---

  /// Makes what the partition begins with; all or nothing.
  ///
  /// @throws PartitionException if a NIC or a published port cannot be had; the message tells why
  synchronized void open(NetworkSettings settings) {
    boolean done = false;
    var clock = clocks.get();
    time = clock;
    switches = new Switches(folder, settings.publications(), clock);
    try {
      settings.adapters().forEach(this::add);
      done = true;
    } finally {
      if (!done) {
        close();
      }
    }
  }

  /// Gives the NICs to a machine's bus.
  synchronized void connect(Vmbus to) {
    bus = to;
    adapters.values().forEach(this::plug);
  }

  /// Takes them from it, when its channels are closed.
  synchronized void disconnect(Vmbus from) {
    if (bus == from) {
      bus = null;
      adapters.values().forEach(Adapters::unplug);
    }
  }

  private void plug(Adapter adapter) {
    var to = bus;
    if (to == null) {
      return;
    }
    var nic =
        new SyntheticNic(
            NicSettings.of(adapter.instance, adapter.mac, queues)
                .withMtu(adapter.settings.mtu())
                .withMacChanges(adapter.settings.macSpoofing()),
            time);
    adapter.nic = nic;
    adapter.socket.nic = nic;
    nic.connect(adapter.port);
    to.attach(nic);
  }

  private static void unplug(Adapter adapter) {
    adapter.socket.nic = null;
    if (adapter.nic != null) {
      adapter.nic.disconnect();
      adapter.nic = null;
    }
  }

  private void pull(Adapter adapter) {
    var nic = adapter.nic;
    if (nic != null && bus != null) {
      bus.detach(nic);
    }
    unplug(adapter);
  }

  /// Ends all traffic. A second time does nothing.
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    adapters.values().forEach(adapter -> adapter.port.close());
    if (switches != null) {
      switches.close();
    }
    if (time != null) {
      time.close();
    }
  }

  // --- what an operator does ---

  private Switches switches() {
    if (closed || switches == null) {
      throw new PartitionException("the partition has ended");
    }
    return switches;
  }

  private Adapter adapter(int number) {
    switches();
    var adapter = adapters.get(number);
    if (adapter == null) {
      throw new PartitionException("there is no NIC " + number);
    }
    return adapter;
  }

  /// Adds a NIC; a running guest is told.
  ///
  /// @return its number
  /// @throws PartitionException if it cannot be had; the message tells why
  public synchronized int add(AdapterSettings settings) {
    var all = switches();
    int number = 0;
    while (adapters.containsKey(number)) {
      number++;
    }
    if (number == MOST) {
      throw new PartitionException("there are %d NICs already, and no more".formatted(MOST));
    }
    var mac = settings.mac() == null ? mac(number) : settings.mac();
    requireFree(mac, null);
    var room = all.enter(settings.attachment(), settings.mtu());
    Adapter adapter;
    try {
      adapter = new Adapter(identity("nic", number), settings, mac, room, number);
    } catch (IllegalArgumentException | IllegalStateException e) {
      all.leave(settings.attachment());
      throw new PartitionException(String.valueOf(e.getMessage()), e);
    }
    adapters.put(number, adapter);
    plug(adapter);
    return number;
  }

  private UUID identity(String what, int number) {
    return UUID.nameUUIDFromBytes(
        (identity + "\0" + what + number).getBytes(StandardCharsets.UTF_8));
  }

  private MacAddress mac(int number) {
    return new MacAddress(MAC_BLOCK | identity("mac", number).getLeastSignificantBits() & MAC_MASK);
  }

  private void requireFree(MacAddress mac, @Nullable Adapter except) {
    adapters.forEach(
        (number, other) -> {
          if (other != except && other.mac.equals(mac)) {
            throw new PartitionException(
                "NIC %d has the address %s already".formatted(number, mac));
          }
        });
  }

  /// Removes a NIC, as pulling the card; a running guest is told.
  ///
  /// @throws PartitionException if there is none
  public synchronized void remove(int number) {
    var adapter = adapter(number);
    pull(adapter);
    adapters.remove(number);
    adapter.port.close();
    switches().leave(adapter.settings.attachment());
  }

  /// Changes a NIC while the guest runs. Another address or MTU is another card for the guest: it
  /// goes and comes again.
  ///
  /// @param options as {@link AdapterSettings#with} knows them
  /// @throws PartitionException if it cannot be; the message tells why
  public synchronized void change(int number, List<String> options) {
    var adapter = adapter(number);
    AdapterSettings next;
    try {
      next = adapter.settings.with(options);
    } catch (IllegalArgumentException e) {
      throw new PartitionException(String.valueOf(e.getMessage()), e);
    }
    var mac = next.mac() == null ? adapter.mac : next.mac();
    requireFree(mac, adapter);
    boolean anotherCard =
        !mac.equals(adapter.mac)
            || next.mtu() != adapter.settings.mtu()
            || next.macSpoofing() != adapter.settings.macSpoofing();
    if (anotherCard) {
      pull(adapter);
    }
    try {
      adapter.port.configure(next.port(mac));
      adapter.port.setUp(next.up());
      adapter.settings = next;
      adapter.mac = mac;
    } catch (IllegalArgumentException e) {
      throw new PartitionException(String.valueOf(e.getMessage()), e);
    } finally {
      if (anotherCard) {
        plug(adapter);
      }
    }
  }

  /// Plugs a NIC into another switch while the guest runs, which learns that it is in another
  /// network.
  ///
  /// @throws PartitionException if it cannot be; the message tells why
  public synchronized void move(int number, Attachment to) {
    var adapter = adapter(number);
    var from = adapter.settings.attachment();
    if (to.equals(from)) {
      return;
    }
    var room = switches().enter(to, adapter.settings.mtu());
    SwitchPort port;
    try {
      port =
          room.network()
              .connect(portName(number), adapter.socket, adapter.settings.port(adapter.mac));
    } catch (IllegalArgumentException | IllegalStateException e) {
      switches().leave(to);
      throw new PartitionException(String.valueOf(e.getMessage()), e);
    }
    if (!adapter.settings.up()) {
      port.setUp(false);
    }
    if (adapter.nic != null) {
      adapter.nic.connect(port);
    }
    adapter.port.close();
    switches().leave(from);
    adapter.port = port;
    adapter.room = room;
    adapter.settings = adapter.settings.at(to);
  }

  /// All NICs by number.
  public synchronized List<Info> list() {
    var list = new ArrayList<Info>();
    adapters.forEach(
        (number, adapter) -> {
          var counters = adapter.port.counters().snapshot();
          var nic = adapter.nic;
          list.add(
              new Info(
                  number,
                  adapter.settings,
                  adapter.mac,
                  nic == null ? adapter.mac : nic.address(),
                  addresses(adapter),
                  nic == null ? 0 : nic.statistics().queues().size(),
                  counters.framesOut(),
                  counters.octetsOut(),
                  counters.framesIn(),
                  counters.octetsIn()));
        });
    return list;
  }

  private static List<String> addresses(Adapter adapter) {
    var gateway = adapter.room.gateway();
    return gateway == null
        ? List.of()
        : gateway.save().leases().stream()
            .filter(lease -> lease.bound() && lease.mac() == adapter.mac.bits())
            .map(NatState.Lease::address)
            .toList();
  }

  /// The switches, this process's part of each.
  public synchronized List<SwitchInfo> switchList() {
    return switches == null
        ? List.of()
        : switches.all().stream().map(room -> SwitchInfo.of(room.network())).toList();
  }

  /// Begins to write what passes some ports.
  ///
  /// @param names `nic0`, or `SWITCH/PORT`; nothing for all NICs
  /// @param snapLength octets of each frame
  /// @throws PartitionException if there is no such port
  /// @throws IOException if the beginning cannot be written
  public Capture capture(OutputStream out, List<String> names, int snapLength) throws IOException {
    var ports = new ArrayList<SwitchPort>();
    TimeSource clock;
    synchronized (this) {
      clock = time;
      var all = switches().all().stream().flatMap(room -> room.network().ports().stream()).toList();
      if (names.isEmpty()) {
        adapters.values().forEach(adapter -> ports.add(adapter.port));
      }
      for (var name : names) {
        var found =
            all.stream()
                .filter(port -> port.name().equals(name) || port.toString().equals(name))
                .toList();
        if (found.size() != 1) {
          throw new PartitionException(
              (found.isEmpty() ? "no port '%s': there is %s" : "port '%s' of which switch? %s")
                  .formatted(name, String.join(", ", all.stream().map(Object::toString).toList())));
        }
        ports.addAll(found);
      }
    }
    if (ports.isEmpty() || clock == null) {
      throw new PartitionException("the partition has no NIC");
    }
    return Capture.start(out, ports, clock, snapLength);
  }

  /// What the NICs have done, for {@link Statistics}.
  synchronized Map<String, Long> counters() {
    var all = new TreeMap<String, Long>();
    adapters.forEach(
        (number, adapter) -> {
          var prefix = "nic." + number + ".";
          var counters = adapter.port.counters().snapshot();
          all.put(prefix + "sent-frames", counters.framesOut());
          all.put(prefix + "sent-bytes", counters.octetsOut());
          all.put(prefix + "received-frames", counters.framesIn());
          all.put(prefix + "received-bytes", counters.octetsIn());
          all.put(prefix + "waited", counters.refused() + counters.throttled());
          all.put(prefix + "dropped", counters.dropped());
          var nic = adapter.nic;
          if (nic != null) {
            add(all, prefix, nic.statistics());
          }
        });
    return all;
  }

  private static void add(Map<String, Long> all, String prefix, NicStatistics statistics) {
    all.put(prefix + "receive-refused", statistics.receiveRefused());
    all.put(prefix + "receive-dropped", statistics.receiveDropped());
    all.put(prefix + "coalesced", statistics.coalesced());
  }
}
