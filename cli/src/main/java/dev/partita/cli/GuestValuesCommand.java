package dev.partita.cli;

import dev.partita.cli.GuestCommand.Pool;
import dev.partita.worker.ControlWords;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Lists the values that host and guest exchange.
@Command(
    name = "values",
    description = "Lists the values (key-value pairs) that host and guest give each other.",
    mixinStandardHelpOptions = true)
final class GuestValuesCommand implements Callable<Integer> {
  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which partition; not needed when only one is running.")
  private @Nullable String partition;

  @Option(
      names = "--pool",
      paramLabel = "POOL",
      description =
          "Only these: external (the host's to the guest), guest (the guest's to the host), auto"
              + " (the guest's of itself), host (the host's of itself).")
  private @Nullable Pool pool;

  @Override
  public Integer call() throws IOException {
    var client = GuestClient.of(partition);
    try {
      for (var each : Pool.values()) {
        if (pool == null || pool == each) {
          for (var line : client.ask("guest-list", each.wire())) {
            var words = ControlWords.decode(line);
            System.out.printf(
                "%-8s %s=%s%n",
                each, Printable.line(words.getFirst()), Printable.line(words.getLast()));
          }
        }
      }
    } catch (GuestSaidNoException e) {
      throw GuestCommand.explain(e, "hv_kvp_daemon");
    }
    return ExitCode.SUCCESS;
  }
}
