package dev.partita.benchmarks;

import dev.partita.benchmarks.LoginBoots.Login;
import dev.partita.image.GuestScript;
import dev.partita.image.Images;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Boots the same kernel and initial RAM disk under Partita and under QEMU's TCG in turn, to a
/// script that prints a marker and powers off.
///
/// Linux 6.1.0-56-cloud-amd64, 1 processor, 512 MiB, translator on, QEMU 7.2, 2 shared cores, JDK
/// 25.0.3; median of 3. With the interpreter alone, in a run of an earlier state with other work on
/// the machine, start to script took 6.07 s where the translator took 5.57 s.
///
/// |                              | Partita | QEMU TCG | Partita / QEMU |
/// |------------------------------|---------|----------|----------------|
/// | kernel entry to init         |  2.73 s |   1.33 s |           2.05 |
/// | start to script              |  5.46 s |   2.12 s |           2.58 |
/// | whole process                |  5.99 s |   2.15 s |           2.79 |
/// | resident at script, with RAM | 252 MiB |  260 MiB |                |
/// | start to login, from a disk  | 39.86 s |  23.51 s |           1.70 |
/// | kernel entry to login        | 38.02 s |  23.01 s |           1.65 |
@Command(
    name = "boot",
    description = {
      "Boots Debian's kernel under Partita and under QEMU TCG in turn, with the same initial RAM"
          + " disk, command line, memory and processors, to a script that prints a marker and powers"
          + " off; then a Debian from its disk to the login prompt. The median counts."
    },
    mixinStandardHelpOptions = true)
final class BootBenchmark implements Callable<Integer> {
  private static final String MARKER = "partita-bench-marker";

  @Mixin private final GuestOptions options = new GuestOptions();

  @Option(
      names = {"-n", "--runs"},
      defaultValue = "5",
      description = "Boots of each (default: ${DEFAULT-VALUE}).")
  private int runs;

  @Option(
      names = {"-c", "--cpus"},
      defaultValue = "1",
      description = "Virtual processors (default: ${DEFAULT-VALUE}).")
  private int processors;

  @Option(
      names = "--login-runs",
      defaultValue = "3",
      description =
          "Boots of each from a Debian's disk to the login prompt; 0: none (default:"
              + " ${DEFAULT-VALUE}).")
  private int loginRuns;

  @Override
  public Integer call() throws IOException, InterruptedException {
    var launcher = SideBySide.launcher("boot");
    options.requirePrograms();
    var files =
        Images.debian(
            Images.defaultCache(),
            (stage, done, _) -> {
              if (done == 0) {
                System.err.println(stage);
              }
            });
    System.out.printf(
        "%s; %d MiB, %d processor(s), %d boots each%n",
        files.description(), options.memory, processors, runs);
    var commandLine =
        GuestScript.onCommandLine(
            files.commandLine() + SideBySide.COMMON_PARAMETERS, "echo " + MARKER);
    var guest =
        new SideBySide.Guest(
            files.kernel(), files.initrd(), commandLine, options.memory, processors);
    var ours = new ArrayList<BootRun>();
    var theirs = new ArrayList<BootRun>();
    System.out.printf("%-8s %14s %15s %8s%n", "", "start to script", "kernel to init", "whole");
    for (int i = 0; i < runs; i++) {
      if (options.partita()) {
        ours.add(run("partita", SideBySide.partita(launcher, guest)));
      }
      if (options.qemu()) {
        theirs.add(run("qemu", SideBySide.qemu(guest)));
      }
    }
    report(ours, theirs);
    if (loginRuns > 0) {
      reportLogins(launcher);
    }
    return 0;
  }

  private void reportLogins(String launcher) throws IOException, InterruptedException {
    var ours = new ArrayList<Login>();
    var theirs = new ArrayList<Login>();
    new LoginBoots(launcher, options.memory, processors, Duration.ofSeconds(options.limit))
        .run(loginRuns, options.partita(), options.qemu(), ours, theirs);
    System.out.printf("%n%-15s %10s %10s %16s%n", "median of", "partita", "qemu", "partita / qemu");
    reportRow("start to login", median(ours, Login::whole), median(theirs, Login::whole));
    reportRow("kernel to login", median(ours, Login::kernel), median(theirs, Login::kernel));
  }

  private static void reportRow(String name, double mine, double other) {
    System.out.printf(
        "%-15s %10s %10s %16s%n",
        name,
        seconds(mine),
        seconds(other),
        other > 0 && mine > 0 ? "%.2f".formatted(mine / other) : "-");
  }

  private BootRun run(String name, List<String> command) throws IOException, InterruptedException {
    var run = BootRun.measure(command, MARKER, Duration.ofSeconds(options.limit));
    System.out.printf(
        "%-8s %12.2f s %13.2f s %6.2f s%n",
        name, run.startToScript(), run.kernelToInit(), run.whole());
    return run;
  }

  private static void report(List<BootRun> ours, List<BootRun> theirs) {
    System.out.println();
    var measures = new TreeMap<String, ToDoubleFunction<BootRun>>();
    measures.put("start to script", BootRun::startToScript);
    measures.put("kernel to init", BootRun::kernelToInit);
    measures.put("whole process", BootRun::whole);
    System.out.printf("%-15s %10s %10s %16s%n", "median of", "partita", "qemu", "partita / qemu");
    measures.forEach(
        (name, measure) -> reportRow(name, median(ours, measure), median(theirs, measure)));
    System.out.printf(
        "%-15s %6.0f MiB %6.0f MiB   (guest RAM included)%n",
        "resident at init",
        median(ours, run -> run.residentKib() / 1024.0),
        median(theirs, run -> run.residentKib() / 1024.0));
    if (!ours.isEmpty()) {
      System.out.println();
      System.out.println("Partita's last boot:");
      new TreeMap<>(ours.getLast().statistics())
          .forEach((key, value) -> System.out.printf("  %-36s %16s%n", key, value));
    }
  }

  private static String seconds(double value) {
    return value > 0 ? "%.2f s".formatted(value) : "-";
  }

  private static <T> double median(List<T> runs, ToDoubleFunction<T> measure) {
    var values = runs.stream().mapToDouble(measure).sorted().toArray();
    if (values.length == 0) {
      return 0;
    }
    int middle = values.length / 2;
    return values.length % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  }
}
