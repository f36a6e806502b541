package dev.partita.worker;

import dev.partita.network.nat.Publication;
import java.util.List;

/// A partition's network as an operator asks for it.
///
/// @param adapters its NICs
/// @param publications ports of the host that lead to the guest by way of the NAT
public record NetworkSettings(List<AdapterSettings> adapters, List<Publication> publications) {
  /// No network.
  public static final NetworkSettings NONE = new NetworkSettings(List.of(), List.of());

  public NetworkSettings {
    adapters = List.copyOf(adapters);
    publications = List.copyOf(publications);
  }
}
