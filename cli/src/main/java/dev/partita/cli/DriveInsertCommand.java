package dev.partita.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Puts a DVD in.
@Command(
    name = "insert",
    description = "Puts an ISO image into an empty DVD drive.",
    mixinStandardHelpOptions = true)
final class DriveInsertCommand implements Callable<Integer> {
  @Parameters(paramLabel = "FILE", description = "The image.")
  private Path file = Path.of("");

  @Mixin private DriveCommand.Dvd drive = new DriveCommand.Dvd();

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    partition.client().ask("drive-insert", drive.wire(), file.toAbsolutePath().toString());
    return ExitCode.SUCCESS;
  }
}
