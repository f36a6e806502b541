package dev.partita.benchmarks;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.hypervisor.VirtualProcessor;
import dev.partita.worker.Engines;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Counts exits a second of small guests on KVM, from Java through the engine's contract and from a
/// C program that has the same guest in a bare loop around KVM_RUN, in turn.
@Command(
    name = "exits",
    description = {
      "Exits a second on KVM: from Java, and from a loop in C around the same guest, in turn. A"
          + " second is one of the processor's thread, so that other work on the host matters less."
          + " The best of all rounds counts."
    },
    mixinStandardHelpOptions = true)
final class ExitsBenchmark implements Callable<Integer> {
  // Names of threads.
  private static final String PROCESSOR = "exits-vp";
  private static final String DOORBELLS = "partita-doorbells";

  @Option(
      names = {"-n", "--rounds"},
      defaultValue = "5",
      description = "Runs of each (default: ${DEFAULT-VALUE}).")
  private int rounds;

  @Option(
      names = "--seconds",
      defaultValue = "1",
      description = "Length of a run (default: ${DEFAULT-VALUE}).")
  private double seconds;

  @Override
  public Integer call() throws IOException, InterruptedException {
    var device = Engines.kvmDevice();
    if (!Files.exists(device)) {
      throw new IOException("this host has no " + device + ": nothing to measure");
    }
    var auto = Engines.named(Engines.AUTO);
    if (!auto.engine().name().equals("kvm")) {
      System.out.println("Note: " + auto.reason());
    }
    var folder = Files.createTempDirectory("partita-exits");
    try {
      var program = compile(folder);
      System.out.printf("%-28s %14s %14s %8s%n", "operations a second", "Java", "C", "Java/C");
      for (var guest : ExitsGuest.values()) {
        measure(guest, folder, program);
      }
    } finally {
      delete(folder);
    }
    return 0;
  }

  private void measure(ExitsGuest guest, Path folder, Path program)
      throws IOException, InterruptedException {
    var image = folder.resolve("image");
    double java = 0;
    double c = 0;
    for (int i = 0; i < rounds; i++) {
      java = Math.max(java, runJava(guest, image));
      c = Math.max(c, runC(guest, image, program));
    }
    System.out.printf("%-28s %14.0f %14.0f %7.1f%%%n", guest.title, java, c, 100 * java / c);
  }

  // ---- Java

  private double runJava(ExitsGuest guest, Path image) throws IOException, InterruptedException {
    var engine = Engines.named("kvm").engine();
    try (var memory = new GuestMemory(GuestMemory.MINIMUM_SIZE);
        var time = new SystemTimeSource();
        var partition =
            engine.createPartition(
                new PartitionConfiguration(
                    1,
                    memory,
                    engine.supportedCpuid(),
                    engine.tscFrequency(),
                    time,
                    p -> {
                      throw new IllegalStateException("KVM has local APICs of its own");
                    }))) {
      guest.layOut(memory);
      Files.write(image, memory.read(0, (int) memory.size()));
      var processor = partition.processors().getFirst();
      processor.setState(ExitsGuest.initialState());
      var answers = new Answers(partition, guest, seconds);
      var rings = new AtomicLong();
      if (guest == ExitsGuest.SIGNAL
          && partition
              .doorbells()
              .flatMap(
                  all ->
                      all.add(
                          ExitsGuest.SIGNAL_PORT, 4, ExitsGuest.CONNECTION, rings::incrementAndGet))
              .isEmpty()) {
        throw new IOException("this host's KVM has no doorbells");
      }
      var thread = Thread.ofPlatform().name(PROCESSOR).start(() -> answers.run(processor));
      if (guest != ExitsGuest.SIGNAL) {
        thread.join();
        return answers.rate(answers.count);
      }
      if (Runtime.getRuntime().availableProcessors() > 1) {
        pin(PROCESSOR, 0);
        pin(DOORBELLS, 1);
      }
      // It counts for itself: there are no exits.
      thread.join(Duration.ofNanos((long) (seconds * 1e9)));
      processor.cancel();
      thread.join();
      if (rings.get() == 0) {
        throw new IOException("no doorbell rang");
      }
      return answers.rate(memory.readLong(ExitsGuest.COUNTER));
    }
  }

