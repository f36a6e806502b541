package dev.partita.network.vswitch;

import dev.partita.hypervisor.TimeSource;
import dev.partita.network.Endpoint;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import dev.partita.network.MacAddress;
import dev.partita.network.Port;
import dev.partita.network.Port.Outcome;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// A virtual Ethernet switch. Frames are carried on the threads that send them, and are not stored.
///
/// Thread-safe.
public final class VirtualSwitch implements AutoCloseable {
  /// Ports of one switch.
  public static final int MOST_PORTS = 1024;

  /// What the frames' path reads: replaced as a whole when a port comes, goes or changes.
  private record Snapshot(
      @Nullable SwitchPort[] ports,
      int[] up,
      Map<Long, List<SwitchPort>> adapters,
      int[] mirrors) {}

  private final String name;
  private final SwitchKind kind;
  private final TimeSource time;
  private final Conversion conversion = new Conversion();
  private final MacTable stations = new MacTable();
  private final Object changes = new Object();
  private @Nullable SwitchPort[] ports = new @Nullable SwitchPort[0];
  private volatile Snapshot snapshot =
      new Snapshot(new @Nullable SwitchPort[0], new int[0], Map.of(), new int[0]);

  /// @param name for eyes
  public VirtualSwitch(String name, SwitchKind kind, TimeSource time) {
    this.name = name;
    this.kind = kind;
    this.time = time;
  }

  /// The name.
  public String name() {
    return name;
  }

  /// The kind.
  public SwitchKind kind() {
    return kind;
  }

  TimeSource time() {
    return time;
  }

  Conversion conversion() {
    return conversion;
  }

  /// Plugs an endpoint in.
  ///
  /// @param portName unique in this switch
  /// @throws IllegalArgumentException if the name or the address is taken, or a switch of this kind
  ///     has no such ports
  /// @throws IllegalStateException if there are {@link #MOST_PORTS} already
  public SwitchPort connect(String portName, Endpoint endpoint, PortSettings settings) {
    if (!settings.role().belongsTo(kind)) {
      throw new IllegalArgumentException(
          "switch '%s': a port of role %s does not belong to a switch of kind %s"
              .formatted(name, settings.role(), kind));
    }
    synchronized (changes) {
      if (find(portName) != null) {
        throw new IllegalArgumentException(
            "switch '%s' has a port '%s' already".formatted(name, portName));
      }
      requireFree(settings, null);
      int number = 0;
      while (number < ports.length && ports[number] != null) {
        number++;
      }
      if (number == MOST_PORTS) {
        throw new IllegalStateException(
            "switch '%s' has %d ports already".formatted(name, MOST_PORTS));
      }
      if (number == ports.length) {
        ports = Arrays.copyOf(ports, Math.max(4, ports.length * 2));
      }
      var port = new SwitchPort(this, number, portName, endpoint, settings);
      ports[number] = port;
      publish();
      return port;
    }
  }

  private void requireFree(PortSettings settings, @Nullable SwitchPort except) {
    var mac = settings.mac();
    for (var port : ports) {
      if (mac != null && port != null && port != except && mac.equals(port.settings().mac())) {
        throw new IllegalArgumentException(
            "switch '%s': port '%s' has the address %s already".formatted(name, port.name(), mac));
      }
    }
  }

  void configure(SwitchPort port, PortSettings changed) {
    synchronized (changes) {
      if (changed.role() != port.settings().role()) {
        throw new IllegalArgumentException("port '%s' cannot change its role".formatted(port));
      }
      requireFree(changed, port);
      port.apply(changed);
      stations.forget(port.number());
      publish();
    }
  }

  boolean setUp(SwitchPort port, boolean up) {
    synchronized (changes) {
      boolean changed = port.changeUp(up);
      if (changed) {
        stations.forget(port.number());
        publish();
      }
      return changed;
    }
  }

