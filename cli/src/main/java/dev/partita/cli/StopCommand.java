package dev.partita.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Stops a running partition.
@Command(
    name = "stop",
    description = {
      "Shuts a running partition down: its system is asked to power off in good order, and this"
          + " waits until it has. That needs the guest's driver for it (Linux: hv_utils)."
    },
    mixinStandardHelpOptions = true)
final class StopCommand implements Callable<Integer> {
  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which; not needed when only one is running.")
  private @Nullable String partition;

  @Option(
      names = {"-f", "--force"},
      description = "End it at once, as pulling its plug: what the guest has not written is lost.")
  private boolean force;

  @Option(
      names = "--close-programs",
      description = "The guest is to end programs that do not want to end.")
  private boolean closePrograms;

  @Override
  public Integer call() throws IOException {
    var client = GuestClient.of(partition);
    try (var end = client.open("wait")) {
      if (force) {
        client.ask("stop");
      } else {
        ask(client, "guest-shutdown", closePrograms);
      }
      end.answer(); // when it has ended
    }
    return ExitCode.SUCCESS;
  }

  /// Asks a guest to shut down or to reboot.
  static void ask(GuestClient client, String request, boolean closePrograms) throws IOException {
    try {
      client.ask(request, closePrograms ? "force" : "ask");
    } catch (GuestSaidNoException e) {
      throw switch (e.status()) {
        case GuestSaidNoException.NOT_CONNECTED ->
            e.instead("the guest has no shutdown service running: use --force");
        case GuestSaidNoException.MACHINE_LOCKED -> e.with("use --close-programs, or --force");
        default -> e.with("use --force");
      };
    }
  }
}
