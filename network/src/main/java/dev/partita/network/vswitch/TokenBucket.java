package dev.partita.network.vswitch;

/// A bandwidth limit: tokens flow in at the rate, up to a tenth of a second's worth (and never
/// less than two of the largest frames), and each octet takes one. A frame may overdraw once, so
/// that every frame passes at last. Thread-safe.
final class TokenBucket {
  private static final long SECOND = 1_000_000_000L;
  private static final long LEAST_BURST = 2 * 65_549L;

  private final double octetsPerNano;
  private final double burst;
  private double tokens;
  private long at;

  /// @param bitsPerSecond more than 0
  TokenBucket(long bitsPerSecond, long now) {
    octetsPerNano = bitsPerSecond / 8.0 / SECOND;
    burst = Math.max(bitsPerSecond / 80.0, LEAST_BURST);
    tokens = burst;
    at = now;
  }

  /// Whether a frame may pass now.
  synchronized boolean passes(long now) {
    if (now - at > 0) {
      tokens = Math.min(burst, tokens + (now - at) * octetsPerNano);
      at = now;
    }
    return tokens > 0;
  }

  /// A frame passed.
  synchronized void take(int octets) {
    tokens -= octets;
  }

  /// Nanoseconds until the next frame passes.
  synchronized long closedFor(long now) {
    double missing = -(tokens + (now - at) * octetsPerNano);
    return missing < 0 ? 0 : (long) Math.min(missing / octetsPerNano + 1, 10.0 * SECOND);
  }
}
