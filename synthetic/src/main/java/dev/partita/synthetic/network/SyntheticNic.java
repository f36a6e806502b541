package dev.partita.synthetic.network;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.TimeSource;
import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import dev.partita.network.Port;
import dev.partita.vmbus.Channel;
import dev.partita.vmbus.ChannelHandler;
import dev.partita.vmbus.Offer;
import dev.partita.vmbus.Packet;
import dev.partita.vmbus.VmbusDevice;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;

/// The synthetic NIC: on one side a device on a partition's VMBus, on the other what is plugged
/// into a port of a switch.
///
///     var nic = new SyntheticNic(NicSettings.of(instance, mac, processors));
///     nic.connect(virtualSwitch.connect("web-1", nic, PortSettings.adapter(mac)));
///     bus.attach(nic);
///
/// The protocol is that of Linux, `drivers/net/hyperv/`: remote NDIS in messages of the network
/// VSP. Any thread.
public final class SyntheticNic implements VmbusDevice, Endpoint {
  private static final UUID INTERFACE = UUID.fromString("f8615163-df3e-46c5-913f-f2d2f965ed0e");

  private static final System.Logger LOG = System.getLogger(SyntheticNic.class.getName());

  private final NicSettings settings;
  private final @Nullable TimeSource time;
  private final Offer offer;
  private final NicCounters counters;
  private final Receiver receiver;
  private final Adapter adapter;
  private final Map<Integer, NicChannel> channels = new ConcurrentHashMap<>();

  /// Kept when channels close: a driver that comes and goes shall not cost ever new ones.
  private final Map<Integer, TransmitBuffer> transmitBuffers = new ConcurrentHashMap<>();

  private final AtomicBoolean tellDue = new AtomicBoolean();
  private volatile @Nullable Port port;
  private volatile @Nullable GuestRam ram;
  private volatile int version;

  /// Held for reading while octets are copied from the send buffer.
  private final ReentrantReadWriteLock sendBufferLock = new ReentrantReadWriteLock();

  private @Nullable GuestBuffer sendBuffer;

  // Guarded by this object's monitor.
  private Negotiation negotiation;
  private boolean linkTold;
  private boolean changeDue;
  private final Map<Integer, NicState.Queue> restored = new TreeMap<>();

  /// A NIC that is plugged in nowhere, and answers the guest after each batch of packets.
  public SyntheticNic(NicSettings settings) {
    this(settings, null);
  }

  /// A NIC that is plugged in nowhere.
  ///
  /// @param time by which answers that nobody waits for are kept for a moment, so that the guest is
  ///     interrupted less often; without it they are not
  public SyntheticNic(NicSettings settings, @Nullable TimeSource time) {
    this.settings = settings;
    this.time = time;
    this.offer = Offer.plain(INTERFACE, settings.instance());
    this.counters = new NicCounters(settings.queues());
    this.receiver = new Receiver(counters);
    this.adapter = new Adapter(settings);
    this.negotiation = new Negotiation(settings);
  }

  /// What it is.
  public NicSettings settings() {
    return settings;
  }

  /// The address it has now: its own, or the one the guest gave it.
  public MacAddress address() {
    return adapter.configuration().address();
  }

  /// What went through it.
  public NicStatistics statistics() {
    return counters.now();
  }

  /// Channels that the guest has open.
  public int openQueues() {
    return receiver.openQueues();
  }

  // --- the switch ---

  /// Plugs the NIC into a port, which was made for it; out of the one it was in before, which is
  /// not closed. The guest learns that it is in another network.
  ///
  /// @return the port it was in before
  public @Nullable Port connect(Port newPort) {
    Port before;
    synchronized (this) {
      before = port;
      port = newPort;
      changeDue |= before != null;
    }
    tellSoon();
    return before;
  }

  /// Pulls the NIC out of its port, which is not closed. The guest sees its link down.
  ///
  /// @return the port it was in
  public @Nullable Port disconnect() {
    Port before;
    synchronized (this) {
      before = port;
      port = null;
    }
    tellSoon();
    return before;
  }

  /// The port it is in.
  public @Nullable Port port() {
    return port;
  }

