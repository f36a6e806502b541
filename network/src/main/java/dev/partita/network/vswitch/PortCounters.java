package dev.partita.network.vswitch;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/// What passed a port, and what did not. Thread-safe.
public final class PortCounters {
  private final LongAdder framesOut = new LongAdder();
  private final LongAdder octetsOut = new LongAdder();
  private final LongAdder groupOut = new LongAdder();
  private final LongAdder framesIn = new LongAdder();
  private final LongAdder octetsIn = new LongAdder();
  private final LongAdder groupIn = new LongAdder();
  private final LongAdder refused = new LongAdder();
  private final LongAdder throttled = new LongAdder();
  private final Map<DropReason, LongAdder> drops = new EnumMap<>(DropReason.class);

  PortCounters() {
    for (var reason : DropReason.values()) {
      drops.put(reason, new LongAdder());
    }
  }

  /// Numbers at one moment. Out is from the endpoint, in is toward it; a large segment counts as
  /// one frame.
  ///
  /// @param groupOut frames of those to groups: multicast and broadcast
  /// @param refused times that the endpoint had no room; the sender may have come again
  /// @param throttled times that the endpoint was asked to wait because of its bandwidth limit
  /// @param drops frames from or toward the endpoint that went nowhere; reasons without any are
  ///     left out
  public record Snapshot(
      long framesOut,
      long octetsOut,
      long groupOut,
      long framesIn,
      long octetsIn,
      long groupIn,
      long refused,
      long throttled,
      Map<DropReason, Long> drops) {
    public Snapshot {
      drops = Map.copyOf(drops);
    }

    /// All drops.
    public long dropped() {
      return drops.values().stream().mapToLong(Long::longValue).sum();
    }
  }

  void out(int octets, boolean group) {
    framesOut.increment();
    octetsOut.add(octets);
    if (group) {
      groupOut.increment();
    }
  }

  void in(int octets, boolean group) {
    framesIn.increment();
    octetsIn.add(octets);
    if (group) {
      groupIn.increment();
    }
  }

  void drop(DropReason reason) {
    var adder = drops.get(reason);
    if (adder != null) {
      adder.increment();
    }
  }

  void refuse() {
    refused.increment();
  }

  void throttle() {
    throttled.increment();
  }

  /// The numbers now.
  public Snapshot snapshot() {
    var reasons = new EnumMap<DropReason, Long>(DropReason.class);
    drops.forEach(
        (reason, adder) -> {
          long sum = adder.sum();
          if (sum != 0) {
            reasons.put(reason, sum);
          }
        });
    return new Snapshot(
        framesOut.sum(),
        octetsOut.sum(),
        groupOut.sum(),
        framesIn.sum(),
        octetsIn.sum(),
        groupIn.sum(),
        refused.sum(),
        throttled.sum(),
        reasons);
  }
}
