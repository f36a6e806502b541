package dev.partita.network.tcp;

/// What all buffers of a gateway may take together. Not thread-safe.
public final class MemoryBudget {
  private final long limit;
  private long used;

  /// @param limit octets
  public MemoryBudget(long limit) {
    this.limit = limit;
  }

  /// Takes octets, or nothing if so many are not left.
  public boolean take(long octets) {
    if (octets > limit - used) {
      return false;
    }
    used += octets;
    return true;
  }

  /// Gives octets back.
  public void give(long octets) {
    used -= octets;
  }

  /// Octets in use.
  public long used() {
    return used;
  }

  /// Octets left.
  public long left() {
    return limit - used;
  }

  /// Whether more than half is in use, so that what is not needed now should be given back.
  public boolean tight() {
    return used > limit / 2;
  }
}
