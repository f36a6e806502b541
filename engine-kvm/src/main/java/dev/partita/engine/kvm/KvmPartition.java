package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.Msi;
import dev.partita.engine.kvm.Structures.MsrFilter;
import dev.partita.hypervisor.Doorbells;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.VirtualProcessor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// A partition on KVM: a virtual machine with its RAM, processors and local APICs in the kernel.
final class KvmPartition implements Partition {
  /// KVM needs four pages of guest-physical space for itself on some processors of Intel. They lie
  /// below the local APICs' page, where no PC has anything.
  private static final long IDENTITY_MAP = 0xFEFF_C000L;

  private static final long TASK_STATE = 0xFEFF_D000L;

  // KVM_X86_QUIRK_*: what KVM does otherwise than a processor, for old users.
  private static final int QUIRK_LINT0_REENABLED = 1;
  private static final int QUIRK_OUT_7E_INC_RIP = 1 << 3;

  // KVM_MSR_EXIT_REASON_*.
  private static final int EXIT_UNKNOWN_MSR = 1 << 1;
  private static final int EXIT_FILTERED_MSR = 1 << 2;

  /// The registers of the Hyper-V interface are the partition owner's, even those that KVM knows.
  private static final int FILTER_FIRST = 0x4000_0000;

  private static final int FILTER_COUNT = 0x200;

  /// KVM_MSR_FILTER_READ and KVM_MSR_FILTER_WRITE.
  private static final int FILTER_READ_WRITE = 3;

  private static final long LEVEL = 1 << 15;
  private static final long ASSERT = 1 << 14;

  /// How long {@link #close} waits for processors that are still in a handler.
  private static final long CLOSE_NANOS = 5_000_000_000L;

  /// Bit of {@link #users}.
  private static final int CLOSED = 1 << 31;

  private static final ThreadLocal<CallArea> CALLS = ThreadLocal.withInitial(CallArea::new);

  /// What a thread needs for {@link #signalMsi}.
  private static final class CallArea {
    final MemorySegment errorState = Posix.allocateErrorState(Arena.ofAuto());
    final MemorySegment message = Arena.ofAuto().allocate(Msi.SIZE, 8);

    /// The partition that this thread runs a processor of: its descriptors stay open.
    @Nullable KvmPartition running;
  }

  private final KvmEngine engine;
  private final PartitionConfiguration configuration;
  private final HostFacts facts;
  private final KvmHost host;
  private final KvmDescriptor machine;
  private final DirtyLog dirtyLog;
  private final LevelRoutes levelRoutes;
  private final @Nullable EventDoorbells doorbells;
  private final List<KvmProcessor> processors = new ArrayList<>();

  /// Whether the 8259's line is asserted; the boot processor looks before it runs.
  private volatile boolean externalInterrupt;

  /// Calls that use the descriptors, and {@link #CLOSED}.
  private final AtomicInteger users = new AtomicInteger();

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition idle = lock.newCondition();
  // Guarded by the lock.
  private boolean freed;

  KvmPartition(KvmEngine engine, PartitionConfiguration configuration, HostFacts facts) {
    this.engine = engine;
    this.configuration = configuration;
    this.facts = facts;
    if (configuration.processorCount() > facts.maximumProcessors()) {
      throw new KvmException(
          "KVM_CAP_MAX_VCPUS",
          0,
          "%d virtual processors asked, but the host's KVM allows %d"
              .formatted(configuration.processorCount(), facts.maximumProcessors()));
    }
    host = KvmHost.open(engine.device());
    KvmDescriptor made = null;
    try {
      made = host.createMachine();
      machine = made;
      configure();
      int ringSize = engine.hasRings() ? enableRings() : 0;
      dirtyLog = new DirtyLog(machine, configuration.memory(), processors, ringSize != 0);
      levelRoutes = new LevelRoutes(machine);
      doorbells = host.check(Capability.KVM_CAP_IOEVENTFD) != 0 ? new EventDoorbells(this) : null;
      for (int i = 0; i < configuration.processorCount(); i++) {
        processors.add(new KvmProcessor(this, i, host.runAreaSize(), ringSize));
      }
    } catch (RuntimeException | Error e) {
      processors.forEach(KvmProcessor::free);
      if (made != null) {
        made.close();
      }
      host.close();
      throw e;
    }
    configuration.memory().addDirtySource(dirtyLog);
  }