  void disconnect(SwitchPort port) {
    synchronized (changes) {
      if (ports.length > port.number() && ports[port.number()] == port) {
        ports[port.number()] = null;
        port.changeUp(false);
        publish();
        stations.forget(port.number());
      }
    }
  }

  private void publish() {
    var present = new ArrayList<SwitchPort>();
    for (var port : ports) {
      if (port != null && port.up()) {
        present.add(port);
      }
    }
    snapshot =
        new Snapshot(
            ports.clone(),
            present.stream().mapToInt(SwitchPort::number).toArray(),
            present.stream()
                .filter(port -> port.settings().mac() != null)
                .collect(Collectors.groupingBy(VirtualSwitch::address)),
            present.stream()
                .filter(port -> port.settings().mirroring() == PortSettings.Mirroring.DESTINATION)
                .mapToInt(SwitchPort::number)
                .toArray());
  }

  private static Long address(SwitchPort port) {
    var mac = port.settings().mac();
    return mac == null ? -1L : mac.bits();
  }

  /// A port by its name, or nothing.
  public @Nullable SwitchPort find(String portName) {
    for (var port : ports()) {
      if (port.name().equals(portName)) {
        return port;
      }
    }
    return null;
  }

  /// All ports, in the order of their numbers.
  public List<SwitchPort> ports() {
    var list = new ArrayList<SwitchPort>();
    for (var port : snapshot.ports) {
      if (port != null) {
        list.add(port);
      }
    }
    return list;
  }

  /// Learned stations.
  public int stationCount() {
    return stations.size();
  }

  /// The tables at one moment, as the forwarding function reads them.
  private final class View implements Forwarding.Tables {
    private final Snapshot tables;
    private final long now;

    View(Snapshot tables, long now) {
      this.tables = tables;
      this.now = now;
    }

    @Override
    public int[] ports() {
      return tables.up;
    }

    @Override
    public PortSettings settings(int port) {
      return port(tables, port).settings();
    }

    @Override
    public int find(int vlan, long mac) {
      var adapters = tables.adapters.get(mac);
      if (adapters != null) {
        return adapters.getFirst().number();
      }
      int learned = stations.find(vlan, mac, now);
      return learned >= 0 && learned < tables.ports.length && tables.ports[learned] != null
          ? learned
          : -1;
    }

    @Override
    public boolean open(int port, Headers headers, boolean outbound) {
      var sessions = port(tables, port).sessions();
      return headers.isIp()
          && !sessions.isEmpty()
          && sessions.has(Sessions.flow(headers, outbound), now);
    }
  }

  private static SwitchPort port(Snapshot tables, int number) {
    var port = tables.ports[number];
    if (port == null) {
      throw new IllegalStateException("no port " + number);
    }
    return port;
  }

  /// @param keeps whether the sender keeps a frame that is refused, and waits
  Outcome forward(SwitchPort from, Headers headers, boolean keeps, long now) {
    var tables = snapshot;
    if (from.number() >= tables.ports.length || tables.ports[from.number()] != from) {
      from.counters().drop(DropReason.LINK_DOWN);
      return Outcome.TAKEN;
    }
    var decision = Forwarding.decide(new View(tables, now), from.number(), headers);
    if (decision instanceof Decision.Drop(var reason)) {
      from.counters().drop(reason);
      return Outcome.TAKEN;
    }
    var deliver = (Decision.Deliver) decision;
    var frame = headers.frame();
    if (from.settings().learns() && !tables.adapters.containsKey(frame.source())) {
      stations.learn(deliver.vlan(), frame.source(), from.number(), now);
    }
    noteSession(from, headers, true, now);
    var targets = deliver.ports();
    // One receiver without room holds up nobody but the sender to it alone.
    boolean alone = targets.length == 1 && !MacAddress.isGroup(frame.destination());
    var sender = keeps && alone ? from : null;
    boolean taken = true;
    for (int number : targets) {
      var target = port(tables, number);
      taken = target.deliver(frame, deliver.vlan(), sender, now);
      if (taken) {
        noteSession(target, headers, false, now);
      }
    }
    if (sender != null && !taken) {
      return Outcome.REFUSED;
    }
    from.showOutbound(frame);
    if (tables.mirrors.length > 0) {
      mirror(tables, from, targets, headers, deliver.vlan(), now);
    }
    return Outcome.TAKEN;
  }

