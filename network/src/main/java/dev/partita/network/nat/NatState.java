package dev.partita.network.nat;

import java.util.List;

/// The saveable state of the NAT: leases, and which connections there were. The host's sockets
/// cannot be saved; the gateway that takes the state up resets these connections toward the
/// guest, so that its programs notice at once and do not wait for answers that cannot come.
public record NatState(List<Lease> leases, List<Connection> connections) {
  /// A lease of the DHCP server.
  ///
  /// @param client identifier in hexadecimal digits
  /// @param mac 48 bits
  /// @param leftNanos until it ends
  public record Lease(String client, long mac, String address, long leftNanos, boolean bound) {}

  /// A TCP connection.
  ///
  /// @param guestMac 48 bits
  /// @param sequence the gateway's next
  /// @param acknowledgment the guest's next
  public record Connection(
      String guest,
      int guestPort,
      String remote,
      int remotePort,
      long guestMac,
      int sequence,
      int acknowledgment,
      String state) {}

  /// Of a gateway that nobody has used.
  public static final NatState NONE = new NatState(List.of(), List.of());

  public NatState {
    leases = List.copyOf(leases);
    connections = List.copyOf(connections);
  }
}
