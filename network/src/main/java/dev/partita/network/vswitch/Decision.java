package dev.partita.network.vswitch;

/// What is to become of a frame.
sealed interface Decision {
  /// Nothing.
  record Drop(DropReason reason) implements Decision {}

  /// It goes to ports, by their numbers.
  ///
  /// @param vlan it is in
  record Deliver(int vlan, int[] ports) implements Decision {}
}
