package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import dev.partita.engine.kvm.Structures.EventWrite;
import dev.partita.hypervisor.Doorbells;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/// Doorbells by KVM_IOEVENTFD (Documentation/virt/kvm/api.rst): the kernel takes the write, adds to
/// an event counter, and lets the guest go on; one thread of the partition waits for all counters
/// and rings. The thread is there from the first doorbell on.
final class EventDoorbells implements Doorbells, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(EventDoorbells.class.getName());

  // KVM_IOEVENTFD_FLAG_*.
  static final int FLAG_DATAMATCH = 1;
  static final int FLAG_PIO = 1 << 1;
  static final int FLAG_DEASSIGN = 1 << 2;

  /// Signals taken at a time.
  private static final int BATCH = 64;

  /// The token of the counter that ends the thread.
  private static final long END = 0;

  /// How long {@link #close} waits for a ring under way.
  private static final long CLOSE_MILLIS = 5_000;

  private final KvmPartition partition;
  private final Map<Long, Bell> bells = new ConcurrentHashMap<>();
  private final AtomicLong rings = new AtomicLong();

  // Guarded by the monitor.
  private final Map<Write, Bell> byWrite = new HashMap<>();
  private long lastToken = END;
  private int epoll = -1;
  private int end = -1;
  private @Nullable Thread thread;
  private boolean closed;
  private boolean refused;

  private record Write(int port, int size, int value) {}

  EventDoorbells(KvmPartition partition) {
    this.partition = partition;
  }

  private final class Bell implements Doorbell {
    private final Write write;
    private final Runnable ring;
    private final long token;
    private final int counter;

    Bell(Write write, Runnable ring, long token, int counter) {
      this.write = write;
      this.ring = ring;
      this.token = token;
      this.counter = counter;
    }

    @Override
    public void close() {
      remove(this);
    }
  }

  /// How often a bell has rung.
  long rings() {
    return rings.get();
  }

  @Override
  public synchronized Optional<Doorbell> add(int port, int size, int value, Runnable ring) {
    if (port < 0 || port > 0xFFFF || size != 1 && size != 2 && size != 4) {
      throw new IllegalArgumentException("no write of %d bytes to port %d".formatted(size, port));
    }
    var write = new Write(port, size, value);
    if (byWrite.containsKey(write)) {
      throw new IllegalStateException(
          "a write of 0x%x to port 0x%x rings already".formatted(value, port));
    }
    if (closed || thread != null && epoll < 0) {
      return Optional.empty();
    }
    try {
      return Optional.of(connect(write, ring));
    } catch (KvmException e) {
      // All goes on without it, only slower.
      if (!refused) {
        refused = true;
        LOG.log(System.Logger.Level.WARNING, "a doorbell of the guest stays an intercept", e);
      }
      return Optional.empty();
    }
  }

  private Bell connect(Write write, Runnable ring) {
    begin();
    int counter = checked("eventfd", Posix.eventfd());
    var bell = new Bell(write, ring, ++lastToken, counter);
    bells.put(bell.token, bell);
    try {
      checked("epoll_ctl", Posix.epollAdd(epoll, counter, bell.token));
      assign(bell, 0);
    } catch (RuntimeException | Error e) {
      bells.remove(bell.token);
      Posix.close(counter);
      throw e;
    }
    byWrite.put(write, bell);
    return bell;
  }

  private static int checked(String call, int result) {
    if (result < 0) {
      throw KvmException.of(call, -result);
    }
    return result;
  }

  /// Starts the thread, if it does not run yet.
  private void begin() {
    if (thread != null) {
      return;
    }
    if (epoll < 0) {
      epoll = checked("epoll_create1", Posix.epoll());
    }
    if (end < 0) {
      int counter = checked("eventfd", Posix.eventfd());
      int result = Posix.epollAdd(epoll, counter, END);
      if (result < 0) {
        Posix.close(counter);
        throw KvmException.of("epoll_ctl", -result);
      }
      end = counter;
    }
    thread = Thread.ofPlatform().name("partita-doorbells").daemon().start(this::listen);
  }

  private void assign(Bell bell, int flag) {
    try (var arena = Arena.ofConfined()) {
      var request = arena.allocate(EventWrite.SIZE, 8);
      request.set(JAVA_LONG, EventWrite.ADDRESS, bell.write.port);
      request.set(JAVA_INT, EventWrite.LENGTH, bell.write.size);
      request.set(JAVA_LONG, EventWrite.VALUE, bell.write.value & 0xFFFF_FFFFL);
      request.set(JAVA_INT, EventWrite.DESCRIPTOR, bell.counter);
      request.set(JAVA_INT, EventWrite.FLAGS, FLAG_DATAMATCH | FLAG_PIO | flag);
      partition.machine().call(Ioctl.KVM_IOEVENTFD, request);
    }
  }

  private synchronized void remove(Bell bell) {
    if (closed || !bells.remove(bell.token, bell)) {
      return;
    }
    byWrite.remove(bell.write);
    try {
      assign(bell, FLAG_DEASSIGN);
    } finally {
      // That takes it out of the set too.
      Posix.close(bell.counter);
    }
  }

  /// Rings as long as nobody ends it.
  private void listen() {
    try (var arena = Arena.ofConfined()) {
      var events = arena.allocate((long) BATCH * Posix.EPOLL_EVENT_SIZE, 8);
      while (ringAll(events)) {
        // And again.
      }
    } catch (RuntimeException | Error e) {
      LOG.log(System.Logger.Level.ERROR, "defect in the KVM engine: no doorbell rings any more", e);
    } finally {
      free();
    }
  }

  /// Waits for signals, and rings for them.
  ///
  /// @return whether to go on
  private boolean ringAll(MemorySegment events) {
    int count = Posix.epollWait(epoll, events);
    if (count == -Posix.EINTR) {
      return true;
    }
    checked("epoll_wait", count);
    for (int i = 0; i < count; i++) {
      long at = (long) i * Posix.EPOLL_EVENT_SIZE + Posix.EPOLL_EVENT_DATA;
      long token = events.get(JAVA_LONG_UNALIGNED, at);
      if (token == END) {
        return false;
      }
      ring(token);
    }
    return true;
  }

  private void ring(long token) {
    var bell = bells.get(token);
    if (bell == null) {
      // Taken away meanwhile.
      return;
    }
    rings.incrementAndGet();
    try {
      bell.ring.run();
    } catch (RuntimeException e) {
      LOG.log(System.Logger.Level.ERROR, "defect in the owner of a doorbell", e);
    }
  }

  /// No bell rings any more, unless this thread is in the middle of it; the machine's descriptor is
  /// not used any more. Idempotent.
  @Override
  public void close() {
    Thread listening;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      listening = thread;
      if (listening != null && end >= 0) {
        Posix.signal(end);
      }
    }
    if (listening != null && listening != Thread.currentThread()) {
      join(listening);
    }
    synchronized (this) {
      bells.values().forEach(bell -> Posix.close(bell.counter));
      bells.clear();
      byWrite.clear();
      if (listening == null) {
        free();
      }
    }
  }

  private static void join(Thread listening) {
    try {
      if (!listening.join(java.time.Duration.ofMillis(CLOSE_MILLIS))) {
        LOG.log(System.Logger.Level.ERROR, "the ring of a doorbell does not end");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /// The thread does it as its last, if there is one.
  private synchronized void free() {
    if (end >= 0) {
      Posix.close(end);
      end = -1;
    }
    if (epoll >= 0) {
      Posix.close(epoll);
      epoll = -1;
    }
  }
}