  /// Whether the guest sees its link up: it is plugged into a port that is up.
  public boolean linkUp() {
    var current = port;
    return current != null && current.up();
  }

  /// Tells the guest that it is in another network, though its link was never down: it asks for an
  /// address again. For a partition that was restored elsewhere.
  public void networkChanged() {
    synchronized (this) {
      changeDue = true;
    }
    tellSoon();
  }

  @Override
  public void linkChanged(boolean up) {
    synchronized (this) {
      // It was down meanwhile, though the guest may not have heard of it.
      changeDue |= up && linkTold;
    }
    tellSoon();
  }

  @Override
  public Offloads offloads() {
    return receiver.rules().offloads();
  }

  @Override
  public boolean deliver(Frame frame) {
    return receiver.deliver(frame);
  }

  @Override
  public void endBatch() {
    receiver.endBatch();
  }

  @Override
  public void resume() {
    channels.values().forEach(NicChannel::resume);
  }

  /// Whoever was refused may try again.
  void ready() {
    var current = port;
    if (current != null) {
      current.ready();
    }
  }

  // --- channels ---

  @Override
  public Offer offer() {
    return offer;
  }

  @Override
  public ChannelHandler open(Channel channel) {
    return open(Line.of(channel));
  }

  NicChannel open(Line line) {
    int index = line.subChannel();
    useMemory(line.memory());
    NicState.Queue saved;
    synchronized (this) {
      saved = line.restored() ? restored.remove(index) : null;
      if (index == 0 && !line.restored()) {
        forgetDriver();
      }
    }
    var completions = new Completions(line, time, saved == null ? List.of() : saved.completions());
    receiver.add(line, completions);
    if (index == 0) {
      useBuffers(line);
    }
    var channel =
        new NicChannel(this, line, counters, completions, saved == null ? List.of() : saved.held());
    channels.put(index, channel);
    if (index != 0 && !line.restored()) {
      var first = channels.get(0);
      if (first != null) {
        first.line().execute(() -> sendTable(first.line()));
      }
    }
    return channel;
  }

  private synchronized void useMemory(GuestMemory memory) {
    if (ram == null) {
      ram = new GuestRam(memory);
    }
  }

  /// Tells the guest over how many channels to spread what it sends.
  private void sendTable(Line first) {
    if (version() >= NvspLayout.VERSION_5) {
      // When there is no room, the guest spreads as it likes.
      first.send(NvspLayout.sendTable(version(), Math.max(1, receiver.openQueues())));
    }
  }

  void closed(NicChannel channel) {
    receiver.remove(channel.line());
    int index = channel.line().subChannel();
    if (channels.remove(index, channel) && index == 0) {
      synchronized (this) {
        forgetDriver();
      }
    }
    ready();
  }

  /// The driver is gone, or begins anew.
  private synchronized void forgetDriver() {
    negotiation = new Negotiation(settings);
    version = 0;
    linkTold = false;
    restored.clear();
    adapter.reset();
    updateRules();
    receiver.close();
    setSendBuffer(null);
  }

  // --- the driver ---

  Receiver receiver() {
    return receiver;
  }

  GuestRam ram() {
    var current = ram;
    if (current == null) {
      throw new IllegalStateException("no channel was opened");
    }
    return current;
  }

  /// What a channel's thread copies to; a channel is closed before the next one is open.
  TransmitBuffer transmitBuffer(int index) {
    return transmitBuffers.computeIfAbsent(index, _ -> new TransmitBuffer());
  }

  /// The version of the protocol that was agreed on, or 0.
  int version() {
    return version;
  }

  /// Whether the driver may send messages of remote NDIS.
  boolean takesMessages() {
    return version != 0;
  }

  /// Answers a message of the first channel.
  void negotiate(NicChannel channel, Packet packet, int type, ByteBuffer message) {
    var line = channel.line();
    Negotiation.Result result;
    synchronized (this) {
      result = negotiation.handle(type, message, gpadl -> size(line, gpadl));
      version = negotiation.version();
      updateRules();
    }
    if (result.effect() instanceof Negotiation.Effect.Buffers) {
      useBuffers(line);
    }
    channel.answer(packet, result.answer());
    if (result.effect() instanceof Negotiation.Effect.SubChannels(int count)) {
      try {
        line.offerSubChannels(count);
      } catch (IllegalStateException e) {
        LOG.log(System.Logger.Level.WARNING, "network sub-channels: {0}", e.getMessage());
      }
    }
  }

