package dev.partita.worker;

import dev.partita.chipset.Motherboard;
import dev.partita.chipset.MotherboardConfiguration;
import dev.partita.chipset.acpi.MmioWindow;
import dev.partita.chipset.apic.LocalApics;
import dev.partita.chipset.boot.BootException;
import dev.partita.chipset.boot.BootOptions;
import dev.partita.chipset.boot.DirectBoot;
import dev.partita.chipset.boot.InitialState;
import dev.partita.chipset.boot.KernelImage;
import dev.partita.chipset.device.SerialPort;
import dev.partita.chipset.power.PowerListener;
import dev.partita.enlightenment.Enlightenment;
import dev.partita.enlightenment.GuestCrash;
import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.PartitionException;
import dev.partita.hypervisor.RunExit;
import dev.partita.hypervisor.TimeSource;
import dev.partita.hypervisor.VirtualProcessor;
import dev.partita.synthetic.storage.DiskThreads;
import dev.partita.synthetic.storage.ScsiController;
import dev.partita.vmbus.Vmbus;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// The machine made of the engine, the motherboard and the guest interface, with a kernel loaded.
/// Each virtual processor has a platform thread.
final class VirtualMachine implements Machine {
  private static final System.Logger LOG = System.getLogger(VirtualMachine.class.getName());

  /// Random bytes for the guest kernel's generator: as many as Linux wants to be seeded.
  private static final int SEED_SIZE = 32;

  /// CPUID leaf 1, whose EAX is the processor's signature.
  private static final int SIGNATURE_LEAF = 1;

  /// How long the processors may take to stop before it is called a defect.
  private static final long STOP_MILLIS = 10_000;

  /// The instance of the first SCSI controller of Hyper-V's machines.
  private static final UUID STORAGE = UUID.fromString("f8b3781a-1e82-4818-a1c3-63d806ec15bb");

  private final PartitionSettings settings;
  private final Console console;
  private final Drives drives;
  private final Adapters adapters;
  private final Events events;
  private final TimeSource time;
  private final GuestMemory memory;
  private final Partition partition;
  private final Motherboard board;
  private final Enlightenment enlightenment;
  private final Vmbus bus;
  private final CrashWatch crashes;
  private final DiskThreads diskThreads;
  private final ScsiController storage;
  private final GuestServices services;
  private final InterceptSwitch intercepts;
  private final ConsoleFeeder feeder;
  private final List<Thread> threads = new ArrayList<>();
  private long startNanos;
  private volatile boolean closing;
  private volatile @Nullable Statistics last;

  /// Makes the machine and loads the kernel.
  ///
  /// @param clocks makes this machine's clock, which is closed with it, and its timers with that
  /// @throws PartitionException if it cannot be made, or the kernel is none
  VirtualMachine(
      PartitionSettings settings,
      Console console,
      Drives drives,
      Adapters adapters,
      Supplier<TimeSource> clocks,
      Events events) {
    this.settings = settings;
    this.console = console;
    this.drives = drives;
    this.adapters = adapters;
    this.events = events;
    var engine = Engines.named(settings.engine()).engine();
    // Before anything is taken: this is what fails.
    @Nullable KernelImage kernel = readKernel();
    time = clocks.get();
    GuestMemory ram = null;
    Partition made = null;
    try {
      ram = new GuestMemory(settings.memory());
      made =
          engine.createPartition(
              new PartitionConfiguration(
                  settings.processors(),
                  ram,
                  cpuid(engine.supportedCpuid()),
                  engine.tscFrequency(),
                  time,
                  LocalApics::new));
      memory = ram;
      partition = made;
      board =
          new Motherboard(
              partition,
              new MotherboardConfiguration(
                  Map.of(SerialPort.COM1, console::transmit), List.of(MmioWindow.LOW), true),
              new Power());
      load(kernel);
      kernel = null;
      enlightenment = new Enlightenment(partition, LocalApics.APIC_FREQUENCY, new Crashes());
      bus = Vmbus.connect(memory, enlightenment.synic());
      crashes = new CrashWatch(time, bus::packetsReceived, events);
      services = new GuestServices(settings.name(), time, enlightenment::referenceTime);
      services.attach(bus);
      diskThreads = new DiskThreads(settings.processors());
      storage = new ScsiController(STORAGE, settings.processors() - 1, diskThreads);
      drives.connect(storage);
      bus.attach(storage);
      adapters.connect(bus);
      intercepts = new InterceptSwitch(board, enlightenment, events, settings.processors());
      feeder = new ConsoleFeeder(console, board.serialPort(SerialPort.COM1));
      // The kernel's file and what it was unpacked to are garbage now, ten times what lives: given
      // back to the host before the guest begins. Some milliseconds.
      System.gc();
    } catch (RuntimeException | Error e) {
      if (made != null) {
        made.close();
      }
      if (ram != null) {
        ram.close();
      }
      time.close();
      throw e;
    }
  }

  private CpuidTable cpuid(CpuidTable supported) {
    return supported.with(Enlightenment.cpuidLeaves(supported, settings.processors()));
  }

  private KernelImage readKernel() {
    Files.requireReadable(settings.kernel());
    try {
      return KernelImage.read(settings.kernel(), settings.memory());
    } catch (BootException e) {
      throw refused(e);
    }
  }

  private PartitionException refused(BootException e) {
    var message = String.valueOf(e.getMessage());
    var file = settings.kernel().toString();
    return new PartitionException(message.contains(file) ? message : file + ": " + message, e);
  }

