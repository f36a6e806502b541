package dev.partita.enlightenment;

import dev.partita.hypervisor.Doorbells;
import dev.partita.hypervisor.Doorbells.Doorbell;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Partition;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/// The host's side of a partition's synthetic interrupt controllers (TLFS, "Inter-Partition
/// Communication" and "Synthetic Interrupt Controller"): messages and event signals to the guest,
/// and ports for those that come from it. Thread-safe; no method blocks for long.
public final class Synic {
  /// Synthetic interrupt sources of a processor, SINT0 to SINT15.
  public static final int SOURCES = 16;

  /// Bytes in a message's payload, at most (HV_MESSAGE_PAYLOAD_BYTE_COUNT).
  public static final int LARGEST_PAYLOAD = 240;

  /// Event flags of one source of one processor (HV_EVENT_FLAGS_COUNT).
  public static final int EVENT_FLAGS = 2048;

  /// Messages that may wait for one processor's sources before {@link #post} refuses more.
  public static final int MOST_WAITING = 8192;

  private final List<ProcessorSynic> processors;
  private final Map<Integer, MessagePort> messagePorts = new ConcurrentHashMap<>();
  private final Map<Integer, EventPort> eventPorts = new ConcurrentHashMap<>();

  /// What the engine rings by itself; empty if it has no doorbells or the guest may not signal.
  private final Optional<Doorbells> engineDoorbells;

  private final Map<Integer, Doorbell> doorbells = new ConcurrentHashMap<>();

  /// @param signals whether the guest has the privilege to signal events
  Synic(Partition partition, ReferenceTime time, boolean signals) {
    engineDoorbells = signals ? partition.doorbells() : Optional.empty();
    GuestMemory memory = partition.memory();
    processors =
        partition.processors().stream()
            .map(processor -> new ProcessorSynic(partition, processor, memory, time))
            .toList();
  }

  ProcessorSynic processor(int index) {
    return processors.get(index);
  }

  /// Virtual processors, numbered from 0.
  public int processorCount() {
    return processors.size();
  }

  /// Sends a message. It reaches its slot at once, or when the guest has emptied the slot and those
  /// before it are through; it waits as long as the guest has the controller, the message page or
  /// the source switched off.
  ///
  /// @param processor index of the virtual processor
  /// @param source 0 to 15
  /// @param type HV_MESSAGE_TYPE, not 0
  /// @param origin what the message's header says of the sender
  /// @param payload at most {@link #LARGEST_PAYLOAD} bytes, not changed afterwards
  /// @return false if {@link #MOST_WAITING} messages wait already, and this one is dropped
  public boolean post(int processor, int source, int type, long origin, byte[] payload) {
    return processors
        .get(processor)
        .post(new SynicState.Message(source, type, origin, payload, -1));
  }

  /// How many messages wait for a source, besides the one in its slot.
  public int waiting(int processor, int source) {
    return processors.get(processor).waiting(source);
  }

  /// How many messages of {@link #post} wait for all sources of all processors, besides those in
  /// their slots.
  public int waiting() {
    int sum = 0;
    for (var processor : processors) {
      sum += processor.waiting();
    }
    return sum;
  }

  /// Forgets the messages that wait for a source; those of timers stay.
  public void discard(int processor, int source) {
    processors.get(processor).discard(source);
  }

  void addTo(Map<String, Long> counters) {
    processors.forEach(processor -> processor.addTo(counters));
  }

  /// Sets an event flag, and interrupts if it was clear. Without effect while the guest has the
  /// controller or the page of flags switched off.
  ///
  /// @param processor index of the virtual processor
  /// @param source 0 to 15
  /// @param flag 0 to 2047
  public void signalEvent(int processor, int source, int flag) {
    processors.get(processor).signalEvent(source, flag);
  }

  /// Puts a port behind a connection id.
  ///
  /// @throws IllegalStateException if the id is taken
  public void connect(int connectionId, MessagePort port) {
    if (messagePorts.putIfAbsent(connectionId, port) != null) {
      throw new IllegalStateException("message connection " + connectionId + " is taken");
    }
  }

  /// Puts a port behind a connection id.
  ///
  /// @throws IllegalStateException if the id is taken
  public void connect(int connectionId, EventPort port) {
    if (eventPorts.putIfAbsent(connectionId, port) != null) {
      throw new IllegalStateException("event connection " + connectionId + " is taken");
    }
  }

  /// Puts a port that makes no difference between flags behind a connection id. Where the engine
  /// has doorbells a guest's fast signal rings without leaving guest code: on some thread, once for
  /// several signals that follow each other closely, and maybe after the hypercall has returned.
  ///
  /// @param ring must not block for long
  /// @throws IllegalStateException if the id is taken
  public void connectDoorbell(int connectionId, Runnable ring) {
    connect(connectionId, (EventPort) _ -> ring.run());
    engineDoorbells
        .flatMap(
            all -> all.add(Hypercalls.FAST_SIGNAL_PORT, Hypercalls.PORT_SIZE, connectionId, ring))
        .ifPresent(doorbell -> doorbells.put(connectionId, doorbell));
  }

  /// Takes away the message port behind an id, if there is one; a call that has begun completes.
  public void disconnectMessages(int connectionId) {
    messagePorts.remove(connectionId);
  }

  /// Takes away the event port behind an id, if there is one; a call that has begun completes.
  public void disconnectEvents(int connectionId) {
    var doorbell = doorbells.remove(connectionId);
    if (doorbell != null) {
      doorbell.close();
    }
    eventPorts.remove(connectionId);
  }

  @Nullable MessagePort messagePort(int connectionId) {
    return messagePorts.get(connectionId);
  }

  @Nullable EventPort eventPort(int connectionId) {
    return eventPorts.get(connectionId);
  }
}
