package dev.partita.network.nat;

import dev.partita.network.Headers;
import dev.partita.network.tcp.HostStream;
import dev.partita.network.tcp.MemoryBudget;
import dev.partita.network.tcp.TcpConnection;
import dev.partita.network.tcp.TcpConnection.State;
import dev.partita.network.tcp.TcpSegment;
import dev.partita.network.tcp.TcpWire;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// The TCP connections of the guests. Not thread-safe: under the gateway's lock.
final class TcpFlows {
  private static final System.Logger LOG = System.getLogger(TcpFlows.class.getName());

  /// Read from a host's socket in one go.
  private static final int READ = 1 << 16;

  private final NatSettings settings;
  private final HostNetwork host;
  private final PacketWriter writer;
  private final Owner owner;
  private final RandomGenerator random;
  private final MemoryBudget memory;
  private final ByteBuffer scratch = ByteBuffer.allocateDirect(READ);
  private final Map<TcpFlowKey, Flow> flows = new HashMap<>();
  private final TreeSet<Flow> timed =
      new TreeSet<>(Comparator.<Flow>comparingLong(f -> f.queuedFor).thenComparingLong(f -> f.id));
  private final LinkedHashSet<Flow> owing = new LinkedHashSet<>();
  private final LinkedHashSet<Flow> blocked = new LinkedHashSet<>();

  /// Flows whose TCP is over while the host has still to take data.
  private final LinkedHashSet<Flow> draining = new LinkedHashSet<>();

  private final LinkedHashSet<Flow> waiting = new LinkedHashSet<>();
  private boolean untrimmed;
  private long nextId;
  private long opened;
  private long refused;

  /// What the flows need of the gateway.
  interface Owner {
    long now();

    /// The host has no way to the destination: the guest is told.
    ///
    /// @param sequence of its SYN
    void unreachable(TcpFlowKey key, long guestMac, int sequence);

    /// {@link TcpFlows#deadline} is earlier than before.
    void reschedule();
  }

  TcpFlows(
      NatSettings settings,
      HostNetwork host,
      PacketWriter writer,
      RandomGenerator random,
      Owner owner) {
    this.settings = settings;
    this.host = host;
    this.writer = writer;
    this.random = random;
    this.owner = owner;
    memory = new MemoryBudget(settings.limits().memory());
  }

  /// One connection with its place in the tables.
  private final class Flow implements TcpWire, HostNetwork.StreamEvents {
    private final long id = nextId++;
    private final TcpFlowKey key;
    private long guestMac;
    private long queuedFor;
    private boolean queued;
    private @Nullable TcpConnection connection;

    Flow(TcpFlowKey key, long guestMac) {
      this.key = key;
      this.guestMac = guestMac;
    }

    TcpConnection connection() {
      if (connection == null) {
        throw new IllegalStateException("no connection yet");
      }
      return connection;
    }

    @Override
    public boolean send(TcpConnection connection, int sequence, int flags, int length) {
      boolean sent = writer.tcp(key, guestMac, connection, sequence, flags, length);
      if (!sent) {
        blocked.add(this);
      }
      return sent;
    }

    @Override
    public void closed(TcpConnection connection) {
      flows.remove(key, this);
      if (!connection.drained()) {
        draining.add(this);
      }
      settle();
    }

    @Override
    public void reschedule(TcpConnection connection) {
      settle();
      if (connection.state() == State.TIME_WAIT) {
        waiting.add(this);
      }
      long deadline = connection.deadline();
      if (deadline == 0 || queued && queuedFor - deadline <= 0) {
        return;
      }
      enqueue(deadline);
      if (timed.first() == this) {
        owner.reschedule();
      }
    }

    private void enqueue(long deadline) {
      if (queued) {
        timed.remove(this);
      }
      queuedFor = deadline;
      queued = true;
      timed.add(this);
    }

    /// Leaves all tables when it is over.
    private void settle() {
      var current = connection;
      if (current != null && current.state() == State.CLOSED) {
        owing.remove(this);
        blocked.remove(this);
        waiting.remove(this);
        if (current.drained()) {
          draining.remove(this);
          if (queued) {
            timed.remove(this);
            queued = false;
          }
        }
      }
    }

    @Override
    public void connected() {
      connection().hostConnected(owner.now());
    }

    @Override
    public void failed(IOException reason) {
      if (reason instanceof ConnectException) {
        connection().hostRefused();
      } else {
        owner.unreachable(key, guestMac, connection().acknowledgment() - 1);
        connection().abort();
      }
    }

    @Override
    public void readable() {
      untrimmed = true;
      connection().hostReadable(owner.now());
    }

    @Override
    public void writable() {
      connection().hostWritable(owner.now());
    }
  }

  private TcpConnection.Settings connectionSettings(boolean v4) {
    int overhead = v4 ? 40 : 60;
    int buffer = settings.limits().connectionBuffer();
    return new TcpConnection.Settings(buffer, buffer, settings.mtu() - overhead, 65535 - overhead);
  }

