package dev.partita.cli;

import dev.partita.network.vswitch.SwitchInfo;
import dev.partita.worker.ControlClient;
import dev.partita.worker.RuntimeEntry;
import dev.partita.worker.SwitchWords;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Shows virtual switches.
@Command(
    name = "switch",
    description = {
      "Shows the virtual switches of your running partitions, with their ports and counters.",
      "",
      "A switch is there as long as a network card is plugged into it. Each partition has a part of"
          + " its own of a switch that several share."
    },
    mixinStandardHelpOptions = true,
    subcommands = {SwitchListCommand.class, SwitchShowCommand.class, HelpCommand.class})
final class SwitchCommand implements Runnable {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "Missing command");
  }

  /// A partition's part of a switch.
  record Part(String partition, SwitchInfo part) {}

  /// The switches of all partitions, or of one.
  ///
  /// @param partition its name, or nothing for all
  static List<Part> all(String partition) throws IOException {
    var parts = new ArrayList<Part>();
    var which =
        partition.isEmpty()
            ? RuntimeEntry.list(RuntimeEntry.folder())
            : List.of(PartitionChoice.find(partition));
    for (var found : which) {
      try (var client = new ControlClient(found.socket(), "switch-list")) {
        var lines = client.answer().lines().toList();
        if (!lines.isEmpty() && lines.getFirst().equals("ok")) {
          SwitchWords.decode(lines.subList(1, lines.size()))
              .forEach(part -> parts.add(new Part(found.name(), part)));
        } else {
          untold(found, lines.isEmpty() ? "no answer" : lines.getFirst());
        }
      } catch (IOException e) {
        untold(found, e.getMessage());
      }
    }
    return parts;
  }

  private static void untold(RuntimeEntry.Found partition, @Nullable String why) {
    // Without a socket it is starting or ending just now.
    if (Files.exists(partition.socket())) {
      System.err.printf(
          "partita: partition '%s' does not tell its switches: %s%n",
          partition.name(), Printable.line(String.valueOf(why)));
    }
  }
}
