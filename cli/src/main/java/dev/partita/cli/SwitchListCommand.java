package dev.partita.cli;

import java.io.IOException;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/// Lists switches.
@Command(
    name = "list",
    description = "Lists the virtual switches of your running partitions.",
    mixinStandardHelpOptions = true)
final class SwitchListCommand implements Callable<Integer> {
  private static final String ROW = "%-24s %-9s %-24s %5s %14s %14s %9s%n";

  @Override
  public Integer call() throws IOException {
    System.out.printf(ROW, "SWITCH", "KIND", "PARTITION", "PORTS", "FRAMES", "OCTETS", "DROPPED");
    for (var each : SwitchCommand.all("")) {
      var one = each.part();
      long frames = one.ports().stream().mapToLong(port -> port.counters().framesOut()).sum();
      long octets = one.ports().stream().mapToLong(port -> port.counters().octetsOut()).sum();
      long dropped = one.ports().stream().mapToLong(port -> port.counters().dropped()).sum();
      System.out.printf(
          ROW,
          Printable.line(one.name()),
          one.kind().name().toLowerCase(Locale.ROOT),
          each.partition(),
          one.ports().size(),
          frames,
          octets,
          dropped);
    }
    return ExitCode.SUCCESS;
  }
}
