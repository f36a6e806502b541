package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import dev.partita.network.IpPrefix;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Which client has which IPv4 address. Bounded by the network's size and {@link #MOST}. Not
/// thread-safe.
final class LeaseTable {
  private static final long SECOND = 1_000_000_000L;

  /// An offer is kept for so long.
  private static final long OFFER = 60 * SECOND;

  /// An address that a client found to be taken is not given for so long.
  private static final long DECLINED = 600 * SECOND;

  static final int MOST = 4096;

  /// The first addresses are for the gateway and for what has a fixed address.
  private static final int FIRST = 10;

  /// @param client identifier in hexadecimal digits
  record Lease(String client, long mac, IpAddress address, long until, boolean bound) {}

  private final IpPrefix network;
  private final Map<String, Lease> byClient = new LinkedHashMap<>();
  private final Map<IpAddress, Lease> byAddress = new LinkedHashMap<>();
  private @Nullable IpAddress latest;

  LeaseTable(IpPrefix network) {
    this.network = network;
  }

  private long hosts() {
    return (1L << (32 - network.length())) - 2;
  }

  private long first() {
    return hosts() > 3 * FIRST ? FIRST : 2;
  }

  /// Whether an address may be given at all.
  boolean inPool(IpAddress address) {
    if (!network.contains(address)) {
      return false;
    }
    long offset = address.low() - network.address().low();
    return offset >= first() && offset <= hosts();
  }

  /// The client's lease, or nothing.
  @Nullable Lease of(String client, long now) {
    var lease = byClient.get(client);
    return lease == null || lease.until - now <= 0 ? null : lease;
  }

  /// The lease of an address, or nothing.
  @Nullable Lease at(IpAddress address, long now) {
    var lease = byAddress.get(address);
    return lease == null || lease.until - now <= 0 ? null : lease;
  }

  /// The address that was bound last, or nothing.
  @Nullable IpAddress latest() {
    return latest;
  }

  /// Chooses an address for a client: the one it had, else the one it wants, else a free one.
  ///
  /// @return nothing if none is free
  @Nullable IpAddress offer(String client, long mac, @Nullable IpAddress wanted, long now) {
    var known = byClient.get(client);
    IpAddress address = null;
    if (known != null && isFree(known.address, client, now)) {
      address = known.address;
    } else if (wanted != null && inPool(wanted) && isFree(wanted, client, now)) {
      address = wanted;
    } else {
      address = free(client, now);
    }
    if (address != null && (known == null || !known.bound || known.until - now <= 0)) {
      put(new Lease(client, mac, address, now + OFFER, false));
    }
    return address;
  }

  private boolean isFree(IpAddress address, String client, long now) {
    var holder = byAddress.get(address);
    return holder == null || holder.client.equals(client) || holder.until - now <= 0;
  }

  private @Nullable IpAddress free(String client, long now) {
    long last = Math.min(hosts(), first() + MOST - 1);
    IpAddress expired = null;
    for (long offset = first(); offset <= last; offset++) {
      var address = network.at(offset);
      if (!byAddress.containsKey(address)) {
        return address;
      }
      if (expired == null && isFree(address, client, now)) {
        expired = address;
      }
    }
    return expired;
  }

  private void put(Lease lease) {
    remove(byClient.get(lease.client));
    remove(byAddress.get(lease.address));
    byClient.put(lease.client, lease);
    byAddress.put(lease.address, lease);
  }

  private void remove(@Nullable Lease lease) {
    if (lease != null) {
      byClient.remove(lease.client);
      byAddress.remove(lease.address);
    }
  }

  /// Binds an address.
  ///
  /// @return false if another client has it, or it is not of the pool
  boolean bind(String client, long mac, IpAddress address, long seconds, long now) {
    if (!inPool(address)
        || !isFree(address, client, now)
        || byAddress.size() >= MOST && !byAddress.containsKey(address)) {
      return false;
    }
    put(new Lease(client, mac, address, now + seconds * SECOND, true));
    latest = address;
    return true;
  }

  /// The client gives its address back.
  void release(String client, IpAddress address) {
    var lease = byClient.get(client);
    if (lease != null && lease.address.equals(address)) {
      remove(lease);
    }
  }

  /// The client found its address taken by somebody else.
  void decline(String client, IpAddress address, long now) {
    var lease = byClient.get(client);
    if (lease != null && lease.address.equals(address)) {
      remove(lease);
      put(new Lease("declined " + address, 0, address, now + DECLINED, false));
    }
  }

  List<NatState.Lease> save(long now) {
    var saved = new ArrayList<NatState.Lease>();
    for (var lease : byClient.values()) {
      saved.add(
          new NatState.Lease(
              lease.client, lease.mac, lease.address.toString(), lease.until - now, lease.bound));
    }
    return saved;
  }

  void restore(List<NatState.Lease> saved, long now) {
    for (var lease : saved) {
      var address = IpAddress.parse(lease.address());
      if (inPool(address)) {
        put(
            new Lease(
                lease.client(), lease.mac(), address, now + lease.leftNanos(), lease.bound()));
        latest = lease.bound() ? address : latest;
      }
    }
  }
}
