package dev.partita.enlightenment;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.CpuidTable.Leaf;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Function;

/// A partition whose guest is the test: it reads CPUID, MSRs and memory, and writes them.
final class Guest implements Partition {
  static final long APIC_FREQUENCY = 200_000_000;

  final ManualTimeSource time = new ManualTimeSource(0);
  final List<GuestProcessor> processors = new ArrayList<>();
  final List<GuestCrash> crashes = new ArrayList<>();
  int wentOn;
  final List<Interrupt> interrupts = new ArrayList<>();
  final PartitionConfiguration configuration;
  Enlightenment enlightenment;

  Guest(int processorCount, long tscFrequency) {
    this(processorCount, tscFrequency, base -> Enlightenment.cpuidLeaves(base, processorCount));
  }

  Guest(int processorCount, long tscFrequency, Function<CpuidTable, List<Leaf>> leaves) {
    var base = base(true);
    configuration =
        new PartitionConfiguration(
            processorCount,
            new GuestMemory(4 << 20),
            base.with(leaves.apply(base)),
            tscFrequency,
            time,
            partition -> {
              throw new UnsupportedOperationException("the engine has local APICs");
            });
    for (int i = 0; i < processorCount; i++) {
      processors.add(new GuestProcessor(i, time, tscFrequency));
    }
    enlightenment =
        new Enlightenment(
            this,
            APIC_FREQUENCY,
            new GuestCrash.Listener() {
              @Override
              public void guestCrashed(GuestCrash crash) {
                crashes.add(crash);
              }

              @Override
              public void guestWentOn() {
                wentOn++;
              }
            });
  }

  /// What a processor has without a hypervisor.
  static CpuidTable base(boolean invariantTsc) {
    return new CpuidTable(
        List.of(
            new Leaf(0, -1, 7, 0, 0, 0),
            new Leaf(1, -1, 0x306F2, 0x800, 0x1234, 0x5678),
            new Leaf(0x8000_0007, -1, 0, 0, 0, invariantTsc ? 0x100 : 0),
            new Leaf(0x8000_0008, -1, 0x3028, 0, 0, 0)));
  }

  Leaf cpuid(int function) {
    var leaf = configuration.cpuid().find(function, 0);
    if (leaf == null) {
      throw new AssertionError("no leaf 0x%x".formatted(function));
    }
    return leaf;
  }

  /// `RDMSR`; empty is a general-protection fault.
  OptionalLong rdmsr(int processor, int index) {
    var read = new Intercept.MsrRead().prepare(index);
    enlightenment.handle(processors.get(processor), read);
    return read.handled ? OptionalLong.of(read.value) : OptionalLong.empty();
  }

  long rdmsr(int index) {
    return rdmsr(0, index).orElseThrow();
  }

  /// `WRMSR`; false is a general-protection fault.
  boolean wrmsr(int processor, int index, long value) {
    var write = new Intercept.MsrWrite().prepare(index, value);
    enlightenment.handle(processors.get(processor), write);
    return write.handled;
  }

  boolean wrmsr(int index, long value) {
    return wrmsr(0, index, value);
  }

  boolean out(int port, int size) {
    return enlightenment.handle(
        processors.getFirst(), new Intercept.PortWrite().prepare(port, size, 0));
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

  @Override
  public void signalMsi(long address, int data) {
    interrupts.add(new Interrupt(address, data));
  }

  /// Takes what has been raised since the last call.
  List<Interrupt> takeInterrupts() {
    var taken = List.copyOf(interrupts);
    interrupts.clear();
    return taken;
  }

  /// A message-signalled interrupt.
  record Interrupt(long address, int data) {
    /// A fixed, edge-triggered interrupt of one processor.
    static Interrupt of(int processor, int vector) {
      return new Interrupt(0xFEE0_0000L + processor * 0x1000L, vector);
    }
  }

  /// A hypercall as 64-bit code makes it through the page.
  long hypercall(long control, long input) {
    var general = processors.getFirst().general;
    general[ProcessorState.RCX] = control;
    general[ProcessorState.RDX] = input;
    general[ProcessorState.RAX] = -1;
    if (!out(0xE0, 4)) {
      throw new AssertionError("no hypercall page");
    }
    return general[ProcessorState.RAX];
  }

  @Override
  public void setExternalInterrupt(boolean asserted) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {
    configuration.memory().close();
  }
}
