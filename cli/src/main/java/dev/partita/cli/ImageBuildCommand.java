package dev.partita.cli;

import dev.partita.image.DebianDiskRequest;
import dev.partita.image.ImageException;
import dev.partita.image.Images;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
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

  @Option(
      names = "--user",
      paramLabel = "NAME",
      defaultValue = "partita",
      description = "Who logs in; root too (default: ${DEFAULT-VALUE}).")
  private String user = "partita";

  @Option(
      names = "--ssh-key",
      paramLabel = "FILE",
      description = "Public keys that the user logs in with over SSH. Repeatable.")
  private List<Path> keys = new ArrayList<>();

  @Option(
      names = "--password",
      arity = "0..1",
      interactive = true,
      echo = false,
      prompt = "Password for the user: ",
      paramLabel = "TEXT",
      description = "A password for the user; asked for when none is given here.")
  private char @Nullable [] password;

  @Option(
      names = "--hostname",
      paramLabel = "NAME",
      defaultValue = "debian",
      description = "The guest's name (default: ${DEFAULT-VALUE}).")
  private String hostname = "debian";

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
    if (password != null && password.length == 0) {
      throw new ParameterException(spec.commandLine(), "the password is empty");
    }
    var request =
        new DebianDiskRequest(
            release,
            packages,
            size,
            user,
            password == null ? null : new String(password),
            keyLines(),
            hostname,
            mirror);
    var display = new ProgressDisplay(System.err, Posix.isTerminal(2));
    try {
      Images.buildDebian(Images.defaultCache(), request, output, force, display::update);
    } finally {
      display.finish();
    }
    spec.commandLine()
        .getOut()
        .printf(
            "%s: Debian %s, %s%n",
            output,
            release,
            password == null
                ? "user %s, no password on the console".formatted(user)
                : "user " + user);
    return ExitCode.SUCCESS;
  }

  private List<String> keyLines() throws IOException {
    List<String> lines = new ArrayList<>();
    for (Path file : keys) {
      var text = Files.readString(file);
      if (text.contains("PRIVATE KEY")) {
        throw new ImageException(
            file + " is a private key: give the public one, usually " + file + ".pub");
      }
      text.lines()
          .map(String::strip)
          .filter(l -> !l.isEmpty() && !l.startsWith("#"))
          .forEach(lines::add);
    }
    return lines;
  }
}