  /// Keeps a thread of this process on one of the host's processors, as the C program does: what a
  /// signal costs depends on where its listener sleeps.
  private static void pin(String name, int processor) throws IOException, InterruptedException {
    // The kernel keeps 15 characters.
    var begin = name.substring(0, Math.min(name.length(), 15));
    try (var tasks = Files.list(Path.of("/proc/self/task"))) {
      for (var task : tasks.toList()) {
        if (Files.readString(task.resolve("comm")).strip().equals(begin)) {
          output(List.of("taskset", "-cp", "" + processor, "" + task.getFileName()));
        }
      }
    }
  }

  /// What answers the exits.
  private static final class Answers {
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private final Partition partition;
    private final ExitsGuest guest;
    private final long nanos;
    private long count;
    private long sink;
    private long begin;
    private long elapsed;
    private @Nullable String failure;

    Answers(Partition partition, ExitsGuest guest, double seconds) {
      this.partition = partition;
      this.guest = guest;
      nanos = (long) (seconds * 1e9);
    }

    void run(VirtualProcessor processor) {
      begin = THREADS.getCurrentThreadCpuTime();
      processor.run(this::handle);
      elapsed = THREADS.getCurrentThreadCpuTime() - begin;
    }

    void handle(VirtualProcessor processor, Intercept intercept) {
      switch (intercept) {
        case Intercept.PortWrite write -> {
          sink += write.value;
          switch (guest) {
            case INTERRUPT -> partition.signalMsi(0xFEE0_0000L, ExitsGuest.VECTOR);
            case HYPERCALL -> hypercall(processor);
            default -> {}
          }
        }
        case Intercept.MmioWrite write -> sink += write.value;
        case Intercept.MsrWrite write -> {
          sink += write.value;
          write.accept();
        }
        case Intercept.Shutdown stop -> failure = stop.detail();
        default -> failure = "unexpected " + intercept;
      }
      if ((++count & 63) == 0 && THREADS.getCurrentThreadCpuTime() - begin >= nanos) {
        processor.cancel();
      }
    }

    /// What every hypercall needs: whether the guest may make it, its parameters, and the answer.
    private void hypercall(VirtualProcessor processor) {
      if (processor.mode() != VirtualProcessor.Mode.LONG || processor.privilegeLevel() != 0) {
        failure = "the guest may make no hypercalls";
      }
      sink +=
          processor.general(ProcessorState.RCX)
              + processor.general(ProcessorState.RDX)
              + processor.general(8);
      processor.setGeneral(ProcessorState.RAX, 2);
    }

    double rate(long operations) throws IOException {
      if (failure != null) {
        throw new IOException("the guest ended: " + failure);
      }
      return operations * 1e9 / elapsed;
    }
  }

  // ---- C

  private static Path compile(Path folder) throws IOException, InterruptedException {
    var source = folder.resolve("exits.c");
    try (var resource = ExitsBenchmark.class.getResourceAsStream("exits.c")) {
      if (resource == null) {
        throw new IOException("exits.c is missing in this build");
      }
      Files.copy(resource, source);
    }
    var program = folder.resolve("exits");
    try {
      output(List.of("gcc", "-O2", "-w", "-pthread", "-o", program.toString(), source.toString()));
    } catch (IOException e) {
      throw new IOException(
          "cannot compile the loop in C; install gcc and the kernel's headers (as root: apt-get"
              + " install gcc libc6-dev linux-libc-dev): "
              + e.getMessage(),
          e);
    }
    return program;
  }

  private double runC(ExitsGuest guest, Path image, Path program)
      throws IOException, InterruptedException {
    var text =
        output(
            List.of(program.toString(), image.toString(), Double.toString(seconds), guest.name()));
    return Double.parseDouble(text.strip());
  }

  private static String output(List<String> command) throws IOException, InterruptedException {
    var process = new ProcessBuilder(new ArrayList<>(command)).redirectErrorStream(true).start();
    var text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(command.getFirst() + ": " + text.strip());
    }
    return text;
  }

  private static void delete(Path folder) throws IOException {
    try (var files = Files.list(folder)) {
      for (var file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }
}