  private void noteSession(SwitchPort port, Headers headers, boolean outbound, long now) {
    var settings = port.settings();
    if (settings.rules().isEmpty() || !headers.isIp()) {
      return;
    }
    var rule = Forwarding.match(settings, headers, outbound);
    var flow = Sessions.flow(headers, outbound);
    if (rule != null && rule.stateful() && rule.action() == AccessRule.Action.ALLOW) {
      port.sessions().open(flow, rule.idleSeconds() * 1_000_000_000L, now);
    } else {
      port.sessions().refresh(flow, now);
    }
  }

  private void mirror(
      Snapshot tables, SwitchPort from, int[] targets, Headers headers, int vlan, long now) {
    boolean watched = isSource(from);
    for (int i = 0; i < targets.length && !watched; i++) {
      watched = isSource(port(tables, targets[i]));
    }
    if (!watched) {
      return;
    }
    for (int number : tables.mirrors) {
      boolean already = number == from.number();
      for (int target : targets) {
        already |= target == number;
      }
      if (!already) {
        port(tables, number).deliver(headers.frame(), vlan, null, now);
      }
    }
  }

  private static boolean isSource(SwitchPort port) {
    return port.settings().mirroring() == PortSettings.Mirroring.SOURCE;
  }

  void endBatch() {
    for (var port : snapshot.ports) {
      if (port != null) {
        port.endDeliveries();
      }
    }
  }

  /// The state now.
  public SwitchState save() {
    long now = time.nanoTime();
    var saved = new ArrayList<SwitchState.PortState>();
    for (var port : ports()) {
      var ways =
          port.sessions().saved(now).stream()
              .map(
                  s ->
                      new SwitchState.Way(
                          s.flow().protocol(),
                          s.flow().local().toString(),
                          s.flow().localPort(),
                          s.flow().remote().toString(),
                          s.flow().remotePort(),
                          s.leftNanos(),
                          s.idleNanos()))
              .toList();
      saved.add(new SwitchState.PortState(port.name(), port.settings(), port.up(), ways));
    }
    var tables = snapshot;
    var learned =
        stations.stations(now).stream()
            .filter(s -> s.port() < tables.ports.length && tables.ports[s.port()] != null)
            .map(
                s ->
                    new SwitchState.Station(
                        s.vlan(), s.mac(), port(tables, s.port()).name(), s.ageNanos()))
            .toList();
    return new SwitchState(saved, learned);
  }

  /// Takes a state up. Ports that are not connected here are left out.
  public void restore(SwitchState state) {
    long now = time.nanoTime();
    for (var saved : state.ports()) {
      var port = find(saved.name());
      if (port == null) {
        continue;
      }
      port.configure(saved.settings());
      port.setUp(saved.up());
      port.sessions()
          .restore(
              saved.ways().stream()
                  .map(
                      way ->
                          new Sessions.Saved(
                              new Sessions.Flow(
                                  way.protocol(),
                                  IpAddress.parse(way.local()),
                                  way.localPort(),
                                  IpAddress.parse(way.remote()),
                                  way.remotePort()),
                              way.leftNanos(),
                              way.idleNanos()))
                  .toList(),
              now);
    }
    for (var station : state.stations()) {
      var port = find(station.port());
      if (port != null) {
        stations.learn(station.vlan(), station.mac(), port.number(), now - station.ageNanos());
      }
    }
  }

  /// Unplugs everything.
  @Override
  public void close() {
    ports().forEach(Port::close);
  }
}
