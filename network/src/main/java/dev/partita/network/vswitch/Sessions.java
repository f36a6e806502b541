package dev.partita.network.vswitch;

import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;

/// The ways that stateful rules of one port have opened. Bounded: when it is full no more are
/// opened, and answers are judged by the rules alone. Thread-safe.
final class Sessions {
  static final int MOST = 16_384;

  /// Both ends of a flow, as the port's own station sees it.
  record Flow(int protocol, IpAddress local, int localPort, IpAddress remote, int remotePort) {}

  /// An open way.
  private record Open(long until, long idle) {}

  private final ConcurrentHashMap<Flow, Open> open = new ConcurrentHashMap<>();
  private long swept;

  /// The flow of a packet, seen from the port.
  static Flow flow(Headers headers, boolean outbound) {
    boolean ports = headers.hasPorts();
    int source = ports ? headers.sourcePort() : 0;
    int destination = ports ? headers.destinationPort() : 0;
    return outbound
        ? new Flow(headers.protocol(), headers.source(), source, headers.destination(), destination)
        : new Flow(
            headers.protocol(), headers.destination(), destination, headers.source(), source);
  }

  boolean isEmpty() {
    return open.isEmpty();
  }

  /// Whether the way is open.
  boolean has(Flow flow, long now) {
    var found = open.get(flow);
    return found != null && found.until - now > 0;
  }

  /// Opens a way, or keeps it open for longer.
  void open(Flow flow, long idle, long now) {
    if (open.size() >= MOST && !open.containsKey(flow)) {
      sweep(now);
      if (open.size() >= MOST) {
        return;
      }
    }
    open.put(flow, new Open(now + idle, idle));
  }

  /// A packet passed: the way stays open.
  void refresh(Flow flow, long now) {
    open.computeIfPresent(flow, (f, o) -> new Open(now + o.idle, o.idle));
  }

  private synchronized void sweep(long now) {
    if (swept == 0 || now - swept > 1_000_000_000L) {
      swept = now;
      open.values().removeIf(o -> o.until - now <= 0);
    }
  }

  int size() {
    return open.size();
  }

  void clear() {
    open.clear();
  }

  /// An open way, for saving.
  record Saved(Flow flow, long leftNanos, long idleNanos) {}

  List<Saved> saved(long now) {
    var list = new ArrayList<Saved>();
    open.forEach(
        (flow, o) -> {
          if (o.until - now > 0) {
            list.add(new Saved(flow, o.until - now, o.idle));
          }
        });
    return list;
  }

  void restore(List<Saved> saved, long now) {
    saved.forEach(s -> open.put(s.flow, new Open(now + s.leftNanos, s.idleNanos)));
  }
}
