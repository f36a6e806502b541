package dev.partita.engine.kvm;

import dev.partita.chipset.apic.LocalApics;
import dev.partita.enlightenment.Enlightenment;
import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Events;
import dev.partita.hypervisor.ProcessorState.Segment;
import dev.partita.hypervisor.ProcessorState.Table;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.hypervisor.TimeSource;
import dev.partita.hypervisor.VirtualProcessor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/// A partition for small test guests, the same on every engine: RAM at its own linear addresses,
/// descriptor tables, an interrupt table whose handlers tell their vector at a port, and a record
/// of all intercepts.
///
/// | linear | physical | what |
/// |---|---|---|
/// | 0 to 2 MiB | the same | RAM, for user mode too |
/// | 2 to 4 MiB | 0xE0000000 | nothing: MMIO |
/// | 4 to 6 MiB | 0xFEE00000 | the local APIC |
final class TestMachine implements AutoCloseable {
  static final long CODE = 0x8000;
  static final long HANDLERS = 0x1_0000;
  static final long DATA = 0x2_0000;
  static final long STACK = 0x7000;
  static final long MMIO = 0x20_0000;
  static final long MMIO_PHYSICAL = 0xE000_0000L;
  static final long APIC = 0x40_0000;

  /// The guest writes here to end a run.
  static final int END = 0xF4;

  /// Handlers of the interrupt table write their vector here, as 4 bytes.
  static final int VECTOR = 0xF0;

  static final int CODE64 = 0x08;
  static final int DATA0 = 0x10;
  static final int USER_DATA = 0x1B;
  static final int USER_CODE64 = 0x23;
  static final int TASK = 0x28;

  private static final long PML4 = 0x1000;
  private static final long PDPT = 0x2000;
  static final long PAGE_DIRECTORY = 0x3000;
  private static final long GDT = 0x4000;
  private static final long TSS = 0x5000;
  private static final long IDT = 0x6000;
  private static final long KERNEL_STACK = 0x1_F000;

  /// Of the local APIC's timers, in hertz: whatever, for no guest here asks.
  private static final long APIC_FREQUENCY = 200_000_000;

  private static final long LIMIT_MILLIS = 60_000;

  final TimeSource time;
  final GuestMemory memory;
  final Partition partition;

  /// All intercepts in order, but for ends.
  final List<String> log = Collections.synchronizedList(new ArrayList<>());

  final Map<Integer, Integer> ports = new HashMap<>();
  final Map<Integer, Long> msrs = new HashMap<>();
  long mmioAnswer = 0x1122_3344_5566_7788L;
  int externalVector = -1;
  volatile Intercept.@Nullable Shutdown shutdown;

  /// Called first for each intercept.
  @Nullable Hook hook;

  /// Answers what is its own, which is not in the log.
  @Nullable Enlightenment enlightenment;

  interface Hook {
    void saw(VirtualProcessor processor, Intercept intercept);
  }

  TestMachine(Engine engine) {
    this(engine, 1, List.of());
  }

  TestMachine(Engine engine, int processors, Collection<CpuidTable.Leaf> leaves) {
    this(engine, processors, engine.supportedCpuid().with(leaves), new GuestMemory(4 << 20));
  }

  /// @param memory is closed with this machine
  TestMachine(Engine engine, int processors, CpuidTable cpuid, GuestMemory memory) {
    this.memory = memory;
    time = new SystemTimeSource();
    partition =
        engine.createPartition(
            new PartitionConfiguration(
                processors, memory, cpuid, engine.tscFrequency(), time, LocalApics::new));
    layOut();
  }

  /// A machine with the Hyper-V interface.
  static TestMachine enlightened(Engine engine, int processors, CpuidTable base) {
    var leaves = base.with(Enlightenment.cpuidLeaves(base, processors));
    var machine = new TestMachine(engine, processors, leaves, new GuestMemory(4 << 20));
    machine.enlightenment = new Enlightenment(machine.partition, APIC_FREQUENCY, _ -> {});
    return machine;
  }

