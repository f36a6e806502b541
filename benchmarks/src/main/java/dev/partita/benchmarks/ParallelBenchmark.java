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

/// How much faster several processes run on several virtual processors than on one, under Partita
/// and under QEMU's TCG (one thread a processor).
///
/// One run on a machine of 2 cores without other work, Partita and QEMU: sha256 1.72 and 2.15,
/// sort 2.00 and 2.03, compression 1.93 and 2.32, calls 1.75 and 1.98, syscalls 1.74 and 1.59,
/// faults 1.26 and 1.98; geometric mean 1.72 and 2.00.
@Command(
    name = "parallel",
    description = {
      "Runs programs of the cpu benchmark in two processes at once, in a guest with one and in a"
          + " guest with two processors, under Partita and under QEMU TCG in turn: how much faster"
          + " the second processor makes them. The host needs as many. Needs gcc."
    },
    mixinStandardHelpOptions = true)
final class ParallelBenchmark implements Callable<Integer> {
  private static final List<String> USUAL =
      List.of("sha256", "sort", "compression", "calls", "syscalls", "faults");

  @Mixin private final GuestOptions options = new GuestOptions();

  @Option(
      names = {"-c", "--cpus"},
      defaultValue = "2",
      description = "Virtual processors and processes (default: ${DEFAULT-VALUE}).")
  private int processors;

  @Option(
      names = {"-n", "--runs"},
      defaultValue = "1",
      description = "Guests of each; the median counts (default: ${DEFAULT-VALUE}).")
  private int runs;

  @Option(
      names = "--seconds",
      defaultValue = "1",
      description = "Half the length of a program's run (default: ${DEFAULT-VALUE}).")
  private double seconds;

  @Parameters(
      paramLabel = "PROGRAM",
      description = "Which programs (default: sha256 sort compression calls syscalls faults).")
  private List<String> programs = List.of();

  @Override
  public Integer call() throws IOException, InterruptedException {
    var launcher = SideBySide.launcher("parallel");
    options.requirePrograms();
    var wanted = programs.isEmpty() ? USUAL : programs;
    try (var guests = new CpuPrograms()) {
      System.out.println(guests.description());
      var one = guests.guest(options.memory, 1, processors, seconds, wanted);
      var many = guests.guest(options.memory, processors, processors, seconds, wanted);
      if (options.partita()) {
        report("partita", SideBySide.partita(launcher, one), SideBySide.partita(launcher, many));
      }
      if (options.qemu()) {
        report("qemu", SideBySide.qemu(one), SideBySide.qemu(many));
      }
    }
    return 0;
  }

  private void report(String name, List<String> one, List<String> many)
      throws IOException, InterruptedException {
    var rates = new LinkedHashMap<String, List<Double>>();
    var manyRates = new LinkedHashMap<String, List<Double>>();
    for (int i = 0; i < runs; i++) {
      add(rates, CpuPrograms.run(one, options.limit));
      add(manyRates, CpuPrograms.run(many, options.limit));
    }
    System.out.printf(
        "%n%-14s %14s %14s %8s%n", name, "1 processor", processors + " processors", "ratio");
    double logarithms = 0;
    for (var program : rates.keySet()) {
      double a = median(rates.getOrDefault(program, List.of()));
      double b = median(manyRates.getOrDefault(program, List.of()));
      logarithms += Math.log(b / a);
      System.out.printf("%-14s %14.2f %14.2f %8.2f%n", program, a, b, b / a);
    }
    System.out.printf(
        "%-14s %14s %14s %8.2f%n", "geometric mean", "", "", Math.exp(logarithms / rates.size()));
  }

  private static void add(Map<String, List<Double>> all, Map<String, Result> one) {
    one.forEach(
        (name, result) -> all.computeIfAbsent(name, _ -> new ArrayList<>()).add(result.rate()));
  }

  private static double median(List<Double> values) {
    return SideBySide.median(values.stream().mapToDouble(Double::doubleValue).toArray());
  }
}
