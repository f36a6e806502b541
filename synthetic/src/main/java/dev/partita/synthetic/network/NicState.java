package dev.partita.synthetic.network;

import dev.partita.network.MacAddress;

/// The saveable state of a NIC.
///
/// @param address it has now
public record NicState(MacAddress address) {}
