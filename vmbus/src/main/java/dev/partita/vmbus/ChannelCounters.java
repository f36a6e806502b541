package dev.partita.vmbus;

import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/// What went through a channel since it was offered, over all its openings. Thread-safe.
final class ChannelCounters {
  final LongAdder packetsReceived = new LongAdder();
  final LongAdder bytesReceived = new LongAdder();
  final LongAdder packetsSent = new LongAdder();
  final LongAdder bytesSent = new LongAdder();

  /// Sends that found no room.
  final LongAdder ringFull = new LongAdder();

  /// Signals from the guest.
  final LongAdder signalsReceived = new LongAdder();

  /// Signals to the guest: an interrupt each, unless the one before has not been taken yet.
  final LongAdder signalsSent = new LongAdder();

  /// How often the guest broke the ring's rules.
  final LongAdder stops = new LongAdder();

  void addTo(Map<String, Long> counters, String prefix) {
    add(counters, prefix, "packets-received", packetsReceived);
    add(counters, prefix, "bytes-received", bytesReceived);
    add(counters, prefix, "packets-sent", packetsSent);
    add(counters, prefix, "bytes-sent", bytesSent);
    add(counters, prefix, "ring-full", ringFull);
    add(counters, prefix, "signals-received", signalsReceived);
    add(counters, prefix, "signals-sent", signalsSent);
    add(counters, prefix, "stops", stops);
  }

  private static void add(Map<String, Long> counters, String prefix, String name, LongAdder value) {
    long sum = value.sum();
    if (sum != 0) {
      counters.merge(prefix + name, sum, Long::sum);
    }
  }
}
