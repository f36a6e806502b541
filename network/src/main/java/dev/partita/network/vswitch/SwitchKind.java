package dev.partita.network.vswitch;

/// The kinds of virtual switches, as Hyper-V has them.
public enum SwitchKind {
  /// Children, the host and a network beyond it.
  EXTERNAL,
  /// Children and the host.
  INTERNAL,
  /// Children only.
  PRIVATE
}
