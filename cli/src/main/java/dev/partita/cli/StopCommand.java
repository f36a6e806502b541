package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.worker.ControlClient;
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

  @Override
  public Integer call() throws IOException {
    var found = PartitionChoice.find(partition);
    try (var end = new ControlClient(found.socket(), "wait");
        var stop = new ControlClient(found.socket(), force ? "stop" : "shutdown")) {
      var answer = stop.firstLine();
      if (answer.startsWith("error ")) {
        throw new PartitionException(
            found.name() + ": " + answer.substring("error ".length()) + ": use --force");
      }
      end.answer(); // when it has ended
    }
    return ExitCode.SUCCESS;
  }
}
