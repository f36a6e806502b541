package dev.partita.benchmarks;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// `./partita bench`: benchmarks beside the peer, in turn on the same machine.
@Command(
    name = "partita bench",
    description = "Benchmarks, side by side with the peer.",
    mixinStandardHelpOptions = true,
    subcommands = {
      BootBenchmark.class,
      CpuBenchmark.class,
      ExitsBenchmark.class,
      NetworkBenchmark.class,
      ParallelBenchmark.class,
      StorageBenchmark.class
    })
public final class Main implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  private Main() {}

  /// Runs the benchmark that is named.
  public static void main(String[] args) {
    var line = new CommandLine(new Main()).setCaseInsensitiveEnumValuesAllowed(true);
    line.setExecutionExceptionHandler(
        (e, _, _) -> {
          System.err.println("partita bench: " + e.getMessage());
          return 1;
        });
    System.exit(line.execute(args));
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Name a benchmark");
  }
}
