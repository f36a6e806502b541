package dev.partita.cli;

import dev.partita.cli.GuestCommand.Pool;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Takes a value away from the guest.
@Command(
    name = "delete",
    description = "Takes a value away that was given with guest set.",
    mixinStandardHelpOptions = true)
final class GuestDeleteCommand implements Callable<Integer> {
  @Parameters(paramLabel = "KEY", description = "Its key.")
  private String key = "";

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    try {
      partition.client().ask("guest-delete", Pool.external.wire(), key);
    } catch (GuestSaidNoException e) {
      throw GuestCommand.explain(e, "hv_kvp_daemon");
    }
    return ExitCode.SUCCESS;
  }
}
