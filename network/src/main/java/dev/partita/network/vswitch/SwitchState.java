package dev.partita.network.vswitch;

import java.util.List;

/// The saveable state of a switch: settings, learned stations and open ways. Ports are known by
/// their names; who restores connects them first.
public record SwitchState(List<PortState> ports, List<Station> stations) {
  /// A port.
  public record PortState(String name, PortSettings settings, boolean up, List<Way> ways) {}

  /// A learned station.
  ///
  /// @param mac 48 bits
  /// @param ageNanos since it was last seen
  public record Station(int vlan, long mac, String port, long ageNanos) {}

  /// A way that a stateful rule has opened.
  ///
  /// @param local address as text, as `remote` is
  public record Way(
      int protocol,
      String local,
      int localPort,
      String remote,
      int remotePort,
      long leftNanos,
      long idleNanos) {}

  public SwitchState {
    ports = List.copyOf(ports);
    stations = List.copyOf(stations);
  }
}
