package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import java.io.IOException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// The `partita` command.
@Command(
    name = "partita",
    description =
        "Runs Hyper-V guests where the JVM runs, with or without hardware virtualization.",
    versionProvider = Main.Version.class,
    mixinStandardHelpOptions = true,
    subcommands = {
      RunCommand.class,
      ListCommand.class,
      AttachCommand.class,
      StopCommand.class,
      RestartCommand.class,
      GuestCommand.class,
      KeysCommand.class,
      TypeCommand.class,
      DriveCommand.class,
      NicCommand.class,
      SwitchCommand.class,
      CaptureCommand.class,
      DiskCommand.class,
      ImageCommand.class,
      CompletionCommand.class,
      HelpCommand.class
    },
    footer = {
      "",
      "The launcher has further commands: ./partita build, test, format, bench.",
      "First steps: ./partita run debian"
    })
public final class Main implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  private Main() {}

  /// Runs the command and ends the process with its exit code.
  public static void main(String[] args) {
    System.exit(commandLine().execute(args));
  }

  static CommandLine commandLine() {
    var line = new CommandLine(new Main());
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setUsageHelpAutoWidth(true);
    line.setParameterExceptionHandler((e, _) -> refuseUsage(e));
    line.setExecutionExceptionHandler((e, _, _) -> explain(e));
    return line;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command");
  }

  private static int refuseUsage(ParameterException e) {
    var message = String.valueOf(e.getMessage()).replace('\n', ' ').replace("\r", "");
    OperatorLog.say(message + " (see " + helpFor(e.getCommandLine()) + ")");
    return ExitCode.USAGE;
  }

  private static String helpFor(CommandLine line) {
    var name = line.getCommandSpec().qualifiedName();
    return name.equals("partita") ? "partita help" : name + " --help";
  }

  private static int explain(Exception e) {
    if (e instanceof GuestSaidNoException) {
      OperatorLog.say(describe(e));
      return ExitCode.GUEST_SAID_NO;
    }
    if (e instanceof PartitionException || e instanceof IOException) {
      OperatorLog.say(describe(e));
      return ExitCode.REFUSED;
    }
    OperatorLog.say("a defect: " + e);
    for (var frame : e.getStackTrace()) {
      OperatorLog.sayMore(java.util.List.of("at " + frame));
    }
    return ExitCode.DEFECT;
  }

  private static String describe(Exception e) {
    return switch (e) {
      case java.nio.file.NoSuchFileException missing -> missing.getFile() + ": no such file";
      case java.nio.file.AccessDeniedException denied -> denied.getFile() + ": permission denied";
      default -> e.getMessage() == null ? e.toString() : e.getMessage();
    };
  }

  /// The version from the build.
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() throws IOException {
      var properties = new java.util.Properties();
      try (var in = Main.class.getResourceAsStream("version.properties")) {
        if (in != null) {
          properties.load(in);
        }
      }
      return new String[] {
        "partita " + properties.getProperty("version", "of an unknown build"),
        "JVM: " + System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version")
      };
    }
  }
}
