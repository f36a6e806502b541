package dev.partita.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Makes and keeps virtual disks.
@Command(
    name = "disk",
    description = "Makes, converts, checks and merges virtual disks: VHDX, VHD and raw.",
    mixinStandardHelpOptions = true,
    subcommands = {
      DiskCreateCommand.class,
      DiskInfoCommand.class,
      DiskConvertCommand.class,
      DiskCheckCommand.class,
      DiskResizeCommand.class,
      DiskMergeCommand.class,
      HelpCommand.class
    })
final class DiskCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command");
  }
}
