package dev.partita.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Removes a drive.
@Command(
    name = "remove",
    description = {
      "Removes a drive, as pulling it out: unmount its file systems in the guest before. When this"
          + " ends its file is flushed and closed."
    },
    mixinStandardHelpOptions = true)
final class DriveRemoveCommand implements Callable<Integer> {
  @Parameters(paramLabel = "LUN", description = "Which: see drive list.")
  private int lun;

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    partition.client().ask("drive-remove", Integer.toString(lun));
    return ExitCode.SUCCESS;
  }
}
