package dev.partita.synthetic.network;

import dev.partita.network.Frame;
import dev.partita.network.MacAddress;
import java.util.ArrayList;
import java.util.concurrent.atomic.LongAdder;

/// What went through a NIC. Any thread.
final class NicCounters {
  final LongAdder sendDropped = new LongAdder();
  final LongAdder sendMalformed = new LongAdder();
  final LongAdder sendThrottled = new LongAdder();
  final LongAdder receiveFiltered = new LongAdder();
  final LongAdder receiveRefused = new LongAdder();
  final LongAdder receiveDropped = new LongAdder();
  final LongAdder coalesced = new LongAdder();
  final LongAdder controls = new LongAdder();
  private final Direction sent = new Direction();
  private final Direction received = new Direction();
  private final Queue[] queues;

  private static final class Direction {
    final LongAdder unicast = new LongAdder();
    final LongAdder multicast = new LongAdder();
    final LongAdder broadcast = new LongAdder();
    final LongAdder octets = new LongAdder();

    void add(long to, int length) {
      if (!MacAddress.isGroup(to)) {
        unicast.increment();
      } else if (to == MacAddress.BROADCAST.bits()) {
        broadcast.increment();
      } else {
        multicast.increment();
      }
      octets.add(length);
    }

    NicStatistics.Traffic now() {
      return new NicStatistics.Traffic(
          unicast.sum(), multicast.sum(), broadcast.sum(), octets.sum());
    }

    void add(NicStatistics.Traffic saved) {
      unicast.add(saved.unicast());
      multicast.add(saved.multicast());
      broadcast.add(saved.broadcast());
      octets.add(saved.octets());
    }
  }

  private static final class Queue {
    final LongAdder sentFrames = new LongAdder();
    final LongAdder sentOctets = new LongAdder();
    final LongAdder receivedFrames = new LongAdder();
    final LongAdder receivedOctets = new LongAdder();
  }

  NicCounters(int queueCount) {
    queues = new Queue[queueCount];
    for (int i = 0; i < queueCount; i++) {
      queues[i] = new Queue();
    }
  }

  /// @param to the address it went to; the frame may be changed by then
  /// @param length octets
  void sent(int queue, long to, int length) {
    sent.add(to, length);
    queues[queue].sentFrames.increment();
    queues[queue].sentOctets.add(length);
  }

  void received(int queue, Frame frame) {
    received.add(frame.destination(), frame.length());
    queues[queue].receivedFrames.increment();
    queues[queue].receivedOctets.add(frame.length());
  }

  NicStatistics now() {
    var each = new ArrayList<NicStatistics.Queue>();
    for (int i = 0; i < queues.length; i++) {
      var queue = queues[i];
      each.add(
          new NicStatistics.Queue(
              i,
              queue.sentFrames.sum(),
              queue.sentOctets.sum(),
              queue.receivedFrames.sum(),
              queue.receivedOctets.sum()));
    }
    return new NicStatistics(
        sent.now(),
        received.now(),
        sendDropped.sum(),
        sendMalformed.sum(),
        sendThrottled.sum(),
        receiveFiltered.sum(),
        receiveRefused.sum(),
        receiveDropped.sum(),
        coalesced.sum(),
        controls.sum(),
        each);
  }

  /// Goes on from what was counted before.
  void add(NicStatistics saved) {
    sent.add(saved.sent());
    received.add(saved.received());
    sendDropped.add(saved.sendDropped());
    sendMalformed.add(saved.sendMalformed());
    sendThrottled.add(saved.sendThrottled());
    receiveFiltered.add(saved.receiveFiltered());
    receiveRefused.add(saved.receiveRefused());
    receiveDropped.add(saved.receiveDropped());
    coalesced.add(saved.coalesced());
    controls.add(saved.controls());
    for (var each : saved.queues()) {
      if (each.index() < queues.length) {
        var queue = queues[each.index()];
        queue.sentFrames.add(each.sentFrames());
        queue.sentOctets.add(each.sentOctets());
        queue.receivedFrames.add(each.receivedFrames());
        queue.receivedOctets.add(each.receivedOctets());
      }
    }
  }
}
