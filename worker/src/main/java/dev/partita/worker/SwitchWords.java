package dev.partita.worker;

import dev.partita.network.vswitch.DropReason;
import dev.partita.network.vswitch.PortCounters;
import dev.partita.network.vswitch.PortRole;
import dev.partita.network.vswitch.SwitchInfo;
import dev.partita.network.vswitch.SwitchKind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Switches as lines of the control protocol: `switch NAME KIND STATIONS`, then its ports, each
/// `port NAME ROLE MAC LINK VLAN FEATURES RULES`, the eight counters in the order of
/// {@link PortCounters.Snapshot}, and the drops as `REASON NUMBER`.
public final class SwitchWords {
  private static final int PORT_WORDS = 16;

  private SwitchWords() {}

  /// Lines with their ends.
  static String encode(List<SwitchInfo> switches) {
    var lines = new StringBuilder();
    for (var one : switches) {
      line(lines, List.of("switch", one.name(), one.kind().name(), text(one.stations())));
      one.ports().forEach(port -> line(lines, words(port)));
    }
    return lines.toString();
  }

  private static void line(StringBuilder lines, List<String> words) {
    lines.append(ControlWords.encode(words.toArray(String[]::new))).append('\n');
  }

  private static String text(long number) {
    return Long.toString(number);
  }

  private static List<String> words(SwitchInfo.PortInfo port) {
    var mac = port.mac();
    var counters = port.counters();
    var words =
        new ArrayList<>(
            List.of(
                "port",
                port.name(),
                port.role().name(),
                mac == null ? "" : mac,
                port.up() ? "up" : "down",
                port.vlan(),
                String.join(",", port.features()),
                text(port.rules()),
                text(counters.framesOut()),
                text(counters.octetsOut()),
                text(counters.groupOut()),
                text(counters.framesIn()),
                text(counters.octetsIn()),
                text(counters.groupIn()),
                text(counters.refused()),
                text(counters.throttled())));
    counters
        .drops()
        .forEach(
            (reason, number) -> {
              words.add(reason.name());
              words.add(text(number));
            });
    return words;
  }

  /// Reads what {@link #encode} wrote, in this Partita or another. What it does not know is left
  /// out.
  public static List<SwitchInfo> decode(List<String> lines) {
    var switches = new ArrayList<SwitchInfo>();
    List<String> head = List.of();
    var ports = new ArrayList<SwitchInfo.PortInfo>();
    for (var line : lines) {
      var words = ControlWords.decode(line);
      if (words.getFirst().equals("port") && words.size() >= PORT_WORDS) {
        var port = port(words);
        if (port != null) {
          ports.add(port);
        }
      } else if (words.getFirst().equals("switch") && words.size() >= 4) {
        add(switches, head, ports);
        head = words;
      }
    }
    add(switches, head, ports);
    return switches;
  }

  private static void add(
      List<SwitchInfo> switches, List<String> head, List<SwitchInfo.PortInfo> ports) {
    var kind = head.isEmpty() ? null : find(SwitchKind.values(), head.get(2));
    if (kind != null) {
      switches.add(
          new SwitchInfo(head.get(1), kind, (int) number(head.get(3)), List.copyOf(ports)));
    }
    ports.clear();
  }

  private static SwitchInfo.@Nullable PortInfo port(List<String> words) {
    var role = find(PortRole.values(), words.get(2));
    if (role == null) {
      return null;
    }
    var drops = new EnumMap<DropReason, Long>(DropReason.class);
    for (int i = PORT_WORDS; i + 1 < words.size(); i += 2) {
      var reason = find(DropReason.values(), words.get(i));
      if (reason != null) {
        drops.put(reason, number(words.get(i + 1)));
      }
    }
    var features = words.get(6);
    return new SwitchInfo.PortInfo(
        words.get(1),
        role,
        words.get(3).isEmpty() ? null : words.get(3),
        words.get(4).equals("up"),
        words.get(5),
        features.isEmpty() ? List.of() : List.of(features.split(",")),
        (int) number(words.get(7)),
        new PortCounters.Snapshot(
            number(words.get(8)),
            number(words.get(9)),
            number(words.get(10)),
            number(words.get(11)),
            number(words.get(12)),
            number(words.get(13)),
            number(words.get(14)),
            number(words.get(15)),
            drops));
  }

  private static <E extends Enum<E>> @Nullable E find(E[] values, String name) {
    return Arrays.stream(values)
        .filter(value -> value.name().equals(name))
        .findFirst()
        .orElse(null);
  }

  private static long number(String word) {
    return word.matches("[0-9]{1,18}") ? Long.parseLong(word) : 0;
  }
}