  private void load(KernelImage kernel) {
    var tables = board.acpiTables();
    memory.write(tables.address(), tables.bytes());
    var seed = new byte[SEED_SIZE];
    new SecureRandom().nextBytes(seed);
    var options =
        BootOptions.of(settings.commandLine()).withRsdp(tables.rsdp()).withRandomSeed(seed);
    try (var arena = Arena.ofConfined()) {
      if (settings.initrd() != null) {
        options = options.withInitrd(map(settings.initrd(), arena));
      }
      var loaded = DirectBoot.load(kernel, options, memory);
      var signature = partition.configuration().cpuid().find(SIGNATURE_LEAF, 0);
      for (var processor : partition.processors()) {
        processor.setState(
            processor.index() == 0
                ? loaded.bootProcessor()
                : InitialState.waitForStartup(signature == null ? 0 : signature.eax()));
      }
    } catch (BootException e) {
      throw refused(e);
    }
  }

  private static MemorySegment map(Path initrd, Arena arena) {
    Files.requireReadable(initrd);
    try (var channel = FileChannel.open(initrd)) {
      return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    } catch (IOException e) {
      throw new PartitionException(initrd + ": " + e.getMessage(), e);
    }
  }

  /// What the operator is told of a file that cannot be used.
  private static final class Files {
    static void requireReadable(Path file) {
      if (!java.nio.file.Files.exists(file)) {
        throw new PartitionException(file + ": no such file");
      }
      if (!java.nio.file.Files.isRegularFile(file)) {
        throw new PartitionException(file + ": not a regular file");
      }
      if (!java.nio.file.Files.isReadable(file)) {
        throw new PartitionException(file + ": permission denied");
      }
    }
  }

  @Override
  public void start() {
    startNanos = System.nanoTime();
    board.start();
    feeder.start();
    for (var processor : partition.processors()) {
      threads.add(
          Thread.ofPlatform()
              .name("partita-vp-" + processor.index())
              .daemon()
              .start(() -> run(processor)));
    }
  }

  private void run(VirtualProcessor processor) {
    try {
      while (!closing) {
        if (processor.run(intercepts) == RunExit.SHUTDOWN) {
          return;
        }
      }
    } catch (RuntimeException | Error e) {
      LOG.log(System.Logger.Level.ERROR, "virtual processor " + processor.index(), e);
      events.failed(e.toString(), List.of());
    }
  }

  private final class Crashes implements GuestCrash.Listener {
    @Override
    public void guestCrashed(GuestCrash crash) {
      crashes.reported(crash);
    }

    @Override
    public void guestWentOn() {
      crashes.wentOn();
    }
  }

  /// What the guest does to the machine's power. It is called in the middle of an instruction; the
  /// processor stops when the machine is closed.
  private final class Power implements PowerListener {
    @Override
    public void poweredOff() {
      if (!crashes.endIfCrashed()) {
        events.poweredOff();
      }
    }

    @Override
    public void resetRequested(ResetCause cause) {
      if (!crashes.endIfCrashed()) {
        events.reset();
      }
    }
  }

  @Override
  public GuestServices services() {
    return services;
  }

  @Override
  public Statistics statistics() {
    var ended = last;
    return ended != null ? ended : count(0, 0);
  }

  private Statistics count(long residentBeyondRam, long residentRam) {
    long instructions = 0;
    Map<String, Long> counters = new TreeMap<>();
    for (var processor : partition.processors()) {
      instructions += processor.instructionCount();
      processor
          .counters()
          .forEach(
              (name, value) ->
                  counters.merge(
                      "engine." + name.toLowerCase(Locale.ROOT).replace(' ', '-'),
                      value,
                      Long::sum));
    }
    counters.putAll(enlightenment.counters());
    counters.putAll(bus.counters());
    intercepts.counts().forEach((cause, value) -> counters.put("exits." + cause, value));
    return new Statistics(
        instructions,
        startNanos == 0 ? 0 : System.nanoTime() - startNanos,
        counters,
        residentBeyondRam,
        residentRam);
  }

  @Override
  public void close() {
    if (closing) {
      return;
    }
    closing = true;
    // A processor may be waiting for whoever reads the console.
    console.interruptGuest(true);
    partition.processors().forEach(VirtualProcessor::cancel);
    board.close();
    feeder.close();
    boolean stopped = joinProcessors();
    if (settings.measured()) {
      var resident = ResidentMemory.measure(memory.segment());
      last = count(resident.rest(), resident.guestRam());
    } else {
      last = count(0, 0);
    }
    bus.close();
    drives.disconnect(storage);
    adapters.disconnect(bus);
    diskThreads.close();
    enlightenment.close();
    partition.close();
    time.close();
    // Unmapping under a running processor or a disk's transfer would take the whole process down.
    if (!stopped) {
      LOG.log(System.Logger.Level.ERROR, "a virtual processor does not stop; its RAM stays mapped");
    } else if (storage.underWay() > 0) {
      LOG.log(System.Logger.Level.ERROR, "a disk does not answer; the guest's RAM stays mapped");
    } else {
      memory.close();
    }
  }

  private boolean joinProcessors() {
    boolean interrupted = false;
    boolean all = true;
    long deadline = System.nanoTime() + STOP_MILLIS * 1_000_000L;
    for (var thread : threads) {
      while (thread.isAlive() && System.nanoTime() < deadline) {
        try {
          thread.join(Math.max(1, (deadline - System.nanoTime()) / 1_000_000L));
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      all &= !thread.isAlive();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return all;
  }
}
