package dev.partita.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Removes a NIC.
@Command(
    name = "remove",
    description = "Removes a network card, as pulling it out.",
    mixinStandardHelpOptions = true)
final class NicRemoveCommand implements Callable<Integer> {
  @Parameters(paramLabel = "NUMBER", description = "Which: see nic list.")
  private int number;

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    partition.client().ask("nic-remove", Integer.toString(number));
    return ExitCode.SUCCESS;
  }
}
