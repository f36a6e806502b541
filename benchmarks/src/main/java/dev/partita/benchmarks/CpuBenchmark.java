package dev.partita.benchmarks;

import dev.partita.image.GuestScript;
import dev.partita.image.Images;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Runs small programs of real kinds in a guest under Partita and under QEMU's TCG, with the same
/// kernel, and compares how fast they are.
@Command(
    name = "cpu",
    description = {
      "Runs small programs (hashing, sorting, long numbers, compression, an interpreter, calls,"
          + " pointers, strings, floating point, vectors, system calls, page faults and others) in a"
          + " guest of the same kernel under Partita and under QEMU TCG in turn, and compares their"
          + " rates. Needs gcc."
    },
    mixinStandardHelpOptions = true)
final class CpuBenchmark implements Callable<Integer> {
  private static final String PROGRAM = "bench-cpu";

  private static final Pattern RESULT =
      Pattern.compile("cpu ([a-z0-9]+) ([0-9a-f]{16}) ([0-9.]+)\\s*");

  @Option(
      names = {"-n", "--runs"},
      defaultValue = "1",
      description = "Guests of each; the median counts (default: ${DEFAULT-VALUE}).")
  private int runs;

  @Option(
      names = "--seconds",
      defaultValue = "1",
      description =
          "A program's rounds are doubled until they take so long (default: ${DEFAULT-VALUE}).")
  private double seconds;

  @Option(
      names = {"-m", "--memory"},
      paramLabel = "MIB",
      defaultValue = "512",
      description = "RAM in MiB (default: ${DEFAULT-VALUE}).")
  private int memory;

  @Option(names = "--limit", paramLabel = "SECONDS", defaultValue = "900", hidden = true)
  private int limit;

  @Option(
      names = "--only",
      paramLabel = "NAME",
      description = "Only partita, or only qemu: no ratio then.")
  private @Nullable String only;

  @Parameters(paramLabel = "PROGRAM", description = "Which programs (default: all).")
  private List<String> programs = List.of();

  /// What a program printed.
  private record Result(String checksum, double rate) {}

  @Override
  public Integer call() throws IOException, InterruptedException {
    var launcher = SideBySide.launcher("cpu");
    boolean partita = only == null || only.equals("partita");
    boolean qemu = only == null || only.equals("qemu");
    if (qemu) {
      SideBySide.requireQemu(", or measure Partita alone with --only partita");
    }
    var files = Images.debian(Images.defaultCache(), (stage, done, _) -> {});
    var folder = Files.createTempDirectory("partita-cpu");
    try {
      var initrd = folder.resolve("initrd.img");
      Files.write(initrd, withProgram(Files.readAllBytes(files.initrd()), compile(folder)));
      var script = "/" + PROGRAM + " " + seconds + " " + String.join(" ", programs);
      var commandLine =
          GuestScript.onCommandLine(
              files.commandLine() + SideBySide.COMMON_PARAMETERS, script.strip());
      var guest = new SideBySide.Guest(files.kernel(), initrd, commandLine, memory, 1);
      System.out.println(files.description());
      var ours = new LinkedHashMap<String, List<Result>>();
      var theirs = new LinkedHashMap<String, List<Result>>();
      for (int i = 0; i < runs; i++) {
        if (partita) {
          add(ours, run(SideBySide.partita(launcher, guest)));
        }
        if (qemu) {
          add(theirs, run(SideBySide.qemu(guest)));
        }
      }
      report(ours, theirs);
    } finally {
      delete(folder);
    }
    return 0;
  }

  private static void add(Map<String, List<Result>> all, Map<String, Result> one) {
    one.forEach((name, result) -> all.computeIfAbsent(name, _ -> new ArrayList<>()).add(result));
  }

  private Map<String, Result> run(List<String> command) throws IOException, InterruptedException {
    var output = SideBySide.run(command, limit);
    var results = new LinkedHashMap<String, Result>();
    for (var line : output.out().lines().toList()) {
      var match = RESULT.matcher(line);
      if (match.matches()) {
        results.put(match.group(1), new Result(match.group(2), Double.parseDouble(match.group(3))));
      }
    }
    if (output.exitCode() != 0 || results.isEmpty()) {
      throw new IOException(
          "%s: exit code %d; it says: %s"
              .formatted(command.getFirst(), output.exitCode(), output.errors().strip()));
    }
    return results;
  }

