package dev.partita.cli;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Works with the drives of a running partition.
@Command(
    name = "drive",
    description = {
      "Adds disks and DVD drives to a running partition, removes them, and changes DVDs. The guest"
          + " sees it at once."
    },
    mixinStandardHelpOptions = true,
    subcommands = {
      DriveListCommand.class,
      DriveAddCommand.class,
      DriveRemoveCommand.class,
      DriveInsertCommand.class,
      DriveEjectCommand.class,
      HelpCommand.class
    })
final class DriveCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command");
  }

  /// Which DVD drive.
  static final class Dvd {
    @Option(
        names = "--lun",
        paramLabel = "NUMBER",
        description = "Which DVD drive; not needed when there is only one.")
    private @Nullable Integer lun;

    /// As the control protocol has it.
    String wire() {
      return DriveCommand.lun(lun);
    }
  }

  /// A LUN in the control protocol.
  static String lun(@Nullable Integer lun) {
    return lun == null ? "-" : lun.toString();
  }
}
