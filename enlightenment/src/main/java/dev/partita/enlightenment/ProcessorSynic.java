package dev.partita.enlightenment;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.VirtualProcessor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;

/// The synthetic interrupt controller of one virtual processor: its registers, the messages that
/// wait for a slot, and its timers. Thread-safe.
///
/// The message and event-flag pages are RAM, zeroed when they are switched on. They do not hide
/// what was there, as overlays would: no guest puts them over memory in use.
final class ProcessorSynic {
  private static final System.Logger LOG = System.getLogger(ProcessorSynic.class.getName());

  private static final VarHandle INT =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

  private static final long ENABLE = 1;
  private static final long PAGE_MASK = -GuestMemory.PAGE_SIZE;

  // HV_SYNIC_SINT.
  private static final long VECTOR_MASK = 0xFF;
  private static final long MASKED = 1 << 16;
  private static final long AUTO_EOI = 1 << 17;

  /// The guest looks by itself: messages and flags come as if it were not masked, interrupts do
  /// not.
  private static final long POLLING = 1 << 18;

  private static final int LOWEST_VECTOR = 16;

  /// HV_SYNIC_VERSION of the TLFS.
  private static final long VERSION = 1;

  // HV_MESSAGE: type, size and flags, sender, payload. One slot of 256 bytes for each source.
  private static final int SLOT_SIZE = 256;
  private static final int TYPE = 0;
  private static final int SIZE_AND_FLAGS = 4;
  private static final int ORIGIN = 8;
  private static final int PAYLOAD = 16;

  /// HV_MESSAGE_FLAGS.MessagePending, in the 32 bits at SIZE_AND_FLAGS.
  private static final int MESSAGE_PENDING = 1 << 8;

  /// Bytes of the event flags of one source.
  private static final int FLAGS_SIZE = Synic.EVENT_FLAGS / 8;

  private final Partition partition;
  private final int index;
  private final GuestMemory memory;
  private final MemorySegment ram;
  private final ReferenceTime time;
  private final SyntheticTimers timers;

  private final ReentrantLock lock = new ReentrantLock();
  // Guarded by the lock.
  private long control;
  private long eventFlagsPage;
  private long messagePage;
  private final long[] sources = new long[Synic.SOURCES];
  private final List<ArrayDeque<SynicState.Message>> queues = new ArrayList<>();

  /// Messages in the queues, other than those of timers.
  private int waiting;

  private boolean warnedOfAutoEoi;
  private long messages;
  private long signals;
  private long interrupts;

  ProcessorSynic(
      Partition partition, VirtualProcessor processor, GuestMemory memory, ReferenceTime time) {
    this.partition = partition;
    this.index = processor.index();
    this.memory = memory;
    this.ram = memory.segment();
    this.time = time;
    for (int i = 0; i < Synic.SOURCES; i++) {
      queues.add(new ArrayDeque<>());
    }
    Arrays.fill(sources, MASKED);
    timers = new SyntheticTimers(partition.configuration().time(), this, processor::readTsc, time);
  }

  SyntheticTimers timers() {
    return timers;
  }

  /// The lock of all that this processor's controller and timers hold.
  ReentrantLock lock() {
    return lock;
  }

  // --- registers ---

  /// @param register one of the SynIC's, other than EOM's, which reads as zero
  long read(int register) {
    lock.lock();
    try {
      return switch (register) {
        case SyntheticMsr.SCONTROL -> control;
        case SyntheticMsr.SVERSION -> VERSION;
        case SyntheticMsr.SIEFP -> eventFlagsPage;
        case SyntheticMsr.SIMP -> messagePage;
        case SyntheticMsr.EOM -> 0;
        default -> sources[register - SyntheticMsr.SINT0];
      };
    } finally {
      lock.unlock();
    }
  }

