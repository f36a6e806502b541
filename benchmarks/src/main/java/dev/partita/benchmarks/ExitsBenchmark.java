package dev.partita.benchmarks;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Events;
import dev.partita.hypervisor.ProcessorState.Segment;
import dev.partita.hypervisor.ProcessorState.Table;
import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.hypervisor.VirtualProcessor;
import dev.partita.worker.Engines;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Counts exits a second of small guests on KVM, from Java through the engine's contract and from a
/// C program that has the same guest in a bare loop around KVM_RUN, in turn.
@Command(
    name = "exits",
    description = {
      "Exits a second on KVM: from Java, and from a loop in C around the same guest, in turn. The"
          + " best of all rounds counts."
    },
    mixinStandardHelpOptions = true)
final class ExitsBenchmark implements Callable<Integer> {
  private static final long CODE = 0x8000;
  private static final long HANDLER = 0x9000;
  private static final int VECTOR = 0x40;

  /// A guest, and the name of what it does all the time.
  private enum Kind {
    /// out 0xE0, eax; jmp
    PORT("port write", "E7E0 EBFC"),
    /// mov [0x200000], eax; jmp
    MMIO("MMIO write", "89042500002000 EBF7"),
    /// mov ecx, 0x40000070; xor eax, eax; xor edx, edx; wrmsr; jmp
    MSR("MSR write", "B970000040 31C0 31D2 0F30 EBFC"),
    /// mov dword [APIC + 0xF0], 0x1FF; sti; out 0xE0, eax; hlt; jmp. Each port write is answered
    /// with an interrupt, whose handler writes to the port again.
    INTERRUPT("interrupt and port write", "C70425F0004000FF010000 FB E7E0 F4 EBFD");

    final String title;
    final String code;

    Kind(String title, String code) {
      this.title = title;
      this.code = code;
    }
  }

  /// out 0xE0, eax; mov dword [APIC + 0xB0], 0; iretq
  private static final String HANDLER_CODE = "E7E0 C70425B000400000000000 48CF";

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
    if (!Files.exists(Path.of("/dev/kvm"))) {
      throw new IOException("this host has no /dev/kvm: nothing to measure");
    }
    var auto = Engines.named(Engines.AUTO);
    if (!auto.engine().name().equals("kvm")) {
      System.out.println("Note: " + auto.reason());
    }
    var folder = Files.createTempDirectory("partita-exits");
    try {
      var program = compile(folder);
      System.out.printf("%-26s %14s %14s %8s%n", "operations a second", "Java", "C", "Java/C");
      for (var kind : Kind.values()) {
        measure(kind, folder, program);
      }
    } finally {
      delete(folder);
    }
    return 0;
  }

  private void measure(Kind kind, Path folder, Path program)
      throws IOException, InterruptedException {
    var image = folder.resolve("image");
    double java = 0;
    double c = 0;
    for (int i = 0; i < rounds; i++) {
      java = Math.max(java, runJava(kind, image));
      c = Math.max(c, runC(kind, image, program));
    }
    System.out.printf("%-26s %14.0f %14.0f %7.1f%%%n", kind.title, java, c, 100 * java / c);
  }

  // ---- Java

  private double runJava(Kind kind, Path image) throws IOException, InterruptedException {
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
      layOut(memory, kind);
      Files.write(image, memory.read(0, (int) memory.size()));
      var processor = partition.processors().getFirst();
      processor.setState(initialState());
      var counter = new Counter(partition, kind == Kind.INTERRUPT, seconds);
      var thread = Thread.ofPlatform().start(() -> processor.run(counter::handle));
      thread.join();
      return counter.rate();
    }
  }

  /// What answers the exits.
  private static final class Counter {
    private final Partition partition;
    private final boolean inject;
    private final long begin = System.nanoTime();
    private final long end;
    private long count;
    private long sink;
    private long elapsed;
    private @Nullable String failure;

    Counter(Partition partition, boolean inject, double seconds) {
      this.partition = partition;
      this.inject = inject;
      end = begin + (long) (seconds * 1e9);
    }

    void handle(VirtualProcessor processor, Intercept intercept) {
      switch (intercept) {
        case Intercept.PortWrite write -> {
          sink += write.value;
          if (inject) {
            partition.signalMsi(0xFEE0_0000L, VECTOR);
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
      if ((++count & 63) == 0) {
        elapsed = System.nanoTime() - begin;
        if (elapsed >= end - begin) {
          processor.cancel();
        }
      }
    }

    double rate() throws IOException {
      if (failure != null) {
        throw new IOException("the guest ended: " + failure);
      }
      return count * 1e9 / elapsed;
    }
  }

  private static void layOut(GuestMemory memory, Kind kind) {
    memory.writeLong(0x1000, 0x2000 | 7);
    memory.writeLong(0x2000, 0x3000 | 7);
    memory.writeLong(0x3000, 0x83);
    // At 2 MiB what is no RAM, at 4 MiB the local APIC; both not cached.
    memory.writeLong(0x3008, 0xE000_0000L | 0x93);
    memory.writeLong(0x3010, 0xFEE0_0000L | 0x93);
    memory.writeLong(0x4008, 0x00AF_9B00_0000_FFFFL);
    memory.writeLong(0x4010, 0x00CF_9300_0000_FFFFL);
    memory.writeLong(0x4028, 0x0000_8B00_0000_0067L | 0x5000 << 16);
    memory.writeLong(0x6000 + 16 * VECTOR, HANDLER | 0x08 << 16 | 0x8EL << 40);
    memory.write(CODE, bytes(kind.code));
    memory.write(HANDLER, bytes(HANDLER_CODE));
  }

  private static byte[] bytes(String hex) {
    return HexFormat.of().parseHex(hex.replace(" ", ""));
  }

  /// 64-bit mode at level 0, as the C program sets it.
  private static ProcessorState initialState() {
    var general = new long[16];
    general[ProcessorState.RSP] = 0x7000;
    var data = new Segment(0x10, 0, -1, 0xC093);
    var xsave = ByteBuffer.allocate(ProcessorState.XSAVE_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    xsave.putShort(0, (short) 0x37F);
    xsave.putInt(24, 0x1F80);
    xsave.putLong(512, 3);
    return new ProcessorState(
        general,
        CODE,
        2,
        data,
        new Segment(0x08, 0, -1, 0xA09B),
        data,
        data,
        data,
        data,
        new Segment(0, 0, 0, Segment.UNUSABLE),
        new Segment(0x28, 0x5000, 0x67, 0x8B),
        new Table(0x4000, 0x37),
        new Table(0x6000, 0xFFF),
        0x8000_0033L,
        0,
        0x1000,
        0x620,
        0x501,
        1,
        new long[] {0, 0, 0, 0, 0xFFFF_0FF0L, 0x400},
        xsave.array(),
        List.of(),
        0,
        Events.NONE,
        null);
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
      output(List.of("gcc", "-O2", "-w", "-o", program.toString(), source.toString()));
    } catch (IOException e) {
      throw new IOException(
          "cannot compile the loop in C; install gcc and the kernel's headers (as root: apt-get"
              + " install gcc libc6-dev linux-libc-dev): "
              + e.getMessage(),
          e);
    }
    return program;
  }

  private double runC(Kind kind, Path image, Path program)
      throws IOException, InterruptedException {
    var text =
        output(
            List.of(
                program.toString(),
                image.toString(),
                Double.toString(seconds),
                kind == Kind.INTERRUPT ? "1" : "0"));
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
