package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.network.vswitch.SwitchInfo;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Shows the ports of switches.
@Command(
    name = "show",
    description =
        "Shows the ports of virtual switches: settings, counters, and why frames were dropped.",
    mixinStandardHelpOptions = true)
final class SwitchShowCommand implements Callable<Integer> {
  /// Takes the cursor home and clears what is below (ECMA-48, CUP and ED).
  private static final String HOME = "\033[H\033[J";

  @Parameters(
      arity = "0..1",
      paramLabel = "SWITCH",
      description = "Which switch, by its name in switch list (default: all).")
  private @Nullable String name;

  @Option(
      names = {"-p", "--partition"},
      paramLabel = "NAME|PID",
      description = "Only the part of this partition.")
  private String partition = "";

  @Option(
      names = {"-w", "--watch"},
      description = "Shows it again every second, with what passed meanwhile, until Ctrl-C.")
  private boolean watch;

  @Option(
      names = "--interval",
      paramLabel = "TIME",
      converter = Quantities.Time.class,
      description = "For --watch: how often (default: 1s).")
  private Duration interval = Duration.ofSeconds(1);

  @Override
  public Integer call() throws IOException, InterruptedException {
    var before = new HashMap<String, SwitchInfo.PortInfo>();
    long then = 0;
    while (true) {
      long now = System.nanoTime();
      var parts = parts();
      var lines = new ArrayList<String>();
      for (var each : parts) {
        lines.add("partition " + each.partition());
        lines.addAll(each.part().show());
        if (watch) {
          lines.addAll(rates(each, before, (now - then) / 1e9));
        }
        lines.add("");
      }
      if (watch && Posix.isTerminal(1)) {
        System.out.print(HOME);
      }
      lines.stream().map(Printable::line).forEach(System.out::println);
      System.out.flush();
      if (!watch) {
        return ExitCode.SUCCESS;
      }
      if (System.out.checkError()) {
        return ExitCode.SUCCESS; // who read it has enough
      }
      before.clear();
      for (var each : parts) {
        each.part().ports().forEach(port -> before.put(key(each, port), port));
      }
      then = now;
      Thread.sleep(interval);
    }
  }

  private List<SwitchCommand.Part> parts() throws IOException {
    var parts =
        SwitchCommand.all(partition).stream()
            .filter(each -> name == null || each.part().name().equals(name))
            .toList();
    if (parts.isEmpty() && name != null) {
      throw new PartitionException(
          "no switch '%s' is there (see partita switch list)".formatted(name));
    }
    return parts;
  }

  private static String key(SwitchCommand.Part part, SwitchInfo.PortInfo port) {
    return part.partition() + "/" + part.part().name() + "/" + port.name();
  }

  private static List<String> rates(
      SwitchCommand.Part part, Map<String, SwitchInfo.PortInfo> before, double seconds) {
    var lines = new ArrayList<String>();
    for (var port : part.part().ports()) {
      var earlier = before.get(key(part, port));
      if (earlier != null) {
        var now = port.counters();
        var old = earlier.counters();
        lines.add(
            String.format(
                Locale.ROOT,
                "  %s: out %.0f frames/s, %.2f Mbit/s; in %.0f frames/s, %.2f Mbit/s; dropped %.0f/s",
                port.name(),
                (now.framesOut() - old.framesOut()) / seconds,
                (now.octetsOut() - old.octetsOut()) * 8e-6 / seconds,
                (now.framesIn() - old.framesIn()) / seconds,
                (now.octetsIn() - old.octetsIn()) * 8e-6 / seconds,
                (now.dropped() - old.dropped()) / seconds));
      }
    }
    return lines;
  }
}
