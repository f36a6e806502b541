package dev.partita.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Makes guest disks.
@Command(
    name = "image",
    description = "Makes guest disks from a distribution's packages, and seeds for cloud images.",
    mixinStandardHelpOptions = true,
    subcommands = {ImageBuildCommand.class, ImageSeedCommand.class, HelpCommand.class})
final class ImageCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command");
  }
}
