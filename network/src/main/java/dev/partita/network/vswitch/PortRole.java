package dev.partita.network.vswitch;

/// What is behind a port.
public enum PortRole {
  /// A child's NIC.
  ADAPTER,
  /// The host: its NAT, or an interface of its own on the switch.
  HOST,
  /// A network beyond the host, whose stations are not known beforehand.
  UPLINK,
  /// The same switch in another process.
  LINK;

  /// Whether a switch of a kind has ports of this role.
  boolean belongsTo(SwitchKind kind) {
    return switch (this) {
      case ADAPTER, LINK -> true;
      case HOST -> kind != SwitchKind.PRIVATE;
      case UPLINK -> kind == SwitchKind.EXTERNAL;
    };
  }
}
