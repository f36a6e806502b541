package dev.partita.cli;

import dev.partita.worker.AdapterSettings;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Adds NICs.
@Command(
    name = "add",
    description = "Adds network cards, and tells the number of each.",
    mixinStandardHelpOptions = true)
final class NicAddCommand implements Callable<Integer> {
  @Option(
      names = "--network",
      required = true,
      paramLabel = "NETWORK[,OPTION...]",
      converter = NetworkOption.Adapter.class,
      description = {
        "What it is plugged into: " + NetworkOption.FORMS + ". Options as with run. Repeatable."
      })
  private List<Optional<AdapterSettings>> networks = List.of();

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    for (var each : networks.stream().flatMap(Optional::stream).toList()) {
      var number = partition.client().ask("nic-add", each.toString()).getFirst();
      System.out.println("nic %s on %s".formatted(number, each.attachment()));
    }
    return ExitCode.SUCCESS;
  }
}
