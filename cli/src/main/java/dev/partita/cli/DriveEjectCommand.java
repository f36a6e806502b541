package dev.partita.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Takes a DVD out.
@Command(
    name = "eject",
    description = {
      "Takes the image out of a DVD drive. A guest that has locked the drive (mounted it, perhaps)"
          + " is asked to let go, and this fails; try again later, or use --force."
    },
    mixinStandardHelpOptions = true)
final class DriveEjectCommand implements Callable<Integer> {
  @Option(
      names = {"-f", "--force"},
      description = "Take it out all the same.")
  private boolean force;

  @Mixin private DriveCommand.Dvd drive = new DriveCommand.Dvd();

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    partition.client().ask("drive-eject", drive.wire(), force ? "force" : "ask");
    return ExitCode.SUCCESS;
  }
}
