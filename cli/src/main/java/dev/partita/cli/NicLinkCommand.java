package dev.partita.cli;

import java.io.IOException;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Pulls a NIC's cable, or puts it in.
@Command(
    name = "link",
    description = "Takes the link of a network card up or down, as its cable would.",
    mixinStandardHelpOptions = true)
final class NicLinkCommand implements Callable<Integer> {
  /// Of a link.
  enum Direction {
    UP,
    DOWN
  }

  @Parameters(index = "0", paramLabel = "NUMBER", description = "Which: see nic list.")
  private int number;

  @Parameters(index = "1", paramLabel = "up|down", description = "Where to.")
  private Direction direction = Direction.UP;

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    partition
        .client()
        .ask(
            "nic-set",
            Integer.toString(number),
            "link=" + direction.name().toLowerCase(Locale.ROOT));
    return ExitCode.SUCCESS;
  }
}
