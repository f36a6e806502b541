package dev.partita.network.vswitch;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// What an operator sees of a switch at one moment: plain values, so that it can cross from the
/// process that has the switch to the one that shows it.
///
/// @param stations learned
public record SwitchInfo(String name, SwitchKind kind, int stations, List<PortInfo> ports) {
  /// A port.
  ///
  /// @param mac the adapter's address, or nothing where stations are learned
  /// @param vlan as an operator writes it: `untagged`, `access 5`, `trunk 5,6 native 7` or `all`
  /// @param features what is switched on, in words
  /// @param rules entries of the access list
  public record PortInfo(
      String name,
      PortRole role,
      @Nullable String mac,
      boolean up,
      String vlan,
      List<String> features,
      int rules,
      PortCounters.Snapshot counters) {}

  public SwitchInfo {
    ports = List.copyOf(ports);
  }

  /// The switch now.
  public static SwitchInfo of(VirtualSwitch network) {
    return new SwitchInfo(
        network.name(),
        network.kind(),
        network.stationCount(),
        network.ports().stream().map(SwitchInfo::port).toList());
  }

  private static PortInfo port(SwitchPort port) {
    var settings = port.settings();
    var mac = settings.mac();
    return new PortInfo(
        port.name(),
        settings.role(),
        mac == null ? null : mac.toString(),
        port.up(),
        vlan(settings.vlan()),
        features(settings),
        settings.rules().size(),
        port.counters().snapshot());
  }

  private static String vlan(VlanMode mode) {
    if (mode.equals(VlanMode.UNTAGGED)) {
      return "untagged";
    }
    if (mode.equals(VlanMode.ALL)) {
      return "all";
    }
    return switch (mode) {
      case VlanMode.Access(int vlan) -> "access " + vlan;
      case VlanMode.Trunk(int natively, var allowed) ->
          "trunk "
              + allowed.stream().map(String::valueOf).collect(Collectors.joining(","))
              + " native "
              + natively;
    };
  }

  private static List<String> features(PortSettings settings) {
    var all = new java.util.ArrayList<String>();
    if (settings.role() == PortRole.ADAPTER && settings.macSpoofing()) {
      all.add("MAC spoofing");
    }
    if (settings.dhcpGuard()) {
      all.add("DHCP guard");
    }
    if (settings.routerGuard()) {
      all.add("router guard");
    }
    if (settings.outboundLimit() > 0) {
      all.add("out " + rate(settings.outboundLimit()));
    }
    if (settings.inboundLimit() > 0) {
      all.add("in " + rate(settings.inboundLimit()));
    }
    switch (settings.mirroring()) {
      case SOURCE -> all.add("mirrored");
      case DESTINATION -> all.add("mirror");
      case NONE -> {}
    }
    return all;
  }

  private static String rate(long bitsPerSecond) {
    return String.format(Locale.ROOT, "%.1f Mbit/s", bitsPerSecond / 1e6);
  }

  /// `switch list`: a line for each switch, with a heading.
  public static List<String> list(List<SwitchInfo> switches) {
    var lines = new java.util.ArrayList<String>();
    lines.add(String.format(Locale.ROOT, "%-24s %-9s %6s", "SWITCH", "KIND", "PORTS"));
    for (var one : switches) {
      lines.add(
          String.format(
              Locale.ROOT,
              "%-24s %-9s %6d",
              one.name,
              one.kind.name().toLowerCase(Locale.ROOT),
              one.ports.size()));
    }
    return lines;
  }

  /// `switch show`: the ports with their settings and counters.
  public List<String> show() {
    var lines = new java.util.ArrayList<String>();
    lines.add(
        "%s: %s switch, %d ports, %d learned stations"
            .formatted(name, kind.name().toLowerCase(Locale.ROOT), ports.size(), stations));
    for (var port : ports) {
      var address = port.mac == null ? "" : " " + port.mac;
      lines.add(
          "  %s: %s%s, link %s, VLAN %s%s%s"
              .formatted(
                  port.name,
                  port.role.name().toLowerCase(Locale.ROOT),
                  address,
                  port.up ? "up" : "down",
                  port.vlan,
                  port.rules == 0 ? "" : ", %d rules".formatted(port.rules),
                  port.features.isEmpty() ? "" : ", " + String.join(", ", port.features)));
      var counters = port.counters;
      lines.add(
          "    out %d frames, %d octets; in %d frames, %d octets; waited %d times for room, %d for"
                  .formatted(
                      counters.framesOut(),
                      counters.octetsOut(),
                      counters.framesIn(),
                      counters.octetsIn(),
                      counters.refused(),
                      counters.throttled())
              + " bandwidth");
      if (counters.dropped() > 0) {
        lines.add("    dropped: " + drops(counters.drops()));
      }
    }
    return lines;
  }

  private static String drops(Map<DropReason, Long> drops) {
    return drops.entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .map(
            entry ->
                entry.getValue()
                    + " "
                    + entry.getKey().name().toLowerCase(Locale.ROOT).replace('_', ' '))
        .collect(Collectors.joining(", "));
  }
}
