package dev.partita.cli;

import dev.partita.worker.ControlClient;
import dev.partita.worker.RuntimeEntry;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/// Lists running partitions.
@Command(
    name = "list",
    description = "Lists your running partitions.",
    mixinStandardHelpOptions = true)
final class ListCommand implements Callable<Integer> {
  private static final String ROW = "%-24s %8s %6s %8s %-9s %10s  %s%n";

  @Override
  public Integer call() throws IOException {
    System.out.printf(ROW, "NAME", "PID", "CPUS", "MEMORY", "ENGINE", "RUNNING", "ADDRESS");
    for (var found : RuntimeEntry.list(RuntimeEntry.folder())) {
      var status = status(found);
      System.out.printf(
          ROW,
          found.name(),
          found.pid(),
          status.getOrDefault("processors", "-"),
          status.containsKey("memory")
              ? Long.parseLong(status.get("memory")) / (1 << 20) + "M"
              : "-",
          status.getOrDefault("engine", "-"),
          status.containsKey("started") ? since(Instant.parse(status.get("started"))) : "-",
          address(status));
    }
    return ExitCode.SUCCESS;
  }

  private static Map<String, String> status(RuntimeEntry.Found found) {
    var values = new HashMap<String, String>();
    try (var client = new ControlClient(found.socket(), "status")) {
      for (var line : client.answer().lines().toList()) {
        int equals = line.indexOf('=');
        if (equals > 0) {
          values.put(line.substring(0, equals), line.substring(equals + 1));
        }
      }
    } catch (IOException e) {
      // It is starting or ending just now: its row stays without details.
    }
    return values;
  }

  /// What its NAT has given the guest: this needs nothing of the guest.
  private static String address(Map<String, String> status) {
    var addresses = status.getOrDefault("addresses", "");
    return addresses.isEmpty() ? "-" : Printable.line(addresses);
  }

  private static String since(Instant start) {
    var time = Duration.between(start, Instant.now());
    return "%d:%02d:%02d".formatted(time.toHours(), time.toMinutesPart(), time.toSecondsPart());
  }
}
