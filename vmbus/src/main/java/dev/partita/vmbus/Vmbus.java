package dev.partita.vmbus;

import dev.partita.enlightenment.MessagePort;
import dev.partita.enlightenment.Synic;
import dev.partita.hypervisor.GuestMemory;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// A partition's VMBus: its devices, and the connection of their channels to the guest.
/// Thread-safe.
///
/// The bus shows itself to the guest through the synthetic interrupt controller alone; the board
/// must have the ACPI device that Linux binds the bus's driver to.
public final class Vmbus implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Vmbus.class.getName());

  /// HV_MESSAGE_TYPE of all messages of the control plane.
  private static final int MESSAGE_TYPE = 1;

  /// Answers that may wait for the guest before it is told to come again.
  private static final int MOST_ANSWERS = 64;

  private static final int PAGE_SHIFT = 12;

  /// How long the channels may take to close before it is called a defect.
  private static final long CLOSE_MILLIS = 10_000;

  private final GuestMemory memory;
  private final Synic synic;
  private final ReentrantLock lock = new ReentrantLock();

  // Guarded by the lock.
  private final VmbusServer server;
  private final Map<Integer, Offered> offered = new LinkedHashMap<>();
  private final Map<Integer, Channel> open = new HashMap<>();
  private final List<Channel> pausedChannels = new ArrayList<>();
  private boolean paused;
  private boolean restoring;
  private boolean closed;

  /// Of channels that are not offered any more.
  private final Map<String, Long> earlierCounters = new TreeMap<>();

  private long messagesReceived;
  private long messagesSent;
  private long messagesLost;

  private record Offered(VmbusDevice device, Offer offer, String name, ChannelCounters counters) {}

  private Vmbus(GuestMemory memory, Synic synic) {
    this.memory = memory;
    this.synic = synic;
    this.server = new VmbusServer(synic.processorCount(), this::isRam);
  }

  /// Makes a bus without devices, reachable by the guest at once.
  ///
  /// @param synic of a partition with no other bus
  public static Vmbus connect(GuestMemory memory, Synic synic) {
    var bus = new Vmbus(memory, synic);
    synic.connect(VmbusMessages.MESSAGE_CONNECTION, (MessagePort) bus::post);
    synic.connect(VmbusMessages.MESSAGE_CONNECTION_V5, (MessagePort) bus::post);
    return bus;
  }

  GuestMemory memory() {
    return memory;
  }

  Synic synic() {
    return synic;
  }

  boolean isRam(long page) {
    return page >= 0 && page < 1L << 40 && memory.offset(page << PAGE_SHIFT) >= 0;
  }

  @Nullable Gpadl gpadl(int number, int id) {
    lock.lock();
    try {
      return server.gpadl(number, id);
    } finally {
      lock.unlock();
    }
  }

  // --- devices ---

  /// Plugs a device in.
  ///
  /// @throws IllegalStateException if one with the same instance id is there, or the bus is full
  public void attach(VmbusDevice device) {
    lock.lock();
    try {
      offer(device, device.offer());
    } finally {
      lock.unlock();
    }
  }

  private void offer(VmbusDevice device, Offer offer) {
    var result = server.offer(offer);
    offered.put(
        result.channel(), new Offered(device, offer, counterName(offer), new ChannelCounters()));
    apply(result.actions());
  }

  /// How the channel's counters are called: `scsi`, and of the second such device `scsi-2`.
  private String counterName(Offer offer) {
    var kind = InterfaceNames.of(offer.interfaceId());
    Set<UUID> others = new HashSet<>();
    for (var value : offered.values()) {
      if (value.offer.interfaceId().equals(offer.interfaceId())) {
        if (value.offer.instanceId().equals(offer.instanceId())) {
          return value.name;
        }
        others.add(value.offer.instanceId());
      }
    }
    return others.isEmpty() ? kind : kind + "-" + (others.size() + 1);
  }

  /// Pulls a device out: the guest is told, and its channels are closed.
  public void detach(VmbusDevice device) {
    lock.lock();
    try {
      // The sub-channels first.
      revoke(device, 1);
      revoke(device, 0);
    } finally {
      lock.unlock();
    }
  }

  private void revoke(VmbusDevice device, int from) {
    for (var entry : List.copyOf(offered.entrySet())) {
      var value = entry.getValue();
      if (value.device == device && value.offer.subChannel() >= from) {
        // The guest may have it open until the channel's thread has ended.
        offered.remove(entry.getKey());
        value.counters.addTo(earlierCounters, prefix(value));
        apply(server.revoke(entry.getKey()));
      }
    }
  }

  void offerSubChannels(VmbusDevice device, int count) {
    lock.lock();
    try {
      Set<Integer> there = new HashSet<>();
      for (var value : offered.values()) {
        if (value.device == device) {
          there.add(value.offer.subChannel());
        }
      }
      for (int i = 1; i <= count && there.contains(0); i++) {
        if (!there.contains(i)) {
          offer(device, device.offer().withSubChannel(i));
        }
      }
    } finally {
      lock.unlock();
    }
  }

  // --- the guest ---

  private MessagePort.Answer post(int type, byte[] message) {
    if (type != MESSAGE_TYPE) {
      return MessagePort.Answer.ACCEPTED;
    }
    if (FlightRecording.isOn()) {
      MessageEvent.fromGuest(message);
    }
    lock.lock();
    try {
      if (!VmbusServer.isUrgent(message) && synic.waiting() >= MOST_ANSWERS) {
        return MessagePort.Answer.INSUFFICIENT_BUFFERS;
      }
      messagesReceived++;
      if (!closed) {
        apply(server.receive(message));
      }
      return MessagePort.Answer.ACCEPTED;
    } finally {
      lock.unlock();
    }
  }

  private void apply(List<VmbusAction> actions) {
    var due = new ArrayDeque<>(actions);
    for (var action = due.poll(); action != null; action = due.poll()) {
      switch (action) {
        case VmbusAction.Send(int processor, int source, byte[] message) -> {
          if (FlightRecording.isOn()) {
            MessageEvent.toGuest(message);
          }
          messagesSent++;
          if (!synic.post(processor, source, MESSAGE_TYPE, 0, message)) {
            messagesLost++;
            if (messagesLost == 1) {
              LOG.log(
                  System.Logger.Level.WARNING,
                  "the guest fetches no messages: one of the bus is lost");
            }
          }
        }
        case VmbusAction.Discard(int processor, int source) -> synic.discard(processor, source);
        case VmbusAction.Open(int number, Opening opening) -> open(number, opening);
        case VmbusAction.Close(int number) -> {
          var channel = open.get(number);
          if (channel == null) {
            due.addAll(server.closed(number));
          } else {
            synic.disconnectEvents(VmbusMessages.EVENT_CONNECTIONS | channel.opening().relid());
            channel.close();
          }
        }
        case VmbusAction.Retarget(int number, int processor) -> {
          var channel = open.get(number);
          if (channel != null) {
            channel.retarget(processor);
          }
        }
        case VmbusAction.TearDown(int number, int gpadl) -> {
          var channel = open.get(number);
          if (channel == null) {
            due.addAll(server.tornDown(number, gpadl));
          } else {
            channel.removeGpadl(gpadl, _ -> tornDown(number, gpadl));
          }
        }
      }
    }
  }

  private void open(int number, Opening opening) {
    var what = offered.get(number);
    var contact = server.contact();
    if (what == null || contact == null) {
      // Revoked in the same breath: its Close follows.
      return;
    }
    var channel =
        new Channel(
            this,
            what.device,
            what.offer,
            number,
            opening,
            contact.source(),
            restoring,
            what.counters);
    open.put(number, channel);
    synic.connectDoorbell(VmbusMessages.EVENT_CONNECTIONS | opening.relid(), channel::signal);
    if (paused) {
      channel.pause();
      pausedChannels.add(channel);
    }
    channel.start();
  }

  private void tornDown(int number, int gpadl) {
    lock.lock();
    try {
      apply(server.tornDown(number, gpadl));
    } finally {
      lock.unlock();
    }
  }

  void channelClosed(int number, Channel channel) {
    lock.lock();
    try {
      open.remove(number, channel);
      if (closed) {
        return;
      }
      if (channel.offer().subChannel() == 0) {
        revoke(channel.device(), 1);
      }
      apply(server.closed(number));
    } finally {
      lock.unlock();
    }
  }

  // --- sight ---

  private static String prefix(Offered offered) {
    return "vmbus."
        + offered.name
        + (offered.offer.subChannel() == 0 ? "." : "." + offered.offer.subChannel() + ".");
  }

  /// What went over the bus so far, by name: `vmbus.messages-received` and the like, and for each
  /// channel `vmbus.scsi.packets-received`, of its sub-channels `vmbus.scsi.1.packets-received`.
  /// Zeros of channels are left out. Any thread.
  public Map<String, Long> counters() {
    lock.lock();
    try {
      var counters = new TreeMap<>(earlierCounters);
      offered.values().forEach(value -> value.counters.addTo(counters, prefix(value)));
      counters.put("vmbus.messages-received", messagesReceived);
      counters.put("vmbus.messages-sent", messagesSent);
      counters.put("vmbus.messages-lost", messagesLost);
      counters.put("vmbus.messages-ignored", server.ignored());
      return counters;
    } finally {
      lock.unlock();
    }
  }

  /// Packets from the guest in all channels that are there now. Any thread.
  public long packetsReceived() {
    lock.lock();
    try {
      return offered.values().stream().mapToLong(o -> o.counters.packetsReceived.sum()).sum();
    } finally {
      lock.unlock();
    }
  }

  // --- life cycle ---

  /// Waits until all devices rest: none touches guest memory until {@link #resume}. No processor
  /// may run meanwhile.
  public void pause() {
    List<Channel> channels;
    lock.lock();
    try {
      if (paused) {
        return;
      }
      paused = true;
      channels = List.copyOf(open.values());
    } finally {
      lock.unlock();
    }
    // A device may need the bus to come to rest.
    for (var channel : channels) {
      channel.pause();
    }
    lock.lock();
    try {
      pausedChannels.addAll(channels);
    } finally {
      lock.unlock();
    }
  }

  /// Goes on after {@link #pause}, or after {@link #restore}.
  public void resume() {
    lock.lock();
    try {
      paused = false;
      pausedChannels.forEach(Channel::resume);
      pausedChannels.clear();
    } finally {
      lock.unlock();
    }
  }

  /// The state of the bus; that of its devices is theirs. Only while paused.
  public VmbusServerState state() {
    lock.lock();
    try {
      return server.state();
    } finally {
      lock.unlock();
    }
  }

  /// Takes a state over, with the same devices attached and restored before, and with guest RAM and
  /// the synthetic interrupt controllers as they were. The channels rest until {@link #resume}.
  ///
  /// @throws IllegalArgumentException if the state is impossible here
  public void restore(VmbusServerState state) {
    lock.lock();
    try {
      paused = true;
      restoring = true;
      for (var saved : state.channels()) {
        if (saved.subChannel() != 0 && !saved.revoked()) {
          offerSaved(saved);
        }
      }
      apply(server.restore(state));
    } finally {
      restoring = false;
      lock.unlock();
    }
  }

  private void offerSaved(VmbusServerState.Channel saved) {
    for (var value : List.copyOf(offered.values())) {
      if (value.offer.subChannel() == 0 && value.offer.instanceId().equals(saved.instanceId())) {
        offer(value.device, value.offer.withSubChannel(saved.subChannel()));
      }
    }
  }

  /// Closes all channels; the guest is not told. To be called before the partition's memory is
  /// closed. Idempotent.
  @Override
  public void close() {
    List<Channel> channels;
    lock.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      channels = List.copyOf(open.values());
      for (var channel : channels) {
        synic.disconnectEvents(VmbusMessages.EVENT_CONNECTIONS | channel.opening().relid());
        channel.close();
      }
      synic.disconnectMessages(VmbusMessages.MESSAGE_CONNECTION);
      synic.disconnectMessages(VmbusMessages.MESSAGE_CONNECTION_V5);
    } finally {
      lock.unlock();
    }
    resume();
    boolean interrupted = false;
    for (var channel : channels) {
      try {
        if (!channel.join(CLOSE_MILLIS)) {
          LOG.log(
              System.Logger.Level.ERROR,
              "channel {0} of device {1} does not close",
              channel.opening().relid(),
              channel.offer().instanceId());
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
