package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.SignalMask;
import dev.partita.engine.kvm.Structures.SystemRegisters;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.InterceptHandler;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.VirtualProcessor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// A virtual processor on KVM: the loop around KVM_RUN, and what other threads ask of it.
///
/// Other threads set bits in {@link #requests} and send the running thread a signal. The thread
/// has that signal blocked everywhere but inside KVM_RUN (KVM_SET_SIGNAL_MASK), so it is never
/// delivered: it waits until KVM_RUN begins, or ends it, and is then taken away. A request made
/// at any moment is thus seen before guest code runs again.
final class KvmProcessor implements VirtualProcessor {
  private static final System.Logger LOG = System.getLogger(KvmProcessor.class.getName());

  // What other threads ask for.
  private static final int CANCEL = 1;
  private static final int NMI = 1 << 1;

  /// Exits that one instruction may need after its processor was cancelled, before it is called a
  /// defect. KVM looks for signals after 1024 iterations of a string instruction.
  private static final int MOST_COMPLETIONS = 100_000;

  /// How long it takes to leave guest code, about.
  private static final long LEAVE_NANOS = 20_000;

  /// Bytes of the kernel's signal set.
  private static final int KERNEL_SIGNAL_SET = 8;

  private static final long CR0_PE = 1;
  private static final long EFER_LMA = 1 << 10;
  private static final long RFLAGS_VM = 1 << 17;

  private static final VarHandle REQUESTS;
  private static final VarHandle PASSAGES;

