package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Brings a guest's file systems to rest.
@Command(
    name = "freeze",
    description = {
      "Brings the guest's file systems to rest, so that a copy of its disks is whole. With --while"
          + " it runs a command of the host meanwhile, lets the guest go on however that ends, and"
          + " ends with its exit code; without, guest thaw lets the guest go on."
    },
    mixinStandardHelpOptions = true,
    footer = {"", "Example: partita guest freeze --while 'cp disk.vhdx backup.vhdx'"})
final class GuestFreezeCommand implements Callable<Integer> {
  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which partition; not needed when only one is running.")
  private @Nullable String partition;

  @Option(
      names = "--for",
      paramLabel = "TIME",
      defaultValue = "60s",
      converter = Quantities.Time.class,
      description =
          "The guest goes on by itself after this time, at most 24h (default: ${DEFAULT-VALUE}).")
  private Duration hold = Duration.ofSeconds(60);

  @Option(
      names = "--while",
      paramLabel = "COMMAND",
      description = "Run this with sh while the guest is frozen.")
  private @Nullable String command;

  @Override
  public Integer call() throws IOException, InterruptedException {
    var seconds = Long.toString(Math.max(1, hold.toSeconds()));
    var client = GuestClient.of(partition);
    try {
      if (command == null) {
        client.ask("guest-freeze", seconds);
        OperatorLog.say(
            "%s is frozen for %s s at most; partita guest thaw %s lets it go on"
                .formatted(client.name(), seconds, client.name()));
        return ExitCode.SUCCESS;
      }
      return runFrozen(client, seconds, command);
    } catch (GuestSaidNoException e) {
      throw e.status() == GuestSaidNoException.BUSY
          ? e.instead("it is frozen already")
          : GuestCommand.explain(e, "hv_vss_daemon");
    }
  }

  /// The partition thaws when the connection ends, whatever becomes of this process.
  private static int runFrozen(GuestClient client, String seconds, String command)
      throws IOException, InterruptedException {
    try (var connection = client.open("guest-freeze", seconds, "bound")) {
      client.check(connection.firstLine());
      var process = new ProcessBuilder("sh", "-c", command).inheritIO().start();
      int status = process.waitFor();
      connection.endOutput();
      var answer = connection.firstLine();
      if (!answer.equals("ok")) {
        throw new PartitionException(
            "the guest was not frozen until the command's end: what it made may not be whole ("
                + (answer.startsWith("error ") ? answer.substring("error ".length()) : answer)
                + "); --for gives it more time");
      }
      return status;
    }
  }
}