  /// A segment of a guest.
  ///
  /// @param target where a SYN is to be connected, or nothing if it is to be refused
  void segment(Headers headers, TcpSegment segment, @Nullable InetSocketAddress target, long now) {
    var key =
        new TcpFlowKey(
            headers.source(),
            headers.sourcePort(),
            headers.destination(),
            headers.destinationPort());
    boolean syn =
        (segment.flags() & (TcpSegment.SYN | TcpSegment.ACK | TcpSegment.RST)) == TcpSegment.SYN;
    var flow = flows.get(key);
    if (flow != null && syn && reopens(flow.connection(), segment)) {
      // The port is used anew while the old connection waits (RFC 9293, 3.6.1).
      flow.connection().abort();
      flow = null;
    }
    if (flow != null) {
      flow.guestMac = headers.frame().source();
      untrimmed = true;
      flow.connection().segment(segment, now);
      if (flow.connection().owesAcknowledgment()) {
        owing.add(flow);
      }
      return;
    }
    if (!syn) {
      if ((segment.flags() & TcpSegment.RST) == 0) {
        writer.reset(headers, segment);
      }
      return;
    }
    if (target == null) {
      refused++;
      writer.reset(headers, segment);
      return;
    }
    open(key, headers, segment, target, now);
  }

  private static boolean reopens(TcpConnection connection, TcpSegment segment) {
    return connection.state() == State.TIME_WAIT
        && segment.sequence() - connection.acknowledgment() > 0;
  }

  private boolean hasRoom() {
    if (flows.size() + draining.size() < settings.limits().connections()) {
      return true;
    }
    if (waiting.isEmpty()) {
      return false;
    }
    waiting.getFirst().connection().abort();
    return true;
  }

  private void open(
      TcpFlowKey key, Headers headers, TcpSegment syn, InetSocketAddress target, long now) {
    if (!hasRoom()) {
      refused++;
      writer.reset(headers, syn);
      return;
    }
    var flow = new Flow(key, headers.frame().source());
    HostStream stream;
    try {
      stream = host.connect(target, flow);
    } catch (ConnectException e) {
      refused++;
      writer.reset(headers, syn);
      return;
    } catch (IOException e) {
      refused++;
      LOG.log(
          System.Logger.Level.DEBUG,
          () -> "nat: no connection to %s: %s".formatted(target, e.getMessage()));
      owner.unreachable(key, flow.guestMac, syn.sequence());
      return;
    }
    var connection =
        new TcpConnection(
            connectionSettings(key.guest().isV4()),
            memory,
            flow,
            stream,
            random.nextInt(),
            scratch,
            now);
    flow.connection = connection;
    flows.put(key, flow);
    opened++;
    connection.open(syn, now);
    flow.reschedule(connection);
  }

  /// Opens a connection to a guest for a client of the host.
  ///
  /// @return false if there is no room or such a connection is there
  boolean publish(TcpFlowKey key, long guestMac, HostNetwork.Accepted stream, long now) {
    if (flows.containsKey(key) || !hasRoom()) {
      refused++;
      return false;
    }
    var flow = new Flow(key, guestMac);
    var connection =
        new TcpConnection(
            connectionSettings(key.guest().isV4()),
            memory,
            flow,
            stream,
            random.nextInt(),
            scratch,
            now);
    flow.connection = connection;
    flows.put(key, flow);
    opened++;
    stream.listen(flow);
    connection.connect(now);
    return true;
  }

  boolean contains(TcpFlowKey key) {
    return flows.containsKey(key);
  }

  /// A batch is over: what is owed is acknowledged.
  void endBatch(long now) {
    while (!owing.isEmpty()) {
      owing.removeFirst().connection().flushAcknowledgment(now);
    }
  }

  /// The link has room again.
  void resume(long now) {
    var flowsBefore = new ArrayList<>(blocked);
    blocked.clear();
    for (var flow : flowsBefore) {
      flow.connection().resume(now);
    }
  }

  boolean isBlocked() {
    return !blocked.isEmpty();
  }

  /// When {@link #timers} wants to run, or 0.
  long deadline() {
    return timed.isEmpty() ? 0 : timed.first().queuedFor;
  }

  /// Runs what is due.
  void timers(long now) {
    while (!timed.isEmpty() && timed.first().queuedFor - now <= 0) {
      var flow = timed.pollFirst();
      flow.queued = false;
      var connection = flow.connection();
      long deadline = connection.deadline();
      if (deadline != 0 && deadline - now <= 0) {
        connection.timer(now);
        deadline = connection.deadline();
      }
      if (deadline != 0 && !flow.queued) {
        // Nothing may be due at once again, or this would never end.
        flow.enqueue(deadline - now <= 0 ? now + 1_000_000L : deadline);
      }
    }
  }

  /// Whether {@link #trim} may have something to give back.
  boolean untrimmed() {
    return untrimmed;
  }

  /// Gives unused memory back.
  void trim() {
    untrimmed = false;
    for (var flow : flows.values()) {
      flow.connection().trim();
    }
  }

  int size() {
    return flows.size() + draining.size();
  }

  long opened() {
    return opened;
  }

  long refused() {
    return refused;
  }

  long memory() {
    return memory.used();
  }

  /// A connection for eyes and for saving.
  List<NatState.Connection> connections() {
    return flows.values().stream()
        .map(
            flow ->
                new NatState.Connection(
                    flow.key.guest().toString(),
                    flow.key.guestPort(),
                    flow.key.remote().toString(),
                    flow.key.remotePort(),
                    flow.guestMac,
                    flow.connection().sequence(),
                    flow.connection().acknowledgment(),
                    flow.connection().state().name()))
        .toList();
  }

  /// Resets all connections.
  void abortAll() {
    for (var flow : List.copyOf(flows.values())) {
      flow.connection().abort();
    }
    for (var flow : List.copyOf(draining)) {
      flow.connection().abort();
    }
  }
}