  static {
    try {
      var lookup = MethodHandles.lookup();
      REQUESTS = lookup.findVarHandle(KvmProcessor.class, "requests", int.class);
      PASSAGES = lookup.findVarHandle(KvmProcessor.class, "passages", long.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final KvmPartition partition;
  private final int index;
  private final KvmDescriptor processor;
  private final RunArea area;
  private final @Nullable DirtyRing dirtyRing;
  private final StateTransfer transfer;
  private final TimeStampCounter counter;

  // Memory for the calls of the thread that runs this processor.
  private final MemorySegment errorState = Posix.allocateErrorState(Arena.ofAuto());
  private final MemorySegment systemRegisters = Arena.ofAuto().allocate(SystemRegisters.SIZE, 8);
  private final MemorySegment signalMask = Arena.ofAuto().allocate(Posix.SIGNAL_SET_SIZE, 8);

  private volatile int requests;

  /// Entries into guest code and exits from it: odd while KVM_RUN is called. Written by the running
  /// thread.
  private long passages;

  /// Held while state is read or written, and while the running thread changes: not while it runs.
  private final ReentrantLock lock = new ReentrantLock();

  private volatile @Nullable Thread thread;
  // Guarded by the lock.
  private long nativeThread;

  /// The last exit needs another KVM_RUN to complete its instruction.
  private boolean incomplete;

  private boolean systemRegistersFresh;
  private boolean windowRequested;

  private final Intercept.PortRead portRead = new Intercept.PortRead();
  private final Intercept.PortWrite portWrite = new Intercept.PortWrite();
  private final Intercept.MmioRead mmioRead = new Intercept.MmioRead();
  private final Intercept.MmioWrite mmioWrite = new Intercept.MmioWrite();
  private final Intercept.MsrRead msrRead = new Intercept.MsrRead();
  private final Intercept.MsrWrite msrWrite = new Intercept.MsrWrite();
  private final Intercept.ExternalInterrupt externalInterrupt = new Intercept.ExternalInterrupt();
  private final Intercept.EndOfInterrupt endOfInterrupt = new Intercept.EndOfInterrupt();

  // For statistics.
  private long entries;
  private long interrupted;
  private long windows;
  private long fullRings;

  /// @param ringSize bytes of its ring of dirty pages, or 0 if it has none
  KvmProcessor(KvmPartition partition, int index, int areaSize, int ringSize) {
    this.partition = partition;
    this.index = index;
    processor = partition.createProcessor(index);
    RunArea mapped = null;
    DirtyRing ring = null;
    try {
      mapped = new RunArea(processor, areaSize);
      area = mapped;
      ring = ringSize == 0 ? null : new DirtyRing(processor, ringSize);
      dirtyRing = ring;
      transfer = new StateTransfer(processor, partition, index);
      counter = new TimeStampCounter(processor, partition);
    } catch (RuntimeException | Error e) {
      if (ring != null) {
        ring.free();
      }
      if (mapped != null) {
        mapped.free();
      }
      processor.close();
      throw e;
    }
  }

  /// Gives everything back; nobody uses this processor any more.
  void free() {
    if (dirtyRing != null) {
      dirtyRing.free();
    }
    area.free();
    processor.close();
  }

  // ---- Asked by other threads
  // -----------------------------------------------------------------------

  @Override
  public int index() {
    return index;
  }

  @Override
  public void cancel() {
    request(CANCEL);
  }

  /// {@inheritDoc}
  ///
  /// Does nothing here: the local APICs are KVM's.
  @Override
  public void interruptRequested() {}

  @Override
  public void requestNmi() {
    request(NMI);
  }

  @Override
  public void requestInit() {
    partition.signalMsi(messageAddress(), 5 << 8);
  }

  @Override
  public void requestStartup(int vector) {
    partition.signalMsi(messageAddress(), 6 << 8 | vector & 0xFF);
  }

  /// The address of messages to this processor: physical destination, its APIC id.
  private long messageAddress() {
    return 0xFEE0_0000L | (long) index << 12;
  }

  private void request(int bit) {
    REQUESTS.getAndBitwiseOr(this, bit);
    kick();
  }

  /// Makes the running thread look at what was asked, soon.
  void kick() {
    var running = thread;
    if (running == null || running == Thread.currentThread()) {
      // It looks by itself before guest code runs.
      return;
    }
    lock.lock();
    try {
      // Under the lock the thread cannot have left run(), so it exists.
      if (thread != null) {
        Posix.kick(nativeThread);
      }
    } finally {
      lock.unlock();
    }
  }

  /// Waits until the guest code that runs now, if any, has been left once.
  void leaveGuest() {
    long now = (long) PASSAGES.getAcquire(this);
    while ((now & 1) != 0 && (long) PASSAGES.getAcquire(this) == now) {
      // Again, for the thread may just be about to enter.
      kick();
      LockSupport.parkNanos(LEAVE_NANOS);
    }
  }

  /// The ring of this processor, in a partition that has rings.
  DirtyRing dirtyRing() {
    return Objects.requireNonNull(dirtyRing);
  }

  /// Whether the caller is inside this processor's {@link #run}.
  boolean isCurrentThread() {
    return thread == Thread.currentThread();
  }

  @Override
  public long instructionCount() {
    // The hardware counts, and KVM does not tell.
    return 0;
  }

  @Override
  public Map<String, Long> counters() {
    var counters = new LinkedHashMap<String, Long>();
    counters.put("entries", entries);
    counters.put("interrupted", interrupted);
    counters.put("interrupt windows", windows);
    counters.put("full rings", fullRings);
    if (index == 0) {
      // The whole partition's: they ring on a thread of their own.
      counters.put("doorbells", partition.rings());
    }
    return counters;
  }

  // ---- Time
  // -----------------------------------------------------------------------------------------

  /// {@inheritDoc}
  ///
  /// Exact on this processor's thread and while it does not run. Other threads get it from the
  /// host's counter if KVM tells that, else from the host's clock; a guest that has written its
  /// counter since the last exact reading is then not believed yet.
  @Override
  public long readTsc() {
    if (isCurrentThread()) {
      return counter.read();
    }
    if (!partition.enter()) {
      return counter.extrapolate();
    }
    try {
      lock.lock();
      try {
        if (thread == null) {
          return counter.read();
        }
      } finally {
        lock.unlock();
      }
      return counter.readWhileRunning();
    } finally {
      partition.leave();
    }
  }

  // ---- State
  // ----------------------------------------------------------------------------------------

  @Override
  public ProcessorState state() {
    return whileStopped(() -> transfer.save((requests & NMI) != 0));
  }

  @Override
  public void setState(ProcessorState state) {
    whileStopped(
        () -> {
          transfer.load(state);
          REQUESTS.getAndBitwiseAnd(this, ~NMI);
          incomplete = false;
          counter.reread();
          return null;
        });
  }

  private <T extends @Nullable Object> T whileStopped(java.util.function.Supplier<T> action) {
    if (isCurrentThread()) {
      return action.get();
    }
    if (!partition.enter()) {
      throw new IllegalStateException("the partition is closed");
    }
    try {
      lock.lock();
      try {
        if (thread != null) {
          throw new IllegalStateException("virtual processor %d is running".formatted(index));
        }
        return action.get();
      } finally {
        lock.unlock();
      }
    } finally {
      partition.leave();
    }
  }

  @Override
  public long general(int register) {
    return area.general(register);
  }

  @Override
  public void setGeneral(int register, long value) {
    area.setGeneral(register, value);
  }

  @Override
  public Mode mode() {
    var registers = freshSystemRegisters();
    if ((registers.get(JAVA_LONG, SystemRegisters.CR0) & CR0_PE) == 0) {
      return Mode.REAL;
    }
    if ((registers.get(JAVA_LONG, SystemRegisters.EFER) & EFER_LMA) != 0) {
      return StateTransfer.isLongCode(registers) ? Mode.LONG : Mode.COMPATIBILITY;
    }
    return (area.rflags() & RFLAGS_VM) != 0 ? Mode.VIRTUAL_8086 : Mode.PROTECTED;
  }

  @Override
  public int privilegeLevel() {
    var registers = freshSystemRegisters();
    if ((registers.get(JAVA_LONG, SystemRegisters.CR0) & CR0_PE) == 0) {
      return 0;
    }
    return (area.rflags() & RFLAGS_VM) != 0 ? 3 : StateTransfer.stackPrivilege(registers);
  }

  private MemorySegment freshSystemRegisters() {
    if (!systemRegistersFresh) {
      processor.call(Ioctl.KVM_GET_SREGS, systemRegisters);
      systemRegistersFresh = true;
    }
    return systemRegisters;
  }

  // ---- The loop
  // -------------------------------------------------------------------------------------

  @Override
  public RunExit run(InterceptHandler handler) {
    if (Thread.currentThread().isVirtual()) {
      throw new IllegalStateException("a virtual processor needs a platform thread of its own");
    }
    if (!partition.enter()) {
      return RunExit.CANCELLED;
    }
    try {
      begin();
      var before = partition.beginRun();
      try {
        return loop(handler);
      } finally {
        partition.endRun(before);
        end();
      }
    } finally {
      partition.leave();
    }
  }

  private void begin() {
    lock.lock();
    try {
      if (thread != null) {
        throw new IllegalStateException("virtual processor %d already runs".formatted(index));
      }
      Posix.blockKicks(signalMask);
      allowKicksInside();
      nativeThread = Posix.currentThread();
      thread = Thread.currentThread();
    } finally {
      lock.unlock();
    }
  }

  /// Inside KVM_RUN the thread's signal mask is as it was, without the kick.
  private void allowKicksInside() {
    try (var arena = Arena.ofConfined()) {
      var request = arena.allocate(SignalMask.SIZE + KERNEL_SIGNAL_SET, 8);
      request.set(JAVA_INT, SignalMask.LENGTH, KERNEL_SIGNAL_SET);
      request.set(
          java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED,
          SignalMask.SIZE,
          signalMask.get(JAVA_LONG, 0) & ~(1L << Posix.SIGURG - 1));
      processor.call(Ioctl.KVM_SET_SIGNAL_MASK, request);
    }
  }

  private void end() {
    lock.lock();
    try {
      // From here on nobody sends a signal; one may still wait.
      thread = null;
      Posix.takeKick();
      Posix.restoreMask(signalMask);
    } finally {
      lock.unlock();
    }
  }

  private RunExit loop(InterceptHandler handler) {
    try {
      while (true) {
        int asked = requests;
        if (asked != 0) {
          if ((asked & CANCEL) != 0) {
            complete(handler);
            REQUESTS.getAndBitwiseAnd(this, ~CANCEL);
            return RunExit.CANCELLED;
          }
          REQUESTS.getAndBitwiseAnd(this, ~NMI);
          processor.call(Ioctl.KVM_NMI, 0);
        }
        if (index == 0) {
          offerExternalInterrupt(handler);
        }
        if (enter()) {
          handleExit(handler);
        }
      }
    } catch (GuestStop stop) {
      return shutDown(handler, stop.reason, String.valueOf(stop.getMessage()), stop.code);
    } catch (RuntimeException | StackOverflowError e) {
      LOG.log(System.Logger.Level.ERROR, "defect in the KVM engine or a handler", e);
      return shutDown(handler, Intercept.Shutdown.Reason.INTERNAL_ERROR, e.toString(), new byte[0]);
    }
  }

  /// Lets guest code run.
  ///
  /// @return whether there is an exit to handle
  private boolean enter() {
    systemRegistersFresh = false;
    entries++;
    long passage = passages;
    PASSAGES.setOpaque(this, passage + 1);
    int result = Posix.ioctl(errorState, processor.number(), Ioctl.KVM_RUN.request, 0L);
    PASSAGES.setRelease(this, passage + 2);
    if (result >= 0) {
      return true;
    }
    switch (-result) {
      case Posix.EINTR -> {
        interrupted++;
        incomplete = false;
        Posix.takeKick();
      }
      // A processor that waited for its start-up was woken.
      case Posix.EAGAIN -> {}
      default -> throw KvmException.of(Ioctl.KVM_RUN, -result);
    }
    return false;
  }

  /// Brings the processor to where its state is whole: completes the instruction of the last exit,
  /// which KVM does at the next entry, and lets KVM request the interrupt of a timer that ran out,
  /// which it does after an attempt to run guest code. A signal that waits makes each entry one
  /// such attempt that comes back at once; immediate_exit would return before it.
  private void complete(InterceptHandler handler) {
    int attempts = 0;
    do {
      if (attempts++ == MOST_COMPLETIONS) {
        throw new KvmException("KVM_RUN", 0, "an instruction of the guest does not end");
      }
      Posix.kick(nativeThread);
      if (enter()) {
        // Another part of the same instruction.
        handleExit(handler);
      }
    } while (incomplete);
  }

  private void offerExternalInterrupt(InterceptHandler handler) {
    if (!partition.externalInterrupt()) {
      if (windowRequested) {
        requestWindow(false);
      }
      return;
    }
    if (area.readyForInterrupt()) {
      handler.handle(this, externalInterrupt.prepare());
      int vector = externalInterrupt.vector;
      if (vector >= 0) {
        try (var arena = Arena.ofConfined()) {
          processor.call(Ioctl.KVM_INTERRUPT, arena.allocateFrom(JAVA_INT, vector & 0xFF));
        }
        area.clearReadyForInterrupt();
      }
    }
    requestWindow(partition.externalInterrupt());
  }

  private void requestWindow(boolean on) {
    windowRequested = on;
    area.setInterruptWindowRequest(on);
  }

  private void handleExit(InterceptHandler handler) {
    int reason = area.exitReason();
    incomplete = false;
    switch (reason) {
      case RunArea.EXIT_IO -> {
        incomplete = true;
        handlePort(handler);
      }
      case RunArea.EXIT_MMIO -> {
        incomplete = true;
        handleMmio(handler);
      }
      case RunArea.EXIT_X86_RDMSR -> {
        incomplete = true;
        handler.handle(this, msrRead.prepare(area.msrIndex()));
        area.setMsrData(msrRead.value);
        area.setMsrError(!msrRead.handled);
      }
      case RunArea.EXIT_X86_WRMSR -> {
        incomplete = true;
        handler.handle(this, msrWrite.prepare(area.msrIndex(), area.msrData()));
        area.setMsrError(!msrWrite.handled);
      }
      case RunArea.EXIT_IOAPIC_EOI -> {
        int vector = area.eoiVector();
        partition.levelRoutes().ended(vector);
        handler.handle(this, endOfInterrupt.prepare(vector));
      }
      case RunArea.EXIT_IRQ_WINDOW_OPEN -> windows++;
      case RunArea.EXIT_DIRTY_RING_FULL -> {
        fullRings++;
        partition.dirtyLog().ringFull();
      }
      case RunArea.EXIT_INTR -> interrupted++;
      case RunArea.EXIT_SHUTDOWN ->
          throw new GuestStop(Intercept.Shutdown.Reason.TRIPLE_FAULT, "triple fault");
      case RunArea.EXIT_INTERNAL_ERROR -> throw internalError();
      case RunArea.EXIT_FAIL_ENTRY ->
          throw new GuestStop(
              Intercept.Shutdown.Reason.INTERNAL_ERROR,
              "the host's processor refuses the guest's state, reason 0x%x"
                  .formatted(area.hardwareReason()));
      case RunArea.EXIT_UNKNOWN ->
          throw new GuestStop(
              Intercept.Shutdown.Reason.INTERNAL_ERROR,
              "KVM does not know the hardware's exit 0x%x".formatted(area.hardwareReason()));
      default ->
          throw new GuestStop(
              Intercept.Shutdown.Reason.INTERNAL_ERROR, "unexpected exit " + reason + " of KVM");
    }
  }

  private void handlePort(InterceptHandler handler) {
    int size = area.ioSize();
    int port = area.ioPort();
    int count = area.ioCount();
    if (area.ioIsWrite()) {
      for (int i = 0; i < count; i++) {
        handler.handle(this, portWrite.prepare(port, size, area.ioValue(i, size)));
      }
    } else {
      for (int i = 0; i < count; i++) {
        handler.handle(this, portRead.prepare(port, size));
        area.setIoValue(i, size, portRead.value);
      }
    }
  }

  /// KVM splits an access at a page's end only, so that any length up to 8 comes; here it is split
  /// further, into what devices know.
  private void handleMmio(InterceptHandler handler) {
    long address = area.mmioAddress();
    int length = area.mmioLength();
    long data = area.mmioData();
    boolean write = area.mmioIsWrite();
    long answer = 0;
    for (int done = 0; done < length; ) {
      int size = Integer.highestOneBit(Math.min(length - done, 8));
      long mask = size == 8 ? -1 : (1L << 8 * size) - 1;
      if (write) {
        handler.handle(this, mmioWrite.prepare(address + done, size, data >>> 8 * done & mask));
      } else {
        handler.handle(this, mmioRead.prepare(address + done, size));
        answer |= (mmioRead.value & mask) << 8 * done;
      }
      done += size;
    }
    if (!write) {
      area.setMmioData(answer);
    }
  }

  private GuestStop internalError() {
    int error = area.internalError();
    var code = area.emulatedInstruction();
    return error == RunArea.INTERNAL_ERROR_EMULATION
        ? new GuestStop(
            Intercept.Shutdown.Reason.UNSUPPORTED,
            "KVM cannot emulate an instruction of the guest"
                + (code.length == 0 ? "" : ": " + HexFormat.ofDelimiter(" ").formatHex(code))
                + partition.engine().remark(),
            code)
        : new GuestStop(
            Intercept.Shutdown.Reason.INTERNAL_ERROR,
            "KVM internal error %d (%s), data %s%s"
                .formatted(
                    error,
                    internalErrorText(error),
                    Arrays.stream(area.internalData())
                        .mapToObj(Long::toHexString)
                        .collect(Collectors.joining(" ")),
                    partition.engine().remark()),
            code);
  }

  /// KVM_INTERNAL_ERROR_* (Documentation/virt/kvm/api.rst, "KVM_EXIT_INTERNAL_ERROR").
  private static String internalErrorText(int error) {
    return switch (error) {
      case 2 -> "two exceptions at the same time that it cannot deliver";
      case 3 -> "an exit in the middle of the delivery of an event";
      case 4 -> "an exit of the hardware that it does not know";
      default -> "unknown";
    };
  }

  private RunExit shutDown(
      InterceptHandler handler, Intercept.Shutdown.Reason reason, String detail, byte[] code) {
    incomplete = false;
    var state = transfer.save(false);
    var atRip = CodeBytes.at(processor, partition.memory(), state.cs().base() + state.rip());
    handler.handle(
        this, new Intercept.Shutdown(reason, detail, state, atRip.length == 0 ? code : atRip));
    return RunExit.SHUTDOWN;
  }

  /// The guest cannot go on.
  private static final class GuestStop extends RuntimeException {
    private static final long serialVersionUID = 1L;

    final Intercept.Shutdown.Reason reason;
    final transient byte[] code;

    GuestStop(Intercept.Shutdown.Reason reason, String message) {
      this(reason, message, new byte[0]);
    }

    GuestStop(Intercept.Shutdown.Reason reason, String message, byte[] code) {
      super(message, null, false, false);
      this.reason = reason;
      this.code = code;
    }
  }
}