  Enlightenment enlightenment() {
    return Objects.requireNonNull(enlightenment);
  }

  VirtualProcessor processor() {
    return partition.processors().getFirst();
  }

  private void layOut() {
    memory.writeLong(PML4, PDPT | 7);
    memory.writeLong(PDPT, PAGE_DIRECTORY | 7);
    memory.writeLong(PAGE_DIRECTORY, 0x87);
    // Not cached: present, writable, large, PCD.
    memory.writeLong(PAGE_DIRECTORY + 8, MMIO_PHYSICAL | 0x93);
    memory.writeLong(PAGE_DIRECTORY + 16, 0xFEE0_0000L | 0x93);
    memory.writeLong(GDT + CODE64, 0x00AF_9B00_0000_FFFFL);
    memory.writeLong(GDT + DATA0, 0x00CF_9300_0000_FFFFL);
    memory.writeLong(GDT + (USER_DATA & ~7), 0x00CF_F300_0000_FFFFL);
    memory.writeLong(GDT + (USER_CODE64 & ~7), 0x00AF_FB00_0000_FFFFL);
    memory.writeLong(GDT + TASK, 0x0000_8B00_0000_0067L | TSS << 16);
    memory.writeLong(TSS + 4, KERNEL_STACK);
    memory.writeShort(TSS + 102, (short) 0x68);
    for (int vector = 0; vector < 256; vector++) {
      // push rax; mov eax, vector; out VECTOR, eax; pop rax
      // Device vectors end their interrupt: mov dword [APIC + 0xB0], 0
      // They and NMI return: iretq. Others end the run: out END, al; hlt
      var number = HexFormat.of().toHexDigits(Integer.reverseBytes(vector));
      var handler =
          "50 B8"
              + number
              + "E7F0 58"
              + (vector >= 32 && vector != 0x80 ? "C70425 B0004000 00000000" : "")
              + (vector >= 32 && vector != 0x80 || vector == 2 ? "48CF" : "E6F4 F4");
      long at = HANDLERS + 32L * vector;
      code(at, handler);
      handler(vector, at);
    }
  }

  /// Sets where a vector's handler is, for user mode's INT too.
  TestMachine handler(int vector, long address) {
    memory.writeLong(
        IDT + 16L * vector,
        address & 0xFFFF | (long) CODE64 << 16 | 0xEEL << 40 | (address & 0xFFFF_0000L) << 32);
    return this;
  }

  /// Puts code at an address.
  ///
  /// @param hex bytes; blanks are skipped
  TestMachine code(long address, String hex) {
    memory.write(address, HexFormat.of().parseHex(hex.replaceAll("\\s", "")));
    return this;
  }

  /// Puts the boot processor into 64-bit mode at level 0, about to run at {@link #CODE}.
  TestMachine longMode(String hex) {
    code(CODE, hex);
    processor().setState(longModeState());
    return this;
  }

  static ProcessorState longModeState() {
    return at(CODE, STACK);
  }

