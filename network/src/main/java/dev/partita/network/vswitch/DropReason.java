package dev.partita.network.vswitch;

/// Why a frame went nowhere.
public enum DropReason {
  /// Too short, or headers that contradict themselves.
  MALFORMED,
  /// A source address that is not the port's.
  SPOOFED_SOURCE,
  /// A VLAN that the port is not in.
  WRONG_VLAN,
  /// An answer of a DHCP server.
  DHCP_GUARD,
  /// A router's advertisement or redirect.
  ROUTER_GUARD,
  /// A rule of the sending or the receiving port.
  DENIED,
  /// Nobody has the destination's address.
  UNKNOWN_DESTINATION,
  /// The receiver had no room.
  NO_ROOM,
  /// The receiving port's bandwidth is used up.
  LIMIT,
  /// Larger than the receiver's MTU.
  TOO_LONG,
  /// The link is down.
  LINK_DOWN
}
