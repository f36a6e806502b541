package dev.partita.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// Lets a frozen guest go on.
@Command(
    name = "thaw",
    description = "Lets the guest go on after guest freeze.",
    mixinStandardHelpOptions = true)
final class GuestThawCommand implements Callable<Integer> {
  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which partition; not needed when only one is running.")
  private @Nullable String partition;

  @Override
  public Integer call() throws IOException {
    var client = GuestClient.of(partition);
    try {
      if (client.ask("guest-thaw").equals(java.util.List.of("no"))) {
        OperatorLog.say(client.name() + ": it was not frozen, or had gone on before");
      }
    } catch (GuestSaidNoException e) {
      throw GuestCommand.explain(e, "hv_vss_daemon");
    }
    return ExitCode.SUCCESS;
  }
}
