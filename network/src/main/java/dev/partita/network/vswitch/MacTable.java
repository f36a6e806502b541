package dev.partita.network.vswitch;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicIntegerArray;

/// Learned stations: where an address was last seen, by VLAN. Bounded in total and by port, so that
/// one port cannot push out what others need. Thread-safe.
final class MacTable {
  /// IEEE 802.1D, 7.9.2: entries that were not seen again for this long are forgotten.
  static final long AGEING = 300 * 1_000_000_000L;

  static final int MOST = 8192;
  static final int MOST_BY_PORT = 2048;

  /// A learned station.
  record Entry(int port, long seen) {}

  private final ConcurrentHashMap<Long, Entry> entries = new ConcurrentHashMap<>();
  private final AtomicIntegerArray byPort = new AtomicIntegerArray(VirtualSwitch.MOST_PORTS);
  private long swept;

  private static long key(int vlan, long mac) {
    return (long) vlan << 48 | mac;
  }

  /// The port of a station, or -1.
  int find(int vlan, long mac, long now) {
    var entry = entries.get(key(vlan, mac));
    return entry == null || now - entry.seen > AGEING ? -1 : entry.port;
  }

  /// Notes where a station was seen.
  void learn(int vlan, long mac, int port, long now) {
    long key = key(vlan, mac);
    var known = entries.get(key);
    // Within a second nothing new is worth a write.
    if (known != null && known.port == port && now - known.seen < 1_000_000_000L) {
      return;
    }
    if (known == null && (entries.size() >= MOST || byPort.get(port) >= MOST_BY_PORT)) {
      sweep(now);
      if (entries.size() >= MOST || byPort.get(port) >= MOST_BY_PORT) {
        return;
      }
    }
    var before = entries.put(key, new Entry(port, now));
    if (before == null || before.port != port) {
      byPort.incrementAndGet(port);
      if (before != null) {
        byPort.decrementAndGet(before.port);
      }
    }
  }

  private synchronized void sweep(long now) {
    if (now - swept < 1_000_000_000L && swept != 0) {
      return;
    }
    swept = now;
    entries.forEach(
        (key, entry) -> {
          if (now - entry.seen > AGEING) {
            remove(key, entry);
          }
        });
  }

  private void remove(Long key, Entry entry) {
    if (entries.remove(key, entry)) {
      byPort.decrementAndGet(entry.port);
    }
  }

  /// Forgets a port's stations.
  void forget(int port) {
    entries.forEach(
        (key, entry) -> {
          if (entry.port == port) {
            remove(key, entry);
          }
        });
  }

  int size() {
    return entries.size();
  }

  /// A learned station, for saving and for eyes.
  record Station(int vlan, long mac, int port, long ageNanos) {}

  List<Station> stations(long now) {
    var list = new ArrayList<Station>();
    entries.forEach(
        (key, entry) -> {
          if (now - entry.seen <= AGEING) {
            list.add(
                new Station(
                    (int) (key >>> 48), key & 0xffff_ffff_ffffL, entry.port, now - entry.seen));
          }
        });
    return list;
  }
}
