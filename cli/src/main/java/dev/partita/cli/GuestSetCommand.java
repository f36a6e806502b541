package dev.partita.cli;

import dev.partita.cli.GuestCommand.Pool;
import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Gives the guest a value.
@Command(
    name = "set",
    description = {
      "Gives the guest a value, or changes it. Linux keeps it in /var/lib/hyperv/.kvp_pool_0,"
          + " Windows in the registry under HKLM\\SOFTWARE\\Microsoft\\Virtual Machine\\External."
    },
    mixinStandardHelpOptions = true)
final class GuestSetCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "KEY", description = "At most 255 characters.")
  private String key = "";

  @Parameters(index = "1", paramLabel = "VALUE", description = "At most 1023 characters.")
  private String value = "";

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    try {
      partition.client().ask("guest-set", Pool.external.wire(), key, value);
    } catch (GuestSaidNoException e) {
      throw GuestCommand.explain(e, "hv_kvp_daemon");
    }
    return ExitCode.SUCCESS;
  }
}
