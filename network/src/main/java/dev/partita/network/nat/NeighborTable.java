package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import java.util.LinkedHashMap;
import java.util.Map;

/// The guests' Ethernet addresses by their IP addresses; bounded, the least recently used go
/// first. Not thread-safe.
final class NeighborTable {
  static final int MOST = 1024;

  private final LinkedHashMap<IpAddress, Long> entries =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<IpAddress, Long> eldest) {
          return size() > MOST;
        }
      };

  void learn(IpAddress address, long mac) {
    entries.put(address, mac);
  }

  /// The address's station, or -1.
  long find(IpAddress address) {
    var mac = entries.get(address);
    return mac == null ? -1 : mac;
  }

  int size() {
    return entries.size();
  }
}
