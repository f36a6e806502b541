package dev.partita.vmbus;

import dev.partita.hypervisor.GuestMemory;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/// Both ends of a ring of one page of data. Their classes are the host's; a guest's ends follow the
/// same rules.
///
/// A test makes millions of rings, some hundreds at a time: they take turns with the pages of one
/// guest memory.
final class RingPair {
  static final byte[] NOTHING = {};

  private static final int RINGS = 16384;
  private static final GuestMemory MEMORY = new GuestMemory(2L * RINGS * GuestMemory.PAGE_SIZE);
  private static final AtomicInteger NEXT = new AtomicInteger();

  final OutgoingRing producer;
  final IncomingRing consumer;

  /// An empty ring.
  RingPair() {
    long page = 2L * (NEXT.getAndIncrement() & RINGS - 1);
    var memory = new RingMemory(MEMORY, new long[] {page, page + 1});
    for (int field : new int[] {0, 4, 8, 12, 64}) {
      memory.setHeaderRelease(field, 0);
    }
    try {
      producer = new OutgoingRing(memory);
      consumer = new IncomingRing(memory);
    } catch (MalformedRingException e) {
      throw new AssertionError(e);
    }
  }

  OutgoingRing.Written write(int transaction, int size) {
    try {
      var payload = new byte[size];
      Arrays.fill(payload, (byte) transaction);
      return producer.write(Packet.IN_BAND, 0, transaction, NOTHING, payload);
    } catch (MalformedRingException e) {
      throw new AssertionError(e);
    }
  }
}
