package dev.partita.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Works with the NICs of a running partition.
@Command(
    name = "nic",
    description = {
      "Adds network cards to a running partition, removes them, pulls their cables, and changes how"
          + " the switch treats them. The guest sees it at once."
    },
    mixinStandardHelpOptions = true,
    subcommands = {
      NicListCommand.class,
      NicAddCommand.class,
      NicRemoveCommand.class,
      NicLinkCommand.class,
      NicSetCommand.class,
      HelpCommand.class
    })
final class NicCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command");
  }
}