  /// 64-bit mode at level 0.
  static ProcessorState at(long code, long stack) {
    var general = new long[16];
    general[ProcessorState.RSP] = stack;
    var data = new Segment(DATA0, 0, -1, 0xC093);
    var xsave = ByteBuffer.allocate(ProcessorState.XSAVE_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    xsave.putShort(0, (short) 0x37F);
    xsave.putInt(24, 0x1F80);
    xsave.putLong(512, 3);
    return new ProcessorState(
        general,
        code,
        2,
        data,
        new Segment(CODE64, 0, -1, 0xA09B),
        data,
        data,
        data,
        data,
        new Segment(0, 0, 0, Segment.UNUSABLE),
        new Segment(TASK, TSS, 0x67, 0x8B),
        new Table(GDT, 0x37),
        new Table(IDT, 0xFFF),
        0x8000_0033L, // PG, NE, ET, MP, PE
        0,
        PML4,
        0x620, // OSXMMEXCPT, OSFXSR, PAE
        0x501, // LMA, LME, SCE
        1,
        new long[] {0, 0, 0, 0, 0xFFFF_0FF0L, 0x400},
        xsave.array(),
        List.of(),
        0,
        Events.NONE,
        null);
  }

  /// Runs the boot processor until the guest ends the run.
  RunExit run() {
    return run(processor());
  }

  /// Runs a processor, on a thread of its own, until the guest ends the run; fails if it does not.
  RunExit run(VirtualProcessor processor) {
    return start(processor).join();
  }

  /// Lets a processor run on a thread of its own.
  Runner start(VirtualProcessor processor) {
    return new Runner(processor);
  }

  final class Runner {
    private final AtomicReference<@Nullable RunExit> exit = new AtomicReference<>();
    private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    private final Thread thread;
    private final VirtualProcessor processor;

    private Runner(VirtualProcessor processor) {
      this.processor = processor;
      thread =
          Thread.ofPlatform()
              .name("test-vp-" + processor.index())
              .daemon()
              .start(
                  () -> {
                    try {
                      exit.set(processor.run(TestMachine.this::handle));
                    } catch (Throwable e) {
                      failure.set(e);
                    }
                  });
    }

    /// Waits for the run's end.
    RunExit join() {
      try {
        thread.join(LIMIT_MILLIS);
        if (thread.isAlive()) {
          processor.cancel();
          thread.join(LIMIT_MILLIS);
          throw new AssertionError("the guest does not end; so far: " + log);
        }
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      var failed = failure.get();
      if (failed != null) {
        throw new AssertionError(failed);
      }
      var ended = exit.get();
      if (ended == null) {
        throw new AssertionError("no result");
      }
      return ended;
    }
  }

  private void handle(VirtualProcessor processor, Intercept intercept) {
    var h = hook;
    if (h != null) {
      h.saw(processor, intercept);
    }
    var e = enlightenment;
    if (e != null && e.handle(processor, intercept)) {
      return;
    }
    switch (intercept) {
      case Intercept.PortRead r -> {
        log.add("in %x/%d".formatted(r.port, r.size));
        r.value = ports.getOrDefault(r.port, -1);
      }
      case Intercept.PortWrite w -> {
        if (w.port == END) {
          processor.cancel();
        } else if (w.port == VECTOR) {
          log.add("vector %x".formatted(w.value));
        } else {
          log.add("out %x/%d=%x".formatted(w.port, w.size, w.value));
        }
      }
      case Intercept.MmioRead r -> {
        log.add("read %x/%d".formatted(r.address, r.size));
        r.value = mmioAnswer;
      }
      case Intercept.MmioWrite w -> log.add("write %x/%d=%x".formatted(w.address, w.size, w.value));
      case Intercept.MsrRead r -> {
        log.add("rdmsr %x".formatted(r.index));
        var value = msrs.get(r.index);
        if (value != null) {
          r.answer(value);
        }
      }
      case Intercept.MsrWrite w -> {
        log.add("wrmsr %x=%x".formatted(w.index, w.value));
        if (msrs.containsKey(w.index)) {
          msrs.put(w.index, w.value);
          w.accept();
        }
      }
      case Intercept.ExternalInterrupt interrupt -> {
        log.add("acknowledge");
        interrupt.vector = externalVector;
        partition.setExternalInterrupt(false);
      }
      case Intercept.EndOfInterrupt end -> log.add("end of %x".formatted(end.vector));
      case Intercept.Halt _ -> {}
      case Intercept.Shutdown s -> shutdown = s;
    }
  }

  @Override
  public void close() {
    if (enlightenment != null) {
      enlightenment.close();
    }
    partition.close();
    time.close();
    memory.close();
  }
}
