package dev.partita.vmbus;

import dev.partita.hypervisor.GuestMemory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// An open channel, with a virtual thread of its own that hands the guest's packets to the device.
/// Methods may be called from any thread unless they say otherwise.
///
/// A guest that breaks the ring's rules gets no answer on this channel any more until it closes it;
/// the operator is told.
public final class Channel {
  private static final System.Logger LOG = System.getLogger(Channel.class.getName());

  private static final byte[] NOTHING = {};

  /// A guest may break its ring as often as it likes; the operator hears of the first few.
  private static final int MOST_STOPS_TOLD = 5;

  /// Packets handled before tasks have their turn.
  private static final int BATCH = 64;

  private final Vmbus bus;
  private final VmbusDevice device;
  private final Offer offer;
  private final int number;
  private final Opening opening;
  private final int source;
  private final boolean restored;
  private final ChannelCounters counters;
  private final GuestMemory memory;
  private final Thread thread;

  private final ConcurrentLinkedQueue<Runnable> tasks = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean signalled = new AtomicBoolean(true);
  private volatile boolean closing;
  private volatile boolean paused;

  /// Held by the thread while it works, and by whoever pauses the channel.
  private final Semaphore turn = new Semaphore(1);

  private final ReentrantLock sendLock = new ReentrantLock();
  // Guarded by the send lock.
  private @Nullable OutgoingRing outgoing;
  private boolean awaitsRoom;
  private int processor;

  /// @param number the offer's
  /// @param source the synthetic interrupt source of events
  Channel(
      Vmbus bus,
      VmbusDevice device,
      Offer offer,
      int number,
      Opening opening,
      int source,
      boolean restored,
      ChannelCounters counters) {
    this.bus = bus;
    this.device = device;
    this.offer = offer;
    this.number = number;
    this.opening = opening;
    this.source = source;
    this.restored = restored;
    this.counters = counters;
    this.memory = bus.memory();
    this.processor = opening.processor();
    this.thread =
        Thread.ofVirtual().name("partita-channel-" + opening.relid()).unstarted(this::run);
  }

  // --- what a device calls ---

  public Offer offer() {
    return offer;
  }

  /// How the guest opened it.
  public Opening opening() {
    return opening;
  }

  /// Whether it was open already in the saved state that the partition began with.
  public boolean restored() {
    return restored;
  }

  /// The guest's RAM.
  public GuestMemory memory() {
    return memory;
  }

  /// Sends a packet in the ring.
  ///
  /// @param completionRequested whether the guest is to answer with a completion
  /// @param transactionId comes back with that
  /// @param payload any bytes; the guest sees them padded to a multiple of 8
  /// @return false if there is no room, and nothing was sent: {@link ChannelHandler#roomAvailable}
  ///     tells when it may be tried again; or if the channel is closed
  /// @throws IllegalArgumentException if it could never be sent
  public boolean send(boolean completionRequested, long transactionId, byte[] payload) {
    int flags = completionRequested ? Packet.COMPLETION_REQUESTED : 0;
    return write(Packet.IN_BAND, flags, transactionId, NOTHING, payload);
  }

  /// Answers a packet; as {@link #send}.
  ///
  /// @param transactionId the packet's
  public boolean complete(long transactionId, byte[] payload) {
    return write(Packet.COMPLETION, 0, transactionId, NOTHING, payload);
  }

  /// A part of a buffer that the guest has given in advance.
  ///
  /// @param byteCount bytes
  /// @param byteOffset of the first byte in the buffer
  public record TransferRange(int byteCount, int byteOffset) {}

  /// Sends a packet whose data lies in a buffer of the guest's; as {@link #send}.
  ///
  /// @param pageSet the buffer's number, as the device and its driver agreed
  public boolean sendTransferPages(
      long transactionId, int pageSet, List<TransferRange> ranges, byte[] payload) {
    var extension =
        ByteBuffer.allocate(8 + 8 * ranges.size())
            .order(ByteOrder.LITTLE_ENDIAN)
            .putShort((short) pageSet)
            .putShort((short) 0)
            .putInt(ranges.size());
    for (var range : ranges) {
      extension.putInt(range.byteCount).putInt(range.byteOffset);
    }
    return write(
        Packet.TRANSFER_PAGES,
        Packet.COMPLETION_REQUESTED,
        transactionId,
        extension.array(),
        payload);
  }

