package dev.partita.cli;

import dev.partita.worker.ControlWords;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Shows what a guest tells of itself.
@Command(
    name = "info",
    description = "Shows what the guest tells of itself: its system, name, addresses, services.",
    mixinStandardHelpOptions = true)
final class GuestInfoCommand implements Callable<Integer> {
  /// What is shown first, and how it is called.
  private static final Map<String, String> LABELS = new LinkedHashMap<>();

  static {
    LABELS.put("OSName", "system");
    LABELS.put("OSVersion", "version");
    LABELS.put("OSBuildNumber", "kernel");
    LABELS.put("ProcessorArchitecture", "architecture");
    LABELS.put("FullyQualifiedDomainName", "name");
    LABELS.put("NetworkAddressIPv4", "IPv4");
    LABELS.put("NetworkAddressIPv6", "IPv6");
    LABELS.put("IntegrationServicesVersion", "services version");
  }

  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which partition; not needed when only one is running.")
  private @Nullable String partition;

  @Option(
      names = "--raw",
      description = "Lines \"key=value\" with the guest's own keys, for scripts.")
  private boolean raw;

  @Override
  public Integer call() throws IOException {
    Map<String, String> services = new LinkedHashMap<>();
    Map<String, String> facts = new LinkedHashMap<>();
    var client = GuestClient.of(partition);
    for (var line : client.ask("guest-info")) {
      var words = ControlWords.decode(line);
      if (words.getFirst().equals("fact") && words.size() == 3) {
        facts.put(words.get(1), words.get(2));
      } else if (words.size() == 2) {
        services.put(words.getFirst(), words.get(1));
      }
    }
    Map<String, String> adapters = new LinkedHashMap<>();
    if (services.getOrDefault("exchange", "").equals("yes")) {
      adapters.putAll(adapters(client));
    }
    if (raw) {
      adapters.forEach((key, value) -> System.out.println(key + "=" + Printable.line(value)));
      services.forEach((key, value) -> System.out.println(key + "=" + Printable.line(value)));
      facts.forEach(
          (key, value) -> System.out.println(Printable.line(key) + "=" + Printable.line(value)));
    } else {
      print(services, facts, adapters);
    }
    return ExitCode.SUCCESS;
  }

  /// What the guest tells of each of its NICs.
  private static Map<String, String> adapters(GuestClient client) throws IOException {
    Map<String, String> adapters = new LinkedHashMap<>();
    for (var line : client.ask("nic-list")) {
      var words = ControlWords.decode(line);
      if (words.size() < NicListCommand.FIELDS) {
        continue;
      }
      var mac = words.get(3);
      var told = new ArrayList<String>();
      try {
        for (var each : client.ask("guest-addresses", mac.toUpperCase(Locale.ROOT))) {
          told.add(String.join(" ", ControlWords.decode(each)));
        }
      } catch (GuestSaidNoException e) {
        continue; // without a driver, or down
      }
      adapters.put("nic" + words.getFirst(), mac + " " + String.join(", ", told));
    }
    return adapters;
  }

  private static void print(
      Map<String, String> services, Map<String, String> facts, Map<String, String> adapters) {
    row("heartbeat", services.getOrDefault("heartbeat", "-"));
    LABELS.forEach(
        (key, label) -> {
          var value = facts.get(key);
          if (value != null && !value.isEmpty()) {
            row(label, value.startsWith(";") ? value.substring(1) : value);
          }
        });
    facts.forEach(
        (key, value) -> {
          // The parts of what OSVersion has whole.
          if (!LABELS.containsKey(key) && !key.matches("OS(Major|Minor)Version")) {
            row(key, value);
          }
        });
    adapters.forEach(GuestInfoCommand::row);
    List<String> running =
        services.entrySet().stream()
            .filter(each -> !List.of("heartbeat", "no-facts").contains(each.getKey()))
            .filter(each -> !each.getValue().equals("no"))
            .map(Map.Entry::getKey)
            .toList();
    row("services", running.isEmpty() ? "none" : String.join(", ", running));
    if (List.of("frozen", "freezing", "thawing").contains(services.getOrDefault("backup", ""))) {
      row("file systems", services.getOrDefault("backup", ""));
    }
    if (facts.isEmpty()) {
      OperatorLog.say(
          "the guest tells nothing of itself: in Linux, is hv_kvp_daemon running? ("
              + services.getOrDefault("no-facts", "no data exchange service")
              + ")");
    }
  }

  private static void row(String label, String value) {
    System.out.printf("%-18s %s%n", Printable.line(label), Printable.line(value));
  }
}
