package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Restarts a running partition.
@Command(
    name = "restart",
    description = {
      "Restarts a running partition: its system is asked to reboot in good order, and this waits"
          + " until it has. That needs the guest's driver for it (Linux: hv_utils)."
    },
    mixinStandardHelpOptions = true)
final class RestartCommand implements Callable<Integer> {
  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which; not needed when only one is running.")
  private @Nullable String partition;

  @Option(
      names = {"-f", "--force"},
      description = "Reset it at once, as with its button: what the guest has not written is lost.")
  private boolean force;

  @Option(
      names = "--close-programs",
      description = "The guest is to end programs that do not want to end.")
  private boolean closePrograms;

  @Override
  public Integer call() throws IOException {
    var client = GuestClient.of(partition);
    int before = resets(client);
    try (var done = client.open("await-reset", Integer.toString(before))) {
      if (force) {
        client.ask("reset");
      } else {
        StopCommand.ask(client, "guest-restart", closePrograms);
      }
      if (!done.firstLine().equals("ok")) {
        throw new PartitionException(client.name() + ": it has ended instead");
      }
    }
    return ExitCode.SUCCESS;
  }

  private static int resets(GuestClient client) throws IOException {
    try (var status = client.open("status")) {
      for (var line : status.answer().lines().toList()) {
        if (line.matches("resets=[0-9]{1,9}")) {
          return Integer.parseInt(line.substring("resets=".length()));
        }
      }
    }
    throw new PartitionException(
        client.name() + ": it runs with an older Partita, which does not know this command");
  }
}
