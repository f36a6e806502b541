package dev.partita.cli;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Works with the system in a partition, by its integration services.
@Command(
    name = "guest",
    description = {
      "Works with the system in a running partition. That needs its integration services: Windows"
          + " has them; on Debian and Ubuntu install hyperv-daemons or linux-cloud-tools-virtual."
    },
    mixinStandardHelpOptions = true,
    subcommands = {
      GuestInfoCommand.class,
      GuestValuesCommand.class,
      GuestGetCommand.class,
      GuestSetCommand.class,
      GuestDeleteCommand.class,
      GuestCopyCommand.class,
      GuestFreezeCommand.class,
      GuestThawCommand.class,
      HelpCommand.class
    })
final class GuestCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command");
  }

  /// Which partition, where parameters are for something else.
  static final class Partition {
    @Option(
        names = {"-p", "--partition"},
        paramLabel = "NAME|PID",
        description = "Which partition; not needed when only one is running.")
    private @Nullable String name;

    GuestClient client() throws java.io.IOException {
      return GuestClient.of(name);
    }
  }

  /// Pools of values, as they are called here.
  enum Pool {
    /// What the host gives the guest.
    external,
    /// What programs in the guest give the host.
    guest,
    /// What the guest's system tells of itself.
    auto,
    /// What the host tells of itself.
    host;

    /// Its name in the control protocol.
    String wire() {
      return this == host ? "auto-external" : name();
    }
  }

  /// For a service whose helper in the guest is a daemon.
  static GuestSaidNoException explain(GuestSaidNoException e, String daemon) {
    return switch (e.status()) {
      case GuestSaidNoException.NOT_CONNECTED ->
          e.instead("the guest's service for that is not running (in Linux, " + daemon + ")");
      case GuestSaidNoException.FAILED -> e.with("in Linux, is " + daemon + " running?");
      default -> e;
    };
  }
}
