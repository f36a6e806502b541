package dev.partita.cli;

import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// Prints a shell's completion script.
@Command(
    name = "completion",
    description = {
      "Prints a completion script for a shell. In bash:",
      "  source <(./partita completion bash)"
    },
    mixinStandardHelpOptions = true)
final class CompletionCommand implements Callable<Integer> {
  /// Shells there is a script for.
  enum Shell {
    /// The script serves both.
    bash,
    zsh
  }

  @Parameters(paramLabel = "SHELL", description = "${COMPLETION-CANDIDATES}")
  private Shell shell = Shell.bash;

  @Override
  public Integer call() {
    if (shell == Shell.zsh) {
      System.out.println("autoload -Uz compinit bashcompinit && compinit && bashcompinit");
    }
    System.out.println(AutoComplete.bash("partita", Main.commandLine()));
    return ExitCode.SUCCESS;
  }
}
