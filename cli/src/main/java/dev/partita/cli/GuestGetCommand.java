package dev.partita.cli;

import dev.partita.cli.GuestCommand.Pool;
import dev.partita.worker.ControlWords;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Shows one value.
@Command(
    name = "get",
    description =
        "Shows a value: the guest's own if it has one of that key (guest, then auto), else the"
            + " host's (external, then host).",
    mixinStandardHelpOptions = true)
final class GuestGetCommand implements Callable<Integer> {
  private static final List<Pool> ORDER = List.of(Pool.guest, Pool.auto, Pool.external, Pool.host);

  @Parameters(paramLabel = "KEY", description = "Its key, such as OSName.")
  private String key = "";

  @Option(
      names = "--pool",
      paramLabel = "POOL",
      description = "Only from: ${COMPLETION-CANDIDATES}.")
  private @Nullable Pool pool;

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    var client = partition.client();
    GuestSaidNoException missing = null;
    for (var each : ORDER) {
      if (pool == null || pool == each) {
        try {
          var answer = client.ask("guest-get", each.wire(), key);
          System.out.println(ControlWords.decode(answer.getFirst()).getFirst());
          return ExitCode.SUCCESS;
        } catch (GuestSaidNoException e) {
          if (e.status() != GuestSaidNoException.NO_MORE_ITEMS) {
            throw GuestCommand.explain(e, "hv_kvp_daemon");
          }
          missing = e;
        }
      }
    }
    throw missing != null ? missing : new IllegalStateException("no pool");
  }
}