  /// Guest memory the guest has shared with the channel.
  ///
  /// @return null if there is none of that id
  public @Nullable Gpadl gpadl(int id) {
    return bus.gpadl(number, id);
  }

  /// The memory a packet of type {@link Packet#GPA_DIRECT} refers to.
  ///
  /// @return empty if it is another type of packet, or does not describe RAM
  public Optional<List<GpaRange>> ranges(Packet packet) {
    if (packet.type() != Packet.GPA_DIRECT || packet.extension().length < 8) {
      return Optional.empty();
    }
    var buffer = ByteBuffer.wrap(packet.extension()).order(ByteOrder.LITTLE_ENDIAN);
    buffer.getInt();
    return GpaRange.parse(buffer, buffer.getInt(), bus::isRam);
  }

  /// Runs a task on the channel's thread, soon; drops it if the channel is closed before. The
  /// caller sees to it that not many wait.
  public void execute(Runnable task) {
    tasks.add(task);
    LockSupport.unpark(thread);
  }

  /// Offers further channels of the same device, 1 to a count; those that are offered stay. They
  /// go when this channel, the device's first, is closed.
  ///
  /// @throws IllegalStateException if this is not the first channel, or the bus is full
  public void offerSubChannels(int count) {
    if (offer.subChannel() != 0) {
      throw new IllegalStateException("a sub-channel has no sub-channels");
    }
    bus.offerSubChannels(device, count);
  }

  // --- what the bus calls ---

  VmbusDevice device() {
    return device;
  }

  void start() {
    thread.start();
  }

  /// The guest signals.
  void signal() {
    counters.signalsReceived.increment();
    wake();
  }

  private void wake() {
    signalled.set(true);
    LockSupport.unpark(thread);
  }

  /// The thread ends soon, and calls {@link Vmbus#channelClosed}.
  void close() {
    closing = true;
    LockSupport.unpark(thread);
  }

  /// @return whether it ended in time
  boolean join(long millis) throws InterruptedException {
    return thread.join(java.time.Duration.ofMillis(millis));
  }

  void retarget(int processor) {
    sendLock.lock();
    try {
      this.processor = processor;
    } finally {
      sendLock.unlock();
    }
  }

  void removeGpadl(int id, java.util.function.Consumer<Channel> whenDone) {
    execute(
        () -> {
          var current = handler;
          if (current != null) {
            current.gpadlRemoved(id);
          }
          whenDone.accept(this);
        });
  }

  /// Waits until the device rests; until {@link #resume} it gets no packet and no task, and its
  /// sends find no room.
  void pause() {
    turn.acquireUninterruptibly();
    sendLock.lock();
    paused = true;
    sendLock.unlock();
    var resting = handler;
    if (resting != null) {
      resting.rest();
    }
  }

  void resume() {
    sendLock.lock();
    paused = false;
    sendLock.unlock();
    turn.release();
    wake();
  }

  // --- sending ---

  private boolean write(int type, int flags, long transactionId, byte[] extension, byte[] payload) {
    sendLock.lock();
    try {
      var ring = outgoing;
      if (ring == null || closing) {
        return false;
      }
      if (paused) {
        awaitsRoom = true;
        return false;
      }
      var written = ring.write(type, flags, transactionId, extension, payload);
      if (written == OutgoingRing.Written.FULL) {
        awaitsRoom = true;
        counters.ringFull.increment();
        return false;
      }
      counters.packetsSent.increment();
      counters.bytesSent.add(extension.length + (long) payload.length);
      if (FlightRecording.isOn()) {
        PacketEvent.sent(this, type, transactionId, extension.length + payload.length);
      }
      if (written == OutgoingRing.Written.SIGNAL) {
        signalGuest();
      }
      return true;
    } catch (MalformedRingException e) {
      outgoing = null;
      tellStopped(e);
      return false;
    } finally {
      sendLock.unlock();
    }
  }

  private void signalGuest() {
    sendLock.lock();
    try {
      if (processor != Opening.NO_PROCESSOR && !closing) {
        counters.signalsSent.increment();
        bus.synic().signalEvent(processor, source, opening.relid());
      }
    } finally {
      sendLock.unlock();
    }
  }

