package dev.partita.cli;

import dev.partita.image.CloudSeed;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Makes a small disk that tells cloud-init in a guest who may log in.
@Command(
    name = "seed",
    description = {
      "Makes a small disk that tells cloud-init in a guest its name and who may log in (NoCloud), for"
          + " cloud images, which have no user of their own.",
      "",
      "  partita image seed --user me --ssh-key ~/.ssh/id_ed25519.pub -o seed.vhdx",
      "  partita run --disk cloud-image.vhdx --disk seed.vhdx",
      "",
      "Without --password the user logs in on the console without one; SSH takes keys only."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class ImageSeedCommand implements Callable<Integer> {
  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      required = true,
      description = "The disk to make: .vhdx, .vhd or .raw.")
  private Path output = Path.of("");

  @Mixin private GuestUserOptions guest = new GuestUserOptions();

  @Option(names = "--force", description = "Replace FILE when it is there.")
  private boolean force;

  @Override
  public Integer call() throws IOException {
    new CloudSeed(guest.user(), guest.password(), guest.keyLines(), guest.hostname())
        .write(output.toAbsolutePath(), force);
    return ExitCode.SUCCESS;
  }
}
