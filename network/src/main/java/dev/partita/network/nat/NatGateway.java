package dev.partita.network.nat;

import dev.partita.hypervisor.TimeSource;
import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import dev.partita.network.Port;
import dev.partita.network.tcp.TcpSegment;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// The guests' way out without any rights on the host: a router with DHCP, DNS and neighbor
/// discovery toward the guests, and the host's ordinary sockets on the other side.
///
/// Thread-safe: frames are handled on the threads that bring them, under one lock; one thread of
/// the gateway's own waits for the host's sockets.
public final class NatGateway implements Endpoint, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(NatGateway.class.getName());
  private static final long SECOND = 1_000_000_000L;
  private static final int DNS = 53;

  private static final int ICMP_ECHO = 8;
  private static final int ICMP_ECHO_REPLY = 0;

  /// RFC 4861, 6.2.1: at most 1800 s between advertisements; and no two multicast within 3 s.
  private static final long ADVERTISE_INTERVAL = 200 * SECOND;

  private static final long ADVERTISE_PAUSE = 3 * SECOND;

  private final NatSettings settings;
  private final TimeSource time;
  private final ReentrantLock lock = new ReentrantLock();
  private final HostNetwork host;
  private final Resolvers resolvers;
  private final PacketWriter writer;
  private final IcmpErrors errors;
  private final Icmpv6 icmpv6;
  private final LeaseTable leases;
  private final DhcpServer dhcp;
  private final Dhcpv6Server dhcpv6;
  private final NeighborTable neighbors = new NeighborTable();
  private final TcpFlows tcp;
  private final UdpFlows udp;
  private final DnsRelay dns;
  private final PingRelay ping4;
  private final PingRelay ping6;
  private final Reassembly reassembly = new Reassembly();
  private final PublishedPorts published;
  private final TimeSource.Timer timer;
  private @Nullable Port port;
  private List<NatState.Connection> lost = List.of();
  private @Nullable IpAddress seen;
  private long now;
  private long armed;
  private long housekeepingAt;
  private long advertiseAt;
  private long advertised;
  private long malformed;
  private @Nullable RuntimeException defect;
  private boolean closed;

  /// Makes one that asks the host's resolvers. It does nothing until it is {@link #attach}ed.
  ///
  /// @throws IOException if the host has no selector
  public NatGateway(NatSettings settings, TimeSource time) throws IOException {
    this(settings, time, Path.of("/etc/resolv.conf"), new java.security.SecureRandom(), null);
  }

  /// @param host the host's sockets, or nothing for the real ones
  NatGateway(
      NatSettings settings,
      TimeSource time,
      Path resolvConf,
      RandomGenerator random,
      @Nullable HostNetwork host)
      throws IOException {
    this.settings = settings;
    this.time = time;
    this.host = host == null ? new SocketLoop(lock, this::runTimers, this::finishBatch) : host;
    resolvers = new Resolvers(resolvConf, time);
    writer = new PacketWriter(settings.mac().bits(), settings.mtu(), new Wire());
    errors = new IcmpErrors(settings, writer);
    icmpv6 = new Icmpv6(settings, writer);
    leases = new LeaseTable(settings.ipv4());
    dhcp = new DhcpServer(settings, leases);
    dhcpv6 = new Dhcpv6Server(settings.mac(), settings.gateway6());
    tcp = new TcpFlows(settings, this.host, writer, random, new TcpOwner());
    udp = new UdpFlows(this.host, settings.limits().datagramFlows(), this::sendDatagram);
    dns = new DnsRelay(this.host, random, this::answerQuery);
    ping4 = new PingRelay(true, lock, this::answerPing, this::finishBatch);
    ping6 = new PingRelay(false, lock, this::answerPing, this::finishBatch);
    published = new PublishedPorts(this.host, new PublishOwner());
    timer = time.timer(this.host::wake);
  }

  private final class TcpOwner implements TcpFlows.Owner {
    @Override
    public long now() {
      return time.nanoTime();
    }

    @Override
    public void unreachable(TcpFlowKey key, long guestMac, int sequence) {
      errors.answerSyn(IcmpErrors.Error.HOST_UNREACHABLE, key, guestMac, sequence, time.nanoTime());
    }

    @Override
    public void reschedule() {
      arm();
    }
  }

  private final class PublishOwner implements PublishedPorts.Owner {
    @Override
    public UdpFlows.@Nullable Guest guest(Publication publication) {
      var address = publication.guest() == null ? firstGuest() : publication.guest();
      if (address == null) {
        return null;
      }
      long mac = station(address);
      if (mac < 0) {
        ask(address);
        return null;
      }
      return new UdpFlows.Guest(address, publication.guestPort(), mac);
    }

    @Override
    public @Nullable IpAddress shown(InetSocketAddress client, boolean v4) {
      var address = IpAddress.of(client.getAddress());
      return address.isV4() == v4 && address.isRoutable() && !isGuestNetwork(address)
          ? address
          : null;
    }

    @Override
    public IpAddress gateway(boolean v4) {
      return v4 ? settings.gateway4() : settings.gateway6();
    }

    @Override
    public void open(TcpFlowKey key, long mac, HostNetwork.Accepted stream) {
      if (!tcp.publish(key, mac, stream, time.nanoTime())) {
        stream.reset();
      }
    }

    @Override
    public boolean isOpen(TcpFlowKey key) {
      return tcp.contains(key);
    }

    @Override
    public void datagram(
        IpAddress from, int fromPort, UdpFlows.Guest to, ByteBuffer buffer, int length) {
      sendDatagram(from, fromPort, to, buffer, length);
    }
  }

  /// Plugs it into a network and opens the published ports.
  ///
  /// @throws IOException if a published port cannot be opened; nothing is left open then
  public void attach(Port port) throws IOException {
    lock.lock();
    try {
      this.port = port;
      now = time.nanoTime();
      try {
        published.open(settings.publications());
      } catch (IOException e) {
        published.close();
        throw e;
      }
      advertise(now);
      resetLost();
      arm();
    } finally {
      lock.unlock();
    }
    port.endBatch();
  }

  /// The last exception that should not have been, or nothing.
  @Nullable RuntimeException defect() {
    return defect;
  }

  /// What the network is.
  public NatSettings settings() {
    return settings;
  }

  @Override
  public Offloads offloads() {
    return new Offloads(settings.mtu(), true, Frame.MAX_LENGTH);
  }

  @Override
  public boolean deliver(Frame frame) {
    lock.lock();
    try {
      if (!closed) {
        now = time.nanoTime();
        receive(frame);
      }
    } catch (RuntimeException e) {
      // A defect here must not end the thread that carries a guest's frames.
      LOG.log(System.Logger.Level.ERROR, "nat: a frame could not be handled", e);
      defect = e;
    } finally {
      lock.unlock();
    }
    return true;
  }

  @Override
  public void endBatch() {
    lock.lock();
    try {
      finishBatch();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void resume() {
    lock.lock();
    try {
      if (!closed) {
        tcp.resume(time.nanoTime());
        finishBatch();
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void linkChanged(boolean up) {
    lock.lock();
    try {
      if (up && !closed) {
        advertise(time.nanoTime());
        finishBatch();
      }
    } finally {
      lock.unlock();
    }
  }

  private void finishBatch() {
    if (closed) {
      return;
    }
    tcp.endBatch(time.nanoTime());
    arm();
    if (port != null) {
      port.endBatch();
    }
  }

  /// What is sent, to the port.
  private final class Wire implements PacketWriter.Wire {
    @Override
    public boolean send(Frame frame) {
      return port != null && port.send(frame) == Port.Outcome.TAKEN;
    }

    @Override
    public void sendOrDrop(Frame frame) {
      if (port != null) {
        port.sendOrDrop(frame);
      }
    }
  }

  private void arm() {
    if (closed) {
      return;
    }
    long deadline = advertiseAt == 0 ? 0 : advertiseAt;
    long next = tcp.deadline();
    if (next != 0 && (deadline == 0 || next - deadline < 0)) {
      deadline = next;
    }
    if (isBusy()) {
      if (housekeepingAt == 0) {
        housekeepingAt = time.nanoTime() + SECOND;
      }
      if (deadline == 0 || housekeepingAt - deadline < 0) {
        deadline = housekeepingAt;
      }
    } else {
      housekeepingAt = 0;
    }
    if (deadline != 0 && deadline != armed) {
      armed = deadline;
      timer.arm(deadline);
    }
  }

  private boolean isBusy() {
    // Idle connections need nobody to wake up for them every second.
    return tcp.untrimmed()
        || udp.size() + dns.size() + reassembly.size() + ping4.size() + ping6.size() > 0;
  }

  /// Runs what is due; under the lock.
  void runTimers() {
    if (closed) {
      return;
    }
    now = time.nanoTime();
    if (armed != 0 && armed - now <= 0) {
      armed = 0;
    }
    tcp.timers(now);
    if (housekeepingAt != 0 && housekeepingAt - now <= 0) {
      housekeepingAt = 0;
      tcp.trim();
      udp.tick(now);
      dns.tick(now);
      ping4.tick(now);
      ping6.tick(now);
      reassembly.tick(now);
    }
    if (advertiseAt != 0 && advertiseAt - now <= 0) {
      advertise(now);
    }
    finishBatch();
  }

  private void advertise(long now) {
    icmpv6.advertise(resolvers.search());
    advertised = now;
    advertiseAt = now + ADVERTISE_INTERVAL;
  }

  private void receive(Frame frame) {
    frame.takeTag();
    var headers = Headers.of(frame);
    if (headers.kind() == Headers.Kind.MALFORMED) {
      malformed++;
      return;
    }
    long to = frame.destination();
    if (to != settings.mac().bits() && !MacAddress.isGroup(to)) {
      return;
    }
    receive(headers);
  }

  private void receive(Headers headers) {
    switch (headers.kind()) {
      case ARP -> arp(headers);
      case IPV4, IPV6 -> packet(headers);
      default -> {}
    }
  }

  private void arp(Headers headers) {
    var frame = headers.frame();
    var sender = headers.source();
    long mac = frame.source();
    if (!isHolder(sender, mac)) {
      return;
    }
    if (settings.ipv4().contains(sender) && !sender.equals(settings.gateway4())) {
      neighbors.learn(sender, mac);
    }
    if (frame.u16(Frame.HEADER + 6) == 1 && headers.destination().equals(settings.gateway4())) {
      writer.arp(2, mac, mac, settings.gateway4(), sender);
    }
  }

  /// Whether an address may come from a station: what is leased to one is no other's.
  private boolean isHolder(IpAddress address, long mac) {
    var lease = address.isV4() ? leases.at(address, now) : null;
    return lease == null || !lease.bound() || lease.mac() == mac;
  }

  private boolean isGuestNetwork(IpAddress address) {
    return settings.ipv4().contains(address) || settings.ipv6().contains(address);
  }

  private boolean isGateway(IpAddress address) {
    return address.isV4() ? address.equals(settings.gateway4()) : icmpv6.isOurs(address);
  }

  private void packet(Headers headers) {
    boolean segments = headers.frame().segmentSize() != 0;
    if (!segments && !headers.headerChecksumRight()) {
      malformed++;
      return;
    }
    var source = headers.source();
    boolean usable =
        isGuestNetwork(source) && !isGateway(source)
            || source.isUnspecified()
            || !source.isV4() && source.isLinkLocal() && !isGateway(source);
    if (!usable || !isHolder(source, headers.frame().source())) {
      malformed++;
      return;
    }
    if (headers.isFragment()) {
      var whole = reassembly.add(headers, now);
      if (whole != null) {
        var joined = Headers.of(whole);
        if (joined.isIp() && !joined.isFragment()) {
          receive(joined);
        }
      }
      return;
    }
    if (!source.isUnspecified()) {
      neighbors.learn(source, headers.frame().source());
      if (source.isV4()) {
        seen = source;
      }
    }
    boolean known =
        switch (headers.protocol()) {
          case Headers.TCP, Headers.UDP, Headers.ICMP, Headers.ICMPV6 -> true;
          default -> false;
        };
    if (!known) {
      errors.send(IcmpErrors.Error.PROHIBITED, headers, now);
      return;
    }
    if (!headers.transportChecksumRight()) {
      malformed++;
      return;
    }
    if (headers.frame().u8(Frame.HEADER + (source.isV4() ? 8 : 7)) <= 1
        && headers.destination().isRoutable()
        && !isGateway(headers.destination())) {
      errors.send(IcmpErrors.Error.HOPS_EXCEEDED, headers, now);
      return;
    }
    switch (headers.protocol()) {
      case Headers.TCP -> tcp(headers);
      case Headers.UDP -> udp(headers);
      default -> icmp(headers);
    }
  }

  private void tcp(Headers headers) {
    var segment = TcpSegment.of(headers);
    if (segment == null || headers.source().isUnspecified()) {
      malformed++;
      return;
    }
    var destination = headers.destination();
    if (destination.isMulticast() || MacAddress.isGroup(headers.frame().destination())) {
      return;
    }
    InetSocketAddress target = null;
    if ((segment.flags() & TcpSegment.SYN) != 0) {
      int port = headers.destinationPort();
      target =
          isGateway(destination) && port == DNS && !resolvers.servers().isEmpty()
              ? resolvers.servers().getFirst()
              : hostAddress(destination, port);
    }
    tcp.segment(headers, segment, target, now);
  }

  /// Where a guest's packets go on the host's side, or nothing if it may not send there.
  private @Nullable InetSocketAddress hostAddress(IpAddress destination, int port) {
    if (isGateway(destination)) {
      var loopback = destination.isV4() ? IpAddress.LOOPBACK4 : IpAddress.LOOPBACK6;
      return settings.hostAllowed() ? new InetSocketAddress(loopback.toInetAddress(), port) : null;
    }
    return destination.isRoutable() && !isGuestNetwork(destination) && port != 0
        ? new InetSocketAddress(destination.toInetAddress(), port)
        : null;
  }

  private void udp(Headers headers) {
    var frame = headers.frame();
    int at = headers.transport();
    if (headers.transportLength() < 8) {
      malformed++;
      return;
    }
    int length = frame.u16(at + 4);
    if (length < 8 || length > headers.transportLength()) {
      malformed++;
      return;
    }
    var payload = frame.bytes().slice(frame.start() + at + 8, length - 8);
    int from = headers.sourcePort();
    int to = headers.destinationPort();
    var destination = headers.destination();
    boolean v4 = destination.isV4();
    if (v4 && to == DhcpServer.SERVER_PORT && from == DhcpServer.CLIENT_PORT) {
      if (destination.equals(IpAddress.BROADCAST4) || isGateway(destination)) {
        dhcp(payload, frame.source());
      }
      return;
    }
    if (!v4 && to == Dhcpv6Server.SERVER_PORT) {
      var answer = dhcpv6.answer(payload, resolvers.search());
      if (answer != null) {
        writer.buffer().put(PacketWriter.payloadAt(false, 8), answer);
        writer.udp(
            NatSettings.linkLocal6(), to, headers.source(), from, frame.source(), answer.length);
      }
      return;
    }
    if (headers.source().isUnspecified()
        || MacAddress.isGroup(frame.destination())
        || destination.isMulticast()) {
      return;
    }
    if (published.answer(from, destination, to, payload)) {
      return;
    }
    var guest = new UdpFlows.Guest(headers.source(), from, frame.source());
    if (isGateway(destination) && to == DNS) {
      var query = new byte[payload.remaining()];
      payload.get(query);
      dns.query(
          new DnsRelay.Client(guest.address(), from, guest.mac(), destination),
          query,
          resolvers.servers(),
          now);
      return;
    }
    var target = hostAddress(destination, to);
    if (target == null) {
      errors.send(
          isGateway(destination) ? IcmpErrors.Error.PORT_UNREACHABLE : IcmpErrors.Error.PROHIBITED,
          headers,
          now);
      return;
    }
    try {
      udp.send(guest, destination, target, payload, now);
    } catch (IOException e) {
      errors.send(IcmpErrors.Error.HOST_UNREACHABLE, headers, now);
    }
  }

  private void dhcp(ByteBuffer payload, long mac) {
    var answer = dhcp.answer(payload, mac, resolvers.search(), now);
    if (answer == null) {
      return;
    }
    writer.buffer().put(PacketWriter.payloadAt(true, 8), answer.message());
    writer.udp(
        settings.gateway4(),
        DhcpServer.SERVER_PORT,
        answer.to(),
        DhcpServer.CLIENT_PORT,
        answer.broadcast() ? MacAddress.BROADCAST.bits() : mac,
        answer.message().length);
  }

  private void sendDatagram(
      IpAddress from, int fromPort, UdpFlows.Guest to, ByteBuffer buffer, int length) {
    boolean v4 = to.address().isV4();
    int at = PacketWriter.payloadAt(v4, 8);
    if (length > Frame.MAX_LENGTH - Frame.HEADER - (v4 ? 28 : 48)) {
      return;
    }
    writer.buffer().put(at, buffer, 0, length);
    writer.udp(from, fromPort, to.address(), to.port(), to.mac(), length);
  }

  private void answerQuery(DnsRelay.Client client, ByteBuffer buffer, int at, int length) {
    boolean v4 = client.guest().isV4();
    writer.buffer().put(PacketWriter.payloadAt(v4, 8), buffer, at, length);
    writer.udp(client.server(), DNS, client.guest(), client.port(), client.mac(), length);
  }

  private void icmp(Headers headers) {
    boolean v4 = headers.kind() == Headers.Kind.IPV4;
    if (headers.transportLength() < 8) {
      return;
    }
    int type = headers.icmpType();
    if (type == (v4 ? ICMP_ECHO : Icmpv6.ECHO_REQUEST)) {
      echo(headers, v4);
    } else if (type == Icmpv6.NEIGHBOR_SOLICITATION && !v4) {
      icmpv6.answerSolicitation(headers);
    } else if (type == Icmpv6.ROUTER_SOLICITATION && !v4 && now - advertised > ADVERTISE_PAUSE) {
      advertise(now);
    } else if (type == Icmpv6.ROUTER_SOLICITATION && !v4) {
      // A guest that starts must not wait: it gets its own soon.
      advertiseAt = advertised + ADVERTISE_PAUSE;
    }
  }

  private void echo(Headers headers, boolean v4) {
    var destination = headers.destination();
    var frame = headers.frame();
    int length = headers.transportLength();
    var message = frame.bytes().slice(frame.start() + headers.transport(), length);
    if (isGateway(destination)) {
      int at = PacketWriter.payloadAt(v4, 0);
      writer.buffer().put(at, message, 0, length);
      writer.buffer().putShort(at, (short) ((v4 ? ICMP_ECHO_REPLY : Icmpv6.ECHO_REPLY) << 8));
      writer.icmp(destination, headers.source(), frame.source(), length, false);
      return;
    }
    if (!destination.isRoutable()
        || isGuestNetwork(destination)
        || MacAddress.isGroup(frame.destination())) {
      return;
    }
    var relay = v4 ? ping4 : ping6;
    if (!relay.available()) {
      errors.send(IcmpErrors.Error.PROHIBITED, headers, now);
      return;
    }
    relay.send(
        new PingRelay.Request(
            headers.source(),
            frame.source(),
            destination,
            message.getShort(4) & 0xffff,
            message.getShort(6) & 0xffff,
            PingRelay.until(now)),
        message);
    arm();
  }

  private void answerPing(PingRelay.Request request, ByteBuffer message) {
    boolean v4 = request.guest().isV4();
    int length = message.remaining();
    if (length > Frame.MAX_LENGTH - Frame.HEADER - 40) {
      return;
    }
    writer.buffer().put(PacketWriter.payloadAt(v4, 0), message, 0, length);
    writer.icmp(request.to(), request.guest(), request.mac(), length, false);
  }

  private @Nullable IpAddress firstGuest() {
    var leased = leases.latest();
    return leased == null ? seen : leased;
  }

  private long station(IpAddress address) {
    var lease = leases.at(address, time.nanoTime());
    return lease != null && lease.bound() ? lease.mac() : neighbors.find(address);
  }

  private void ask(IpAddress address) {
    if (address.isV4()) {
      writer.arp(1, MacAddress.BROADCAST.bits(), 0, settings.gateway4(), address);
    } else {
      icmpv6.solicit(address);
    }
  }

  /// What is in use.
  ///
  /// @param connections TCP connections, with those that are ending
  /// @param datagramFlows UDP sockets
  /// @param queries DNS queries under way
  /// @param fragments datagrams of which fragments are missing
  /// @param pings echo requests that are not answered yet
  /// @param sockets of the host
  /// @param memory octets of TCP buffers, the first 4 KiB of each not counted
  /// @param opened TCP connections so far
  /// @param refused TCP connections that were not let through or found no room
  /// @param malformed packets that were wrong in themselves or in their source
  public record Usage(
      int connections,
      int datagramFlows,
      int queries,
      int fragments,
      int pings,
      int sockets,
      long memory,
      long opened,
      long refused,
      long malformed) {}

  /// What is in use now.
  public Usage usage() {
    lock.lock();
    try {
      return new Usage(
          tcp.size(),
          udp.size(),
          dns.size(),
          reassembly.size(),
          ping4.size() + ping6.size(),
          host.open(),
          tcp.memory(),
          tcp.opened(),
          tcp.refused(),
          malformed);
    } finally {
      lock.unlock();
    }
  }

  /// The address of the guest that published ports lead to, or nothing while none is known.
  public @Nullable InetAddress guestAddress() {
    lock.lock();
    try {
      var guest = firstGuest();
      return guest == null ? null : guest.toInetAddress();
    } finally {
      lock.unlock();
    }
  }

  /// The state now.
  public NatState save() {
    lock.lock();
    try {
      return new NatState(leases.save(time.nanoTime()), tcp.connections());
    } finally {
      lock.unlock();
    }
  }

  /// Takes a state up, before or after it is attached.
  public void restore(NatState state) {
    lock.lock();
    try {
      leases.restore(state.leases(), time.nanoTime());
      lost = state.connections();
      resetLost();
    } finally {
      lock.unlock();
    }
  }

  private void resetLost() {
    if (port == null) {
      return;
    }
    for (var connection : lost) {
      writer.reset(
          IpAddress.parse(connection.remote()),
          connection.remotePort(),
          IpAddress.parse(connection.guest()),
          connection.guestPort(),
          connection.guestMac(),
          connection.sequence(),
          connection.acknowledgment(),
          TcpSegment.RST | TcpSegment.ACK);
    }
    lost = List.of();
    port.endBatch();
  }

  /// Resets all connections and closes all of the host's sockets.
  @Override
  public void close() {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      tcp.abortAll();
      closed = true;
      udp.close();
      dns.close();
      published.close();
      ping4.close();
      ping6.close();
      timer.cancel();
    } finally {
      lock.unlock();
    }
    if (port != null) {
      port.endBatch();
    }
    host.close();
  }
}