  private void configure() {
    if (host.check(Capability.KVM_CAP_SET_TSS_ADDR) != 0) {
      try (var arena = Arena.ofConfined()) {
        machine.call(Ioctl.KVM_SET_IDENTITY_MAP_ADDR, arena.allocateFrom(JAVA_LONG, IDENTITY_MAP));
      }
      machine.call(Ioctl.KVM_SET_TSS_ADDR, TASK_STATE);
    }
    KvmHost.enable(machine, Capability.KVM_CAP_SPLIT_IRQCHIP, LevelRoutes.PINS);
    int quirks =
        host.check(Capability.KVM_CAP_DISABLE_QUIRKS2)
            & (QUIRK_LINT0_REENABLED | QUIRK_OUT_7E_INC_RIP);
    if (quirks != 0) {
      KvmHost.enable(machine, Capability.KVM_CAP_DISABLE_QUIRKS2, quirks);
    }
    KvmHost.enable(
        machine, Capability.KVM_CAP_X86_USER_SPACE_MSR, EXIT_UNKNOWN_MSR | EXIT_FILTERED_MSR);
    try (var arena = Arena.ofConfined()) {
      var filter = arena.allocate(MsrFilter.SIZE, 8);
      // All bits 0: every access is denied, that is, comes here.
      var bitmap = arena.allocate(FILTER_COUNT / 8, 8);
      filter.set(JAVA_INT, MsrFilter.RANGE_FLAGS, FILTER_READ_WRITE);
      filter.set(JAVA_INT, MsrFilter.RANGE_COUNT, FILTER_COUNT);
      filter.set(JAVA_INT, MsrFilter.RANGE_FIRST, FILTER_FIRST);
      filter.set(JAVA_LONG, MsrFilter.RANGE_BITMAP, bitmap.address());
      machine.call(Ioctl.KVM_X86_SET_MSR_FILTER, filter);
    }
  }

  /// Turns on rings of dirty pages, which must be before there are processors.
  ///
  /// @return bytes of each, or 0 if this KVM has none
  private int enableRings() {
    for (var capability :
        List.of(Capability.KVM_CAP_DIRTY_LOG_RING_ACQ_REL, Capability.KVM_CAP_DIRTY_LOG_RING)) {
      // The answer is the greatest size.
      int size = Math.min(host.check(capability), DirtyRing.ENTRIES * Structures.DirtyPage.SIZE);
      if (size > 0) {
        KvmHost.enable(machine, capability, size);
        return size;
      }
    }
    return 0;
  }

  /// Makes a processor's descriptor, with the optional parts of KVM that belong to processors.
  KvmDescriptor createProcessor(int index) {
    var processor = machine.create(Ioctl.KVM_CREATE_VCPU, index);
    try {
      if (host.check(Capability.KVM_CAP_ENFORCE_PV_FEATURE_CPUID) != 0) {
        // KVM's own interface is not in the guest's CPUID: then its registers are not there either.
        KvmHost.enable(processor, Capability.KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1);
      }
      GuestCpuid.set(processor, GuestCpuid.of(configuration, index));
      setTscFrequency(processor);
    } catch (RuntimeException | Error e) {
      processor.close();
      throw e;
    }
    return processor;
  }

  private void setTscFrequency(KvmDescriptor processor) {
    long frequency = configuration.tscFrequency();
    if (frequency / 1000 == facts.tscFrequency() / 1000) {
      return;
    }
    if (!facts.tscScaling()) {
      throw new KvmException(
          "KVM_SET_TSC_KHZ",
          0,
          "this host cannot scale its time stamp counter of %d kHz to %d kHz"
              .formatted(facts.tscFrequency() / 1000, frequency / 1000));
    }
    processor.call(Ioctl.KVM_SET_TSC_KHZ, frequency / 1000);
  }

  KvmEngine engine() {
    return engine;
  }

  HostFacts facts() {
    return facts;
  }

  KvmDescriptor machine() {
    return machine;
  }

