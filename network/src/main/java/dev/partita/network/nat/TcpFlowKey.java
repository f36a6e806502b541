package dev.partita.network.nat;

import dev.partita.network.IpAddress;

/// Both ends of a connection as the guest sees them.
record TcpFlowKey(IpAddress guest, int guestPort, IpAddress remote, int remotePort) {}