  private static void report(Map<String, List<Result>> ours, Map<String, List<Result>> theirs)
      throws IOException {
    System.out.printf(
        "%-14s %14s %14s %16s%n", "rounds a second", "partita", "qemu", "partita / qemu");
    double logarithms = 0;
    int compared = 0;
    var names = new ArrayList<>(ours.isEmpty() ? theirs.keySet() : ours.keySet());
    for (var name : names) {
      var mine = ours.getOrDefault(name, List.of());
      var other = theirs.getOrDefault(name, List.of());
      var checksums = new java.util.TreeSet<String>();
      mine.forEach(result -> checksums.add(result.checksum));
      other.forEach(result -> checksums.add(result.checksum));
      if (checksums.size() != 1) {
        throw new IOException(name + " computes different results: " + checksums);
      }
      double a = median(mine);
      double b = median(other);
      if (a > 0 && b > 0) {
        logarithms += Math.log(a / b);
        compared++;
      }
      System.out.printf(
          "%-14s %14.2f %14.2f %16s%n", name, a, b, a > 0 && b > 0 ? "%.2f".formatted(a / b) : "-");
    }
    if (compared > 0) {
      System.out.printf(
          "%-14s %14s %14s %16.2f%n", "geometric mean", "", "", Math.exp(logarithms / compared));
    }
  }

  private static double median(List<Result> results) {
    return SideBySide.median(results.stream().mapToDouble(Result::rate).toArray());
  }

  // ---- The guest's file
  // ------------------------------------------------------------------------------------

  private static byte[] compile(Path folder) throws IOException, InterruptedException {
    var source = folder.resolve("cpu.c");
    try (var resource = CpuBenchmark.class.getResourceAsStream("cpu.c")) {
      if (resource == null) {
        throw new IOException("cpu.c is missing in this build");
      }
      Files.copy(resource, source);
    }
    var program = folder.resolve(PROGRAM);
    Process compiler;
    try {
      compiler =
          new ProcessBuilder(
                  "gcc",
                  "-O2",
                  "-w",
                  "-static",
                  "-march=x86-64-v2",
                  "-o",
                  program.toString(),
                  source.toString())
              .redirectErrorStream(true)
              .start();
    } catch (IOException e) {
      throw new IOException(
          "gcc is missing: install it (as root: apt-get install gcc libc6-dev)", e);
    }
    var output = SideBySide.text(compiler.getInputStream());
    if (compiler.waitFor() != 0) {
      throw new IOException("cannot compile the programs: " + output.strip());
    }
    return Files.readAllBytes(program);
  }

  /// Appends a cpio archive of one file to a RAM disk: the kernel unpacks one after the other.
  ///
  /// Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
  private static byte[] withProgram(byte[] initrd, byte[] program) {
    var out = new ByteArrayOutputStream(initrd.length + program.length + 4096);
    out.writeBytes(initrd);
    pad(out);
    entry(out, PROGRAM, 0100755, program);
    entry(out, "TRAILER!!!", 0, new byte[0]);
    return out.toByteArray();
  }

  private static void entry(ByteArrayOutputStream out, String name, int mode, byte[] content) {
    var header = new StringBuilder("070701");
    // Inode, mode, owner, group, links, time, size, device, special device, name, checksum.
    int[] fields = {
      0x7000_0000, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length() + 1, 0
    };
    for (int field : fields) {
      header.append("%08x".formatted(field));
    }
    header.append(name).append('\0');
    out.writeBytes(header.toString().getBytes(StandardCharsets.US_ASCII));
    pad(out);
    out.writeBytes(content);
    pad(out);
  }

  private static void pad(ByteArrayOutputStream out) {
    while (out.size() % 4 != 0) {
      out.write(0);
    }
  }

  private static void delete(Path folder) throws IOException {
    try (var paths = Files.walk(folder)) {
      for (var path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