  private int size(Line line, int gpadl) {
    var buffer = buffer(line, gpadl);
    return buffer == null ? 0 : buffer.size();
  }

  private @Nullable GuestBuffer buffer(Line line, int gpadl) {
    var memory = line.gpadl(gpadl);
    return memory == null ? null : GuestBuffer.of(ram(), memory);
  }

  /// Takes up the buffers that the negotiation has, and lets go of others.
  private void useBuffers(Line line) {
    NicState.Buffer receive;
    NicState.Buffer send;
    synchronized (this) {
      receive = negotiation.receive();
      send = negotiation.send();
    }
    var receiveBuffer = receive == null ? null : buffer(line, receive.gpadl());
    if (receive == null || receiveBuffer == null) {
      receiver.close();
      ready();
    } else if (!receiver.isOpen()) {
      receiver.open(receiveBuffer, receive, version);
    }
    setSendBuffer(send == null ? null : buffer(line, send.gpadl()));
  }

  private void setSendBuffer(@Nullable GuestBuffer buffer) {
    sendBufferLock.writeLock().lock();
    sendBuffer = buffer;
    sendBufferLock.writeLock().unlock();
  }

  /// Copies a section of the send buffer.
  ///
  /// @return false if it is not there
  boolean copySection(TransmitBuffer into, int section, int length) {
    sendBufferLock.readLock().lock();
    try {
      var buffer = sendBuffer;
      long offset = Integer.toUnsignedLong(section) * Negotiation.SEND_SECTION;
      return buffer != null
          && length >= 0
          && buffer.contains(offset, length)
          && into.add(buffer, (int) offset, length);
    } finally {
      sendBufferLock.readLock().unlock();
    }
  }

  /// The guest takes memory back.
  void forgetBuffer(int gpadl) {
    boolean receive;
    boolean send;
    synchronized (this) {
      if (!negotiation.forget(gpadl)) {
        return;
      }
      receive = negotiation.receive() == null;
      send = negotiation.send() == null;
    }
    if (receive) {
      receiver.close();
      ready();
    }
    if (send) {
      setSendBuffer(null);
    }
  }

  /// Takes a message that configures the adapter.
  void control(ByteBuffer message) {
    Adapter.Surroundings around;
    boolean up = linkUp();
    List<byte[]> told;
    synchronized (this) {
      around =
          new Adapter.Surroundings(
              negotiation.ndis(), negotiation.frameSize(), coalescing(), up, counters.now());
      boolean before = adapter.configuration().initialized();
      told = adapter.handle(message, around);
      if (!before && adapter.configuration().initialized()) {
        linkTold = up;
        changeDue = false;
      }
      updateRules();
    }
    for (var each : told) {
      receiver.control(each);
    }
    tell();
  }

  private boolean coalescing() {
    return version >= NvspLayout.VERSION_6_1 && negotiation.isCapableOf(NvspLayout.CAPABLE_OF_RSC);
  }

  private void updateRules() {
    var now = adapter.configuration();
    boolean joins =
        coalescing()
            && now.offloads().coalescing()
                == (OffloadSettings.COALESCE_IP4 | OffloadSettings.COALESCE_IP6);
    receiver.rules(
        new ReceiveRules(
            now.filter(),
            now.address().bits(),
            now.multicast(),
            now.offloads().receiveChecksums(),
            now.scaling(),
            negotiation.isCapableOf(NvspLayout.CAPABLE_OF_8021Q),
            new Offloads(
                negotiation.frameSize() - Frame.HEADER, false, joins ? Frame.MAX_LENGTH : 0)));
  }

  // --- news ---

  private void tellSoon() {
    var first = channels.get(0);
    if (first != null && !tellDue.getAndSet(true)) {
      first.line().execute(this::tell);
    }
  }

