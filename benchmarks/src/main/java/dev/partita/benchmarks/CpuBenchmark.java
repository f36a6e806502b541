package dev.partita.benchmarks;

import dev.partita.benchmarks.CpuPrograms.Result;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Runs small programs of real kinds in a guest under Partita and under QEMU's TCG, with the same
/// kernel, and compares how fast they are.
///
/// Partita's rates as parts of QEMU's (7.2), one run on a machine of 2 cores without other work:
/// sha256 1.95, sort 0.83, bignum 0.77, compression 0.97, interpreter 0.98, calls 1.31, pointers
/// 2.22, strings 0.85, doubles 1.81, vectors 2.21, syscalls 1.12, faults 0.80, crc32 0.94, sieve
/// 1.45; geometric mean 1.21.
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
  @Mixin private final GuestOptions options = new GuestOptions();

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

  @Parameters(paramLabel = "PROGRAM", description = "Which programs (default: all).")
  private List<String> programs = List.of();

  @Override
  public Integer call() throws IOException, InterruptedException {
    var launcher = SideBySide.launcher("cpu");
    options.requirePrograms();
    try (var guests = new CpuPrograms()) {
      var guest = guests.guest(options.memory, 1, 1, seconds, programs);
      System.out.println(guests.description());
      var ours = new LinkedHashMap<String, List<Result>>();
      var theirs = new LinkedHashMap<String, List<Result>>();
      for (int i = 0; i < runs; i++) {
        if (options.partita()) {
          add(ours, CpuPrograms.run(SideBySide.partita(launcher, guest), options.limit));
        }
        if (options.qemu()) {
          add(theirs, CpuPrograms.run(SideBySide.qemu(guest), options.limit));
        }
      }
      report(ours, theirs);
    }
    return 0;
  }

  private static void add(Map<String, List<Result>> all, Map<String, Result> one) {
    one.forEach((name, result) -> all.computeIfAbsent(name, _ -> new ArrayList<>()).add(result));
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
      mine.forEach(result -> checksums.add(result.checksum()));
      other.forEach(result -> checksums.add(result.checksum()));
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
}