  private boolean takeAwaitsRoom() {
    sendLock.lock();
    try {
      boolean awaited = awaitsRoom;
      awaitsRoom = false;
      return awaited;
    } finally {
      sendLock.unlock();
    }
  }

  private void tellStopped(MalformedRingException e) {
    counters.stops.increment();
    if (counters.stops.sum() > MOST_STOPS_TOLD) {
      return;
    }
    LOG.log(
        System.Logger.Level.WARNING,
        "channel {0} of device {1} stops: the guest broke its ring: {2}",
        opening.relid(),
        offer.instanceId(),
        e.getMessage());
  }

  // --- the channel's thread ---

  private volatile @Nullable ChannelHandler handler;

  private void run() {
    try {
      work();
    } catch (MalformedRingException e) {
      tellStopped(e);
    } catch (RuntimeException | Error e) {
      // Whatever it was, the guest must be able to close the channel.
      LOG.log(
          System.Logger.Level.ERROR,
          "channel " + opening.relid() + " of device " + offer.instanceId() + " failed",
          e);
    }
    stopSending();
    awaitClose();
    // Not while paused: the device may use guest memory to the last, and the guest is told then.
    turn.acquireUninterruptibly();
    try {
      var last = handler;
      handler = null;
      if (last != null) {
        last.closed();
      }
    } catch (RuntimeException | Error e) {
      LOG.log(System.Logger.Level.ERROR, "closing channel " + opening.relid(), e);
    } finally {
      try {
        bus.channelClosed(number, this);
      } finally {
        turn.release();
      }
    }
  }

  private void work() throws MalformedRingException {
    var incoming = new IncomingRing(new RingMemory(memory, opening.incomingPages()));
    var ring = new OutgoingRing(new RingMemory(memory, opening.outgoingPages()));
    sendLock.lock();
    outgoing = ring;
    sendLock.unlock();
    boolean opened = false;
    while (!closing) {
      boolean idle;
      turn.acquireUninterruptibly();
      try {
        if (closing) {
          return;
        }
        var current = handler;
        if (current == null) {
          if (opened) {
            return;
          }
          opened = true;
          current = device.open(this);
          handler = current;
        }
        idle = step(incoming, current);
      } finally {
        turn.release();
      }
      if (idle) {
        while (!signalled.get() && tasks.isEmpty() && !closing) {
          LockSupport.park(this);
        }
      }
    }
  }

  /// @return whether there is nothing left to do, and the guest signals when there is
  private boolean step(IncomingRing incoming, ChannelHandler current)
      throws MalformedRingException {
    for (int i = 0; i < BATCH; i++) {
      var task = tasks.poll();
      if (task == null) {
        break;
      }
      task.run();
    }
    boolean wasSignalled = signalled.getAndSet(false);
    if (wasSignalled && takeAwaitsRoom()) {
      current.roomAvailable();
    }
    incoming.disableInterrupts();
    for (int i = 0; i < BATCH; i++) {
      if (closing) {
        return false;
      }
      var read = incoming.read();
      if (read == null) {
        return !incoming.enableInterrupts();
      }
      if (read.signal()) {
        signalGuest();
      }
      var packet = read.packet();
      int bytes = packet.extension().length + packet.payload().length;
      counters.packetsReceived.increment();
      counters.bytesReceived.add(bytes);
      var event = FlightRecording.isOn() ? PacketEvent.started() : null;
      current.received(packet);
      if (event != null) {
        event.received(this, packet, bytes);
      }
    }
    return false;
  }

  private void stopSending() {
    sendLock.lock();
    outgoing = null;
    sendLock.unlock();
  }

  /// Of a channel that has stopped before the guest closed it, only GPADLs are given back.
  private void awaitClose() {
    while (!closing) {
      var task = tasks.poll();
      if (task != null) {
        turn.acquireUninterruptibly();
        try {
          task.run();
        } catch (RuntimeException | Error e) {
          LOG.log(System.Logger.Level.ERROR, "channel " + opening.relid(), e);
        } finally {
          turn.release();
        }
      } else {
        LockSupport.park(this);
      }
    }
  }
}