  /// @return false if the value is not allowed (general-protection fault)
  boolean write(int register, long value) {
    lock.lock();
    try {
      switch (register) {
        case SyntheticMsr.SCONTROL -> {
          control = value;
          deliverAll();
          return true;
        }
        case SyntheticMsr.SVERSION -> {
          return false;
        }
        case SyntheticMsr.SIEFP -> {
          if (!placePage(eventFlagsPage, value)) {
            return false;
          }
          eventFlagsPage = value;
          return true;
        }
        case SyntheticMsr.SIMP -> {
          if (!placePage(messagePage, value)) {
            return false;
          }
          messagePage = value;
          deliverAll();
          return true;
        }
        case SyntheticMsr.EOM -> {
          deliverAll();
          return true;
        }
        default -> {
          return writeSource(register - SyntheticMsr.SINT0, value);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private boolean placePage(long old, long value) {
    if ((value & ENABLE) == 0) {
      return true;
    }
    long address = value & PAGE_MASK;
    if (!memory.contains(address, GuestMemory.PAGE_SIZE)) {
      return false;
    }
    if ((old & ENABLE) == 0 || (old & PAGE_MASK) != address) {
      memory.write(address, new byte[GuestMemory.PAGE_SIZE]);
    }
    return true;
  }

  private boolean writeSource(int source, long value) {
    if (interrupts(value) && (value & VECTOR_MASK) < LOWEST_VECTOR) {
      return false;
    }
    if (interrupts(value) && (value & AUTO_EOI) != 0 && !warnedOfAutoEoi) {
      warnedOfAutoEoi = true;
      LOG.log(
          System.Logger.Level.WARNING,
          "the guest wants automatic EOI for SINT{0} against the recommendation; it has none",
          source);
    }
    boolean unmasked = !interrupts(sources[source]) && interrupts(value);
    sources[source] = value;
    deliver(source);
    if (unmasked && hasFlags(source)) {
      // They were set when nobody could be told.
      interrupt(source);
    }
    return true;
  }

  private static boolean interrupts(long source) {
    return (source & (MASKED | POLLING)) == 0;
  }

  private boolean hasFlags(int source) {
    if ((control & eventFlagsPage & ENABLE) == 0) {
      return false;
    }
    long address = (eventFlagsPage & PAGE_MASK) + (long) source * FLAGS_SIZE;
    for (int i = 0; i < FLAGS_SIZE; i += Long.BYTES) {
      if (memory.readLong(address + i) != 0) {
        return true;
      }
    }
    return false;
  }

  // --- messages ---

  boolean post(SynicState.Message message) {
    lock.lock();
    try {
      if (waiting >= Synic.MOST_WAITING && message.timer() < 0) {
        return false;
      }
      queues.get(message.source()).add(message);
      if (message.timer() < 0) {
        waiting++;
      }
      deliver(message.source());
      return true;
    } finally {
      lock.unlock();
    }
  }

  int waiting(int source) {
    lock.lock();
    try {
      return queues.get(source).size();
    } finally {
      lock.unlock();
    }
  }

  int waiting() {
    lock.lock();
    try {
      return waiting;
    } finally {
      lock.unlock();
    }
  }

  void discard(int source) {
    lock.lock();
    try {
      var queue = queues.get(source);
      int before = queue.size();
      queue.removeIf(message -> message.timer() < 0);
      waiting -= before - queue.size();
    } finally {
      lock.unlock();
    }
  }

  /// Forgets the message of a timer that has not reached its slot. Called with the lock held.
  void withdraw(int timer) {
    for (var queue : queues) {
      queue.removeIf(message -> message.timer() == timer);
    }
  }

  private void deliverAll() {
    for (int source = 0; source < Synic.SOURCES; source++) {
      deliver(source);
    }
  }

  /// Moves messages to a source's slot as long as the guest has emptied it.
  ///
  /// The guest empties a slot by clearing its type, and looks at MessagePending after that; this
  /// sets MessagePending, and looks at the type after that. With a full fence between on both sides
  /// one of them sees the other's write: either the guest writes EOM, or the slot is found empty
  /// here.
  private void deliver(int source) {
    var queue = queues.get(source);
    if (queue.isEmpty()
        || (control & messagePage & ENABLE) == 0
        || (sources[source] & (MASKED | POLLING)) == MASKED) {
      return;
    }
    long slotAddress = (messagePage & PAGE_MASK) + (long) source * SLOT_SIZE;
    long slot = memory.offset(slotAddress);
    while (!queue.isEmpty()) {
      if ((int) INT.getAcquire(ram, slot + TYPE) != 0) {
        INT.getAndBitwiseOr(ram, slot + SIZE_AND_FLAGS, MESSAGE_PENDING);
        memory.written(slotAddress, SLOT_SIZE);
        VarHandle.fullFence();
        if ((int) INT.getVolatile(ram, slot + TYPE) != 0) {
          return;
        }
      }
      var message = queue.remove();
      var payload = message.payload();
      if (message.timer() >= 0) {
        payload = timers.delivered(message);
      } else {
        waiting--;
      }
      memory.write(slotAddress + PAYLOAD, payload);
      memory.writeLong(slotAddress + ORIGIN, message.origin());
      memory.writeInt(
          slotAddress + SIZE_AND_FLAGS, payload.length | (queue.isEmpty() ? 0 : MESSAGE_PENDING));
      INT.setRelease(ram, slot + TYPE, message.type());
      memory.written(slotAddress, SLOT_SIZE);
      messages++;
      boolean told = interrupt(source);
      if (FlightRecording.isOn()) {
        SynicEvent.message(index, source, message.type(), told);
      }
    }
  }

  // --- events ---

  void signalEvent(int source, int flag) {
    if (flag < 0 || flag >= Synic.EVENT_FLAGS) {
      throw new IllegalArgumentException("event flag " + flag + " is not in 0..2047");
    }
    lock.lock();
    try {
      if ((control & eventFlagsPage & ENABLE) == 0) {
        return;
      }
      long address =
          (eventFlagsPage & PAGE_MASK) + (long) source * FLAGS_SIZE + (flag >> 5) * Integer.BYTES;
      int bit = 1 << flag;
      int before = (int) INT.getAndBitwiseOr(ram, memory.offset(address), bit);
      if ((before & bit) == 0) {
        memory.written(address, Integer.BYTES);
        signals++;
        boolean told = interrupt(source);
        if (FlightRecording.isOn()) {
          SynicEvent.signal(index, source, flag, told);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /// @return whether the source is not masked
  private boolean interrupt(int source) {
    long value = sources[source];
    if (!interrupts(value)) {
      return false;
    }
    interrupts++;
    interruptWith((int) (value & VECTOR_MASK));
    return true;
  }

  // --- counters, since the partition was made ---

  void addTo(Map<String, Long> counters) {
    lock.lock();
    try {
      counters.merge("synic.messages", messages, Long::sum);
      counters.merge("synic.signals", signals, Long::sum);
      counters.merge("synic.interrupts", interrupts, Long::sum);
    } finally {
      lock.unlock();
    }
  }

  /// Raises an edge-triggered interrupt of this processor alone: a fixed message to its APIC id.
  void interruptWith(int vector) {
    partition.signalMsi(0xFEE0_0000L | (long) index << 12, vector);
  }

  // --- life cycle ---

  /// Back to the state after power-up.
  void reset() {
    lock.lock();
    try {
      control = 0;
      eventFlagsPage = 0;
      messagePage = 0;
      Arrays.fill(sources, MASKED);
      queues.forEach(ArrayDeque::clear);
      waiting = 0;
      timers.reset();
    } finally {
      lock.unlock();
    }
  }

  SynicState state() {
    lock.lock();
    try {
      return new SynicState(
          control,
          eventFlagsPage,
          messagePage,
          Arrays.stream(sources).boxed().toList(),
          queues.stream().flatMap(ArrayDeque::stream).toList(),
          timers.state());
    } finally {
      lock.unlock();
    }
  }

  /// @throws IllegalArgumentException if the state is impossible here
  void check(SynicState state) {
    for (long page : new long[] {state.eventFlagsPage(), state.messagePage()}) {
      if ((page & ENABLE) != 0 && !memory.contains(page & PAGE_MASK, GuestMemory.PAGE_SIZE)) {
        throw new IllegalArgumentException("saved SynIC page 0x%x is not RAM".formatted(page));
      }
    }
  }

  /// Takes a state over, when the reference time is right already.
  void restore(SynicState state) {
    check(state);
    lock.lock();
    try {
      control = state.control();
      eventFlagsPage = state.eventFlagsPage();
      messagePage = state.messagePage();
      for (int i = 0; i < sources.length; i++) {
        sources[i] = state.sources().get(i);
      }
      queues.forEach(ArrayDeque::clear);
      state.waiting().forEach(message -> queues.get(message.source()).add(message));
      waiting = (int) state.waiting().stream().filter(message -> message.timer() < 0).count();
      timers.restore(state.timers(), state.waiting());
    } finally {
      lock.unlock();
    }
  }
}