  LevelRoutes levelRoutes() {
    return levelRoutes;
  }

  DirtyLog dirtyLog() {
    return dirtyLog;
  }

  boolean externalInterrupt() {
    return externalInterrupt;
  }

  @Override
  public PartitionConfiguration configuration() {
    return configuration;
  }

  @Override
  public List<VirtualProcessor> processors() {
    return List.copyOf(processors);
  }

  @Override
  public boolean hasLocalApics() {
    return true;
  }

  /// {@inheritDoc}
  ///
  /// Other addresses than those of local APICs, and messages that de-assert a level, are ignored.
  @Override
  public void signalMsi(long address, int data) {
    if (address >>> 20 != 0xFEE) {
      return;
    }
    boolean level = (data & LEVEL) != 0;
    if (level && (data & ASSERT) == 0) {
      return;
    }
    var calls = CALLS.get();
    if (calls.running == this) {
      signal(calls, (int) address, data, level);
    } else if (enter()) {
      try {
        signal(calls, (int) address, data, level);
      } finally {
        leave();
      }
    }
  }

  private void signal(CallArea calls, int address, int data, boolean level) {
    if (level) {
      levelRoutes.prepare(address, data & 0xFFFF);
    }
    var message = calls.message;
    message.set(JAVA_INT, Msi.ADDRESS, address);
    message.set(JAVA_INT, Msi.DATA, data & 0xFFFF);
    // The answer tells how many processors took it; a message to nobody is no error.
    int result =
        Posix.ioctl(
            calls.errorState, machine.number(), Ioctl.KVM_SIGNAL_MSI.request, message.address());
    if (result < 0 && result != -Posix.EPERM) {
      throw KvmException.of(Ioctl.KVM_SIGNAL_MSI, -result);
    }
  }

  @Override
  public void setExternalInterrupt(boolean asserted) {
    externalInterrupt = asserted;
    if (asserted) {
      processors.getFirst().kick();
    }
  }

  @Override
  public Optional<Doorbells> doorbells() {
    return Optional.ofNullable(doorbells);
  }

  /// How often a doorbell has rung.
  long rings() {
    return doorbells == null ? 0 : doorbells.rings();
  }

  /// Notes that a call uses the descriptors, so that they stay open.
  ///
  /// @return false if the partition is closed
  boolean enter() {
    int before;
    do {
      before = users.get();
      if (before < 0) {
        return false;
      }
    } while (!users.compareAndSet(before, before + 1));
    return true;
  }

  /// The opposite of {@link #enter}. The last to leave a closed partition frees it.
  void leave() {
    if (users.decrementAndGet() == CLOSED) {
      lock.lock();
      try {
        idle.signalAll();
        free();
      } finally {
        lock.unlock();
      }
    }
  }

  /// Notes that this thread runs one of the processors, from {@link #enter} to {@link #leave}.
  ///
  /// @return what {@link #endRun} needs
  @Nullable KvmPartition beginRun() {
    var calls = CALLS.get();
    var before = calls.running;
    calls.running = this;
    return before;
  }

  void endRun(@Nullable KvmPartition before) {
    CALLS.get().running = before;
  }

  @Override
  public void close() {
    configuration.memory().removeDirtySource(dirtyLog);
    dirtyLog.close();
    if (doorbells != null) {
      doorbells.close();
    }
    users.getAndUpdate(n -> n | CLOSED);
    processors.forEach(KvmProcessor::cancel);
    boolean insideRun = processors.stream().anyMatch(KvmProcessor::isCurrentThread);
    lock.lock();
    try {
      long left = CLOSE_NANOS;
      while (users.get() != CLOSED && !insideRun && left > 0) {
        left = awaitIdle(left);
      }
      if (users.get() == CLOSED) {
        free();
      }
      // Otherwise the last one out frees.
    } finally {
      lock.unlock();
    }
  }

  private long awaitIdle(long nanos) {
    try {
      return idle.awaitNanos(nanos);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 0;
    }
  }

  private void free() {
    if (!freed) {
      freed = true;
      processors.forEach(KvmProcessor::free);
      machine.close();
      host.close();
    }
  }
}