  /// Tells the guest of its link, if it is to be told.
  synchronized void tell() {
    tellDue.set(false);
    if (!adapter.configuration().initialized()) {
      return;
    }
    boolean up = linkUp();
    if (up != linkTold) {
      int status = up ? RndisLayout.MEDIA_CONNECT : RndisLayout.MEDIA_DISCONNECT;
      if (!receiver.control(Adapter.indication(status, new byte[0]))) {
        return;
      }
      linkTold = up;
      changeDue &= !up; // it asks for an address anyway
    }
    if (up && changeDue) {
      changeDue = !receiver.control(Adapter.indication(RndisLayout.NETWORK_CHANGE, new byte[0]));
    }
  }

  // --- saved state ---

  /// The state. Only while the bus is paused.
  public synchronized NicState state() {
    var queues = new ArrayList<NicState.Queue>();
    channels.values().forEach(channel -> queues.add(channel.state()));
    queues.addAll(restored.values());
    queues.sort(java.util.Comparator.comparingInt(NicState.Queue::index));
    var now = adapter.configuration();
    NicState.Driver driver = null;
    if (version != 0) {
      var offloads = now.offloads();
      var scaling = now.scaling();
      driver =
          new NicState.Driver(
              version,
              negotiation.ndis(),
              negotiation.frameSize(),
              negotiation.capabilities(),
              negotiation.receive(),
              negotiation.send(),
              now.initialized(),
              now.filter(),
              now.multicast(),
              List.of(
                  offloads.sendChecksums(),
                  offloads.receiveChecksums(),
                  offloads.largeSends(),
                  offloads.coalescing()),
              scaling == null
                  ? null
                  : new NicState.Scaling(
                      scaling.hashes(), list(scaling.key()), list(scaling.table())));
    }
    return new NicState(
        driver,
        now.address(),
        linkTold,
        changeDue,
        counters.now(),
        receiver.waitingControls(),
        queues);
  }

  private static List<Byte> list(byte[] octets) {
    var list = new ArrayList<Byte>();
    for (byte octet : octets) {
      list.add(octet);
    }
    return list;
  }

  private static byte[] octets(List<Byte> list) {
    var octets = new byte[list.size()];
    for (int i = 0; i < octets.length; i++) {
      octets[i] = list.get(i);
    }
    return octets;
  }

  /// Takes a state over, before the bus does, with the same settings.
  ///
  /// @throws IllegalArgumentException if it is impossible with these settings
  public synchronized void restore(NicState state) {
    forgetDriver();
    counters.add(state.statistics());
    linkTold = state.linkTold();
    changeDue |= state.changeDue();
    for (var queue : state.queues()) {
      if (queue.index() < 0 || queue.index() >= settings.queues()) {
        throw new IllegalArgumentException(
            "saved with queue %d, restored with %d queues"
                .formatted(queue.index(), settings.queues()));
      }
      restored.put(queue.index(), queue);
    }
    var driver = state.driver();
    if (driver == null) {
      return;
    }
    negotiation.restore(driver);
    version = driver.version();
    var scaling = driver.scaling();
    var offloads = driver.offloads();
    if (offloads.size() != 4) {
      throw new IllegalArgumentException("saved with %d offloads".formatted(offloads.size()));
    }
    adapter.restore(
        new Adapter.Configuration(
            driver.initialized(),
            driver.filter(),
            state.address(),
            driver.multicast(),
            new OffloadSettings(offloads.get(0), offloads.get(1), offloads.get(2), offloads.get(3)),
            scaling == null ? null : spread(scaling)));
    var receive = driver.receive();
    if (receive != null) {
      var queues = new HashMap<Integer, Receiver.QueueState>();
      restored.forEach(
          (index, queue) ->
              queues.put(
                  index, new Receiver.QueueState(queue.lent(), queue.taken(), queue.lengths())));
      receiver.restore(receive, version, state.controls(), queues);
    }
    updateRules();
  }

  private ReceiveScaling spread(NicState.Scaling saved) {
    for (byte queue : saved.table()) {
      if (queue < 0 || queue >= settings.queues()) {
        throw new IllegalArgumentException(
            "saved with flows for queue %d, restored with %d queues"
                .formatted(queue, settings.queues()));
      }
    }
    return new ReceiveScaling(saved.hashes(), octets(saved.key()), octets(saved.table()));
  }
}
