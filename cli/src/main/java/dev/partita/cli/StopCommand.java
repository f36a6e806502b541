package dev.partita.cli;

import dev.partita.worker.ControlClient;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// Stops a running partition.
@Command(
    name = "stop",
    description = {
      "Ends a running partition at once, as pulling its plug: what the guest has not written is"
          + " lost. To shut it down in good order use the guest's own command."
    },
    mixinStandardHelpOptions = true)
final class StopCommand implements Callable<Integer> {
  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which; not needed when only one is running.")
  private @Nullable String partition;

  @Override
  public Integer call() throws IOException {
    var found = PartitionChoice.find(partition);
    try (var end = new ControlClient(found.socket(), "wait");
        var stop = new ControlClient(found.socket(), "stop")) {
      stop.firstLine();
      end.answer(); // when it has ended
    }
    return ExitCode.SUCCESS;
  }
}
