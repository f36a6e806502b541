package dev.partita.cli;

import dev.partita.image.DebianDiskRequest;
import dev.partita.image.Images;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Makes a disk with a distribution on it.
@Command(
    name = "build",
    description = {
      "Makes a disk with a Debian that boots, from the distribution's packages, as an ordinary user"
          + " or as root. The packages are kept for the next time.",
      "",
      "  partita image build debian -o debian.vhdx",
      "  partita image build debian --release 13 --package nginx --ssh-key ~/.ssh/id_ed25519.pub"
          + " -o web.vhdx",
      "",
      "Without --password the user logs in on the console without one; SSH takes keys only. The user"
          + " becomes root with sudo."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class ImageBuildCommand implements Callable<Integer> {
  @Spec private CommandSpec spec = CommandSpec.create();

  /// Distributions that disks are made of.
  enum Distribution {
    /// Debian.
    debian
  }

  @Parameters(index = "0", paramLabel = "SYSTEM", description = "${COMPLETION-CANDIDATES}.")
  private Distribution distribution = Distribution.debian;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      required = true,
      description = "The disk to make: .vhdx, .vhd or .raw.")
  private Path output = Path.of("");

  @Option(
      names = "--release",
      paramLabel = "NAME",
      defaultValue = "12",
      description = "12 or bookworm, 13 or trixie, ... (default: ${DEFAULT-VALUE}).")
  private String release = "12";

  @Option(
      names = "--package",
      paramLabel = "NAME",
      description = "Install this package too. Repeatable.")
  private List<String> packages = new ArrayList<>();

  @Option(
      names = "--size",
      paramLabel = "SIZE",
      defaultValue = "4G",
      converter = Quantities.Memory.class,
      description = "Of the disk, which takes room as it fills (default: ${DEFAULT-VALUE}).")
  private long size;

  @Mixin private GuestUserOptions guest = new GuestUserOptions();

  @Option(
      names = "--mirror",
      paramLabel = "URL",
      description =
          "Where packages come from; this machine's Debian mirror, or http://deb.debian.org/debian,"
              + " when not given.")
  private @Nullable String mirror;

  @Option(names = "--force", description = "Replace FILE when it is there.")
  private boolean force;

  @Override
  public Integer call() throws IOException {
    var request =
        new DebianDiskRequest(
            release,
            packages,
            size,
            guest.user(),
            guest.password(),
            guest.keyLines(),
            guest.hostname(),
            mirror);
    var display = new ProgressDisplay(System.err, Posix.isTerminal(2));
    try {
      Images.buildDebian(Images.defaultCache(), request, output, force, display::update);
    } finally {
      display.finish();
    }
    var login = guest.password() == null ? ", no password on the console" : "";
    spec.commandLine()
        .getOut()
        .printf("%s: Debian %s, user %s%s%n", output, release, guest.user(), login);
    return ExitCode.SUCCESS;
  }
}
