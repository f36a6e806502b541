package dev.partita.enlightenment;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.VirtualProcessor;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;

/// The guest interface of one partition. The owner puts {@link #cpuidLeaves} into the CPUID table
/// before it makes the partition, and hands over the intercepts of the MSRs 0x40000000 to
/// 0x400001FF and of port writes.
///
/// What a guest may use is what the partition's CPUID table offers; everything else is refused
/// with a general-protection fault. Intercepts may come from all processors at the same time;
/// state is saved and restored only while none runs.
public final class Enlightenment implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Enlightenment.class.getName());

  private static final long ENABLE = 1;
  private static final long LOCKED = 1 << 1;
  private static final long PAGE_MASK = -GuestMemory.PAGE_SIZE;

  private static final long CRASH_NOTIFY = 1L << 63;
  private static final long CRASH_MESSAGE = 1L << 62;
  private static final int LONGEST_CRASH_MESSAGE = 4096;

  /// A guest crashes once; one that reports more often than this is no longer listened to.
  private static final int MOST_CRASH_REPORTS = 16;

  private final Partition partition;
  private final GuestMemory memory;
  private final long apicFrequency;
  private final GuestCrash.Listener crashListener;
  private final int privileges;
  private final int communication;
  private final int features;
  private final ReferenceTime time;
  private final Synic synic;
  private final Hypercalls hypercalls;

  private final ReentrantLock lock = new ReentrantLock();
  // Guarded by the lock.
  private final OverlayPages overlays;
  private long guestOsId;
  private long hypercall;
  private long referenceTsc;
  private long tscInvariantControl;
  private final long[] crashParameters = new long[5];
  private int crashReports;

  /// Whether the kernel that is there now has reported a crash.
  private boolean crashed;

  private final long[] vpAssistPages;

  /// @param partition made with {@link #cpuidLeaves} in its CPUID table; its reference time begins
  ///     now
  /// @param apicFrequency of the local APICs' timers before their divider, in hertz
  /// @param crashListener hears of crashes the guest reports
  public Enlightenment(Partition partition, long apicFrequency, GuestCrash.Listener crashListener) {
    var configuration = partition.configuration();
    this.partition = partition;
    this.memory = partition.memory();
    this.apicFrequency = apicFrequency;
    this.crashListener = crashListener;
    var offered = configuration.cpuid().find(HypervisorLeaves.FEATURES, 0);
    this.privileges = offered == null ? 0 : offered.eax();
    this.communication = offered == null ? 0 : offered.ebx();
    this.features = offered == null ? 0 : offered.edx();
    this.overlays = new OverlayPages(memory);
    this.time = new ReferenceTime(configuration.tscFrequency(), readTsc());
    this.vpAssistPages = new long[configuration.processorCount()];
    this.synic = new Synic(partition, time, (communication & HypervisorLeaves.SIGNAL_EVENTS) != 0);
    this.hypercalls = new Hypercalls(memory, synic, communication);
  }

  /// Messages and events between host and guest.
  public Synic synic() {
    return synic;
  }

  /// The leaves to add to the CPUID table of a partition, or to replace in it.
  ///
  /// @param base the leaves the partition's processors have without a hypervisor. If its leaf
  ///     0x80000007 tells of an invariant TSC, control of that is offered too
  /// @param processorCount virtual processors of the partition
  /// @throws IllegalArgumentException if leaf 1 is missing
  public static List<CpuidTable.Leaf> cpuidLeaves(CpuidTable base, int processorCount) {
    return HypervisorLeaves.of(base, processorCount);
  }

  /// Handles an intercept if it belongs to the guest interface.
  ///
  /// @return whether it did; then nobody else is to handle it, even if it was refused
  public boolean handle(VirtualProcessor processor, Intercept intercept) {
    return switch (intercept) {
      case Intercept.MsrRead read -> handleMsrRead(processor, read);
      case Intercept.MsrWrite write -> handleMsrWrite(processor, write);
      case Intercept.PortWrite write -> handlePortWrite(processor, write);
      default -> false;
    };
  }

  /// Handles `RDMSR`; unanswered, it faults.
  ///
  /// @return whether the register belongs to the guest interface
  public boolean handleMsrRead(VirtualProcessor processor, Intercept.MsrRead read) {
    int index = read.index;
    if (index < SyntheticMsr.FIRST || index > SyntheticMsr.LAST) {
      return false;
    }
    if (!offered(index)) {
      return true;
    }
    if (isSource(index)) {
      read.answer(synic.processor(processor.index()).read(index));
      return true;
    }
    if (isTimer(index)) {
      read.answer(synic.processor(processor.index()).timers().read(index));
      return true;
    }
    switch (index) {
      case SyntheticMsr.VP_INDEX -> read.answer(processor.index());
      case SyntheticMsr.TIME_REF_COUNT -> read.answer(time.at(processor.readTsc()));
      case SyntheticMsr.TSC_FREQUENCY -> read.answer(partition.configuration().tscFrequency());
      case SyntheticMsr.APIC_FREQUENCY -> read.answer(apicFrequency);
      case SyntheticMsr.SCONTROL,
          SyntheticMsr.SVERSION,
          SyntheticMsr.SIEFP,
          SyntheticMsr.SIMP,
          SyntheticMsr.EOM ->
          read.answer(synic.processor(processor.index()).read(index));
      // Reading tells what a guest may ask for.
      case SyntheticMsr.CRASH_CTL -> read.answer(CRASH_NOTIFY | CRASH_MESSAGE);
      default -> {
        lock.lock();
        try {
          read.answer(
              switch (index) {
                case SyntheticMsr.GUEST_OS_ID -> guestOsId;
                case SyntheticMsr.HYPERCALL -> hypercall;
                case SyntheticMsr.REFERENCE_TSC -> referenceTsc;
                case SyntheticMsr.VP_ASSIST_PAGE -> vpAssistPages[processor.index()];
                case SyntheticMsr.TSC_INVARIANT_CONTROL -> tscInvariantControl;
                default -> crashParameters[index - SyntheticMsr.CRASH_P0];
              });
        } finally {
          lock.unlock();
        }
      }
    }
    return true;
  }

  /// Handles `WRMSR`; what is not accepted faults.
  ///
  /// @return whether the register belongs to the guest interface
  public boolean handleMsrWrite(VirtualProcessor processor, Intercept.MsrWrite write) {
    int index = write.index;
    if (index < SyntheticMsr.FIRST || index > SyntheticMsr.LAST) {
      return false;
    }
    if (!offered(index)) {
      return true;
    }
    // What a processor has of its own needs no lock of the partition's.
    if (isSource(index) || index >= SyntheticMsr.SCONTROL && index <= SyntheticMsr.EOM) {
      if (synic.processor(processor.index()).write(index, write.value)) {
        write.accept();
      }
      return true;
    }
    if (isTimer(index)) {
      if (synic.processor(processor.index()).timers().write(index, write.value)) {
        write.accept();
      }
      return true;
    }
    GuestCrash crash = null;
    boolean wentOn = false;
    lock.lock();
    try {
      boolean accepted =
          switch (index) {
            case SyntheticMsr.GUEST_OS_ID -> writeGuestOsId(write.value);
            case SyntheticMsr.HYPERCALL -> writeHypercall(write.value);
            case SyntheticMsr.REFERENCE_TSC -> writeReferenceTsc(write.value);
            case SyntheticMsr.VP_ASSIST_PAGE -> writeVpAssistPage(processor.index(), write.value);
            case SyntheticMsr.TSC_INVARIANT_CONTROL -> writeTscInvariantControl(write.value);
            case SyntheticMsr.CRASH_CTL -> true;
            case SyntheticMsr.VP_INDEX,
                SyntheticMsr.TIME_REF_COUNT,
                SyntheticMsr.TSC_FREQUENCY,
                SyntheticMsr.APIC_FREQUENCY ->
                false;
            default -> {
              crashParameters[index - SyntheticMsr.CRASH_P0] = write.value;
              yield true;
            }
          };
      if (!accepted) {
        return true;
      }
      if (index == SyntheticMsr.CRASH_CTL
          && (write.value & CRASH_NOTIFY) != 0
          && crashReports < MOST_CRASH_REPORTS) {
        crashReports++;
        crashed = true;
        crash = crash(processor.index(), (write.value & CRASH_MESSAGE) != 0);
      }
      if (crashed && index == SyntheticMsr.GUEST_OS_ID && write.value == 0) {
        crashed = false;
        wentOn = true;
      }
    } finally {
      lock.unlock();
    }
    write.accept();
    if (crash != null) {
      report(crash);
    }
    if (wentOn) {
      crashListener.guestWentOn();
    }
    return true;
  }

  /// Handles `OUT`: hypercalls, while the hypercall page is enabled.
  ///
  /// @return whether it was one
  public boolean handlePortWrite(VirtualProcessor processor, Intercept.PortWrite write) {
    if ((write.port != Hypercalls.PORT && write.port != Hypercalls.FAST_SIGNAL_PORT)
        || write.size != Hypercalls.PORT_SIZE) {
      return false;
    }
    lock.lock();
    try {
      if ((hypercall & ENABLE) == 0) {
        return false;
      }
    } finally {
      lock.unlock();
    }
    if (!Hypercalls.allowed(processor)) {
      return false;
    }
    if (write.port == Hypercalls.PORT) {
      hypercalls.call(processor);
    } else {
      hypercalls.signalFast(processor);
    }
    return true;
  }

  private static boolean isSource(int index) {
    return index >= SyntheticMsr.SINT0 && index <= SyntheticMsr.SINT15;
  }

  private static boolean isTimer(int index) {
    return index >= SyntheticMsr.STIMER0_CONFIG && index <= SyntheticMsr.STIMER3_COUNT;
  }

  /// Whether the partition has the privilege or feature a register belongs to.
  private boolean offered(int index) {
    if (isSource(index)) {
      return privileged(HypervisorLeaves.ACCESS_SYNIC_REGS);
    }
    if (isTimer(index)) {
      return privileged(HypervisorLeaves.ACCESS_SYNTHETIC_TIMER_REGS);
    }
    return switch (index) {
      case SyntheticMsr.GUEST_OS_ID, SyntheticMsr.HYPERCALL ->
          privileged(HypervisorLeaves.ACCESS_HYPERCALL_MSRS);
      case SyntheticMsr.VP_INDEX -> privileged(HypervisorLeaves.ACCESS_VP_INDEX);
      // No privilege of its own; Linux writes it without asking.
      case SyntheticMsr.VP_ASSIST_PAGE -> privileged(HypervisorLeaves.ACCESS_HYPERCALL_MSRS);
      case SyntheticMsr.TIME_REF_COUNT ->
          privileged(HypervisorLeaves.ACCESS_PARTITION_REFERENCE_COUNTER);
      case SyntheticMsr.REFERENCE_TSC ->
          privileged(HypervisorLeaves.ACCESS_PARTITION_REFERENCE_TSC);
      case SyntheticMsr.TSC_FREQUENCY, SyntheticMsr.APIC_FREQUENCY ->
          privileged(HypervisorLeaves.ACCESS_FREQUENCY_MSRS)
              && (features & HypervisorLeaves.FREQUENCY_MSRS_AVAILABLE) != 0;
      case SyntheticMsr.SCONTROL,
          SyntheticMsr.SVERSION,
          SyntheticMsr.SIEFP,
          SyntheticMsr.SIMP,
          SyntheticMsr.EOM ->
          privileged(HypervisorLeaves.ACCESS_SYNIC_REGS);
      case SyntheticMsr.TSC_INVARIANT_CONTROL ->
          privileged(HypervisorLeaves.ACCESS_TSC_INVARIANT_CONTROLS);
      default ->
          index >= SyntheticMsr.CRASH_P0
              && index <= SyntheticMsr.CRASH_CTL
              && (features & HypervisorLeaves.GUEST_CRASH_MSRS_AVAILABLE) != 0;
    };
  }

  private boolean privileged(int bit) {
    return (privileges & bit) != 0;
  }

  private boolean writeGuestOsId(long value) {
    guestOsId = value;
    if (value == 0 && (hypercall & ENABLE) != 0) {
      hypercall &= ~ENABLE;
      overlays.remove(OverlayPages.Kind.HYPERCALL);
      showReferenceTime();
    }
    return true;
  }

  /// Refuses a write to a locked register, and a page outside of RAM: there is nothing else in
  /// this partition's address space that could hold an overlay.
  private boolean writeHypercall(long value) {
    if ((hypercall & LOCKED) != 0) {
      return false;
    }
    // Without an identity the bit stays clear, and nothing else is wrong.
    long accepted = guestOsId == 0 ? value & ~ENABLE : value;
    if ((accepted & ENABLE) != 0) {
      long address = accepted & PAGE_MASK;
      if (!overlays.possible(address)) {
        return false;
      }
      if ((hypercall & ENABLE) == 0 || (hypercall & PAGE_MASK) != address) {
        overlays.place(OverlayPages.Kind.HYPERCALL, address, Hypercalls.page());
      }
    } else {
      overlays.remove(OverlayPages.Kind.HYPERCALL);
    }
    showReferenceTime();
    hypercall = accepted;
    return true;
  }

  /// An address outside of RAM is no fault: the page is just not to be had there.
  private boolean writeReferenceTsc(long value) {
    long address = value & PAGE_MASK;
    if ((value & ENABLE) != 0 && overlays.possible(address)) {
      overlays.place(
          OverlayPages.Kind.REFERENCE_TSC, address, OverlayPages.page(new byte[0], (byte) 0));
    } else {
      overlays.remove(OverlayPages.Kind.REFERENCE_TSC);
    }
    showReferenceTime();
    referenceTsc = value;
    return true;
  }

  /// Fills the reference TSC page in, which comes empty ("not available") when it is laid over
  /// RAM or when an overlay above it leaves.
  private void showReferenceTime() {
    long page = overlays.visible(OverlayPages.Kind.REFERENCE_TSC);
    if (page >= 0) {
      time.writePage(memory, page);
    }
  }

  /// The page has nothing to say as long as no assist is offered; but its first field must not
  /// tell of one ("no EOI required") by what happened to be in RAM.
  private boolean writeVpAssistPage(int processor, long value) {
    if ((value & ENABLE) != 0) {
      long address = value & PAGE_MASK;
      if (!overlays.possible(address)) {
        return false;
      }
      memory.writeInt(address, 0);
    }
    vpAssistPages[processor] = value;
    return true;
  }

  private boolean writeTscInvariantControl(long value) {
    if ((value & ~1L) != 0) {
      return false;
    }
    tscInvariantControl = value;
    return true;
  }

  private GuestCrash crash(int processor, boolean withMessage) {
    return new GuestCrash(
        processor,
        guestOsId,
        crashParameters[0],
        crashParameters[1],
        crashParameters[2],
        crashParameters[3],
        crashParameters[4],
        withMessage ? crashMessage(crashParameters[3], crashParameters[4]) : "");
  }

  private String crashMessage(long address, long size) {
    int length =
        Long.compareUnsigned(size, LONGEST_CRASH_MESSAGE) > 0 ? LONGEST_CRASH_MESSAGE : (int) size;
    if (!memory.contains(address, length)) {
      return "";
    }
    var text = new String(memory.read(address, length), StandardCharsets.UTF_8);
    var clean = new StringBuilder(text.length());
    text.codePoints()
        .map(c -> Character.isISOControl(c) && c != '\n' && c != '\t' ? '.' : c)
        .forEach(clean::appendCodePoint);
    return clean.toString();
  }

  private void report(GuestCrash crash) {
    // The listener tells the operator.
    LOG.log(
        System.Logger.Level.INFO,
        "the guest crashed on processor {0}: {1}{2}",
        Integer.toString(crash.processorIndex()),
        "P0 0x%x, P1 0x%x, P2 0x%x, P3 0x%x, P4 0x%x"
            .formatted(crash.p0(), crash.p1(), crash.p2(), crash.p3(), crash.p4()),
        crash.message().isEmpty() ? "" : System.lineSeparator() + crash.message());
    crashListener.guestCrashed(crash);
  }

  private long readTsc() {
    return partition.processors().getFirst().readTsc();
  }

  /// The reference time now, in units of 100 ns since the partition was made. Any thread.
  public long referenceTime() {
    return time.at(readTsc());
  }

  /// What the guest and the host said so far, by name: `hypercalls.post-message`,
  /// `synic.interrupts` and the like. Any thread.
  public Map<String, Long> counters() {
    var counters = new TreeMap<String, Long>();
    hypercalls.addTo(counters);
    synic.addTo(counters);
    return counters;
  }

  /// Back to the state of a partition just made, but for the reference time, which goes on. No
  /// processor may run.
  public void reset() {
    for (int i = 0; i < vpAssistPages.length; i++) {
      synic.processor(i).reset();
    }
    lock.lock();
    try {
      overlays.remove(OverlayPages.Kind.HYPERCALL);
      overlays.remove(OverlayPages.Kind.REFERENCE_TSC);
      guestOsId = 0;
      hypercall = 0;
      referenceTsc = 0;
      tscInvariantControl = 0;
      crashReports = 0;
      crashed = false;
      Arrays.fill(crashParameters, 0);
      Arrays.fill(vpAssistPages, 0);
    } finally {
      lock.unlock();
    }
  }

  /// No synthetic timer expires any more. Idempotent; to be called before the partition's memory is
  /// closed.
  @Override
  public void close() {
    for (int i = 0; i < vpAssistPages.length; i++) {
      synic.processor(i).timers().close();
    }
  }

  /// All state. No processor may run.
  public EnlightenmentState state() {
    lock.lock();
    try {
      var clock = time.state(readTsc());
      var pages = overlays.state();
      var parameters = new ArrayList<Long>();
      for (long parameter : crashParameters) {
        parameters.add(parameter);
      }
      var processors = new ArrayList<EnlightenmentState.Processor>();
      for (int i = 0; i < vpAssistPages.length; i++) {
        processors.add(
            new EnlightenmentState.Processor(vpAssistPages[i], synic.processor(i).state()));
      }
      return new EnlightenmentState(
          guestOsId,
          hypercall,
          referenceTsc,
          clock.count(),
          clock.sequence(),
          tscInvariantControl,
          parameters,
          crashReports,
          pages.placed().stream()
              .map(
                  p ->
                      new EnlightenmentState.Overlay(
                          p.kind().name(), new EnlightenmentState.Page(p.address(), p.contents())))
              .toList(),
          pages.below().stream()
              .map(b -> new EnlightenmentState.Page(b.address(), b.contents()))
              .toList(),
          processors);
    } finally {
      lock.unlock();
    }
  }

  /// Replaces all state. Guest RAM and the processors' time stamp counters must have been restored
  /// before. No processor may run.
  ///
  /// @throws IllegalArgumentException if the state is of another kind of partition
  public void restore(EnlightenmentState state) {
    if (state.processors().size() != vpAssistPages.length) {
      throw new IllegalArgumentException(
          "saved state of %d processors, but the partition has %d"
              .formatted(state.processors().size(), vpAssistPages.length));
    }
    for (int i = 0; i < vpAssistPages.length; i++) {
      synic.processor(i).check(state.processors().get(i).synic());
    }
    lock.lock();
    try {
      overlays.restore(
          new OverlayPages.State(
              state.overlays().stream()
                  .map(
                      o ->
                          new OverlayPages.Placed(
                              OverlayPages.Kind.valueOf(o.kind()),
                              o.page().address(),
                              o.page().contents()))
                  .toList(),
              state.covered().stream()
                  .map(c -> new OverlayPages.Below(c.address(), c.contents()))
                  .toList()));
      guestOsId = state.guestOsId();
      hypercall = state.hypercall();
      referenceTsc = state.referenceTsc();
      tscInvariantControl = state.tscInvariantControl();
      crashReports = state.crashReports();
      for (int i = 0; i < crashParameters.length; i++) {
        crashParameters[i] = state.crashParameters().get(i);
      }
      for (int i = 0; i < vpAssistPages.length; i++) {
        vpAssistPages[i] = state.processors().get(i).vpAssistPage();
      }
      time.restore(new ReferenceTime.State(state.referenceCount(), state.tscSequence()), readTsc());
      showReferenceTime();
    } finally {
      lock.unlock();
    }
    for (int i = 0; i < vpAssistPages.length; i++) {
      synic.processor(i).restore(state.processors().get(i).synic());
    }
  }
}
