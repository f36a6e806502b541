package dev.partita.cli;

import dev.partita.network.vswitch.SwitchInfo;
import dev.partita.worker.ControlClient;
import dev.partita.worker.RuntimeEntry;
import dev.partita.worker.SwitchWords;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
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
        }
      } catch (IOException e) {
        // It is starting or ending just now.
      }
    }
    return parts;
  }
}
