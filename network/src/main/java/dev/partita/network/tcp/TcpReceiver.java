package dev.partita.network.tcp;

import java.nio.ByteBuffer;

/// The receiving half of a connection: what came, in order or not yet, and the window.
final class TcpReceiver {
  /// Holes that are remembered; what would make one more is dropped and comes again.
  private static final int MOST_RANGES = 32;

  private final ByteRing ring;
  private final SequenceRanges later = new SequenceRanges(MOST_RANGES);
  private int latest = -1;
  private int next;
  private int edge;
  private int scale;
  private int segmentSize = 536;
  private boolean finSeen;
  private int fin;

  TcpReceiver(MemoryBudget budget, int limit) {
    ring = new ByteRing(budget, limit);
  }

  /// The scale that lets the window field express the whole buffer (RFC 7323, 2).
  int scaleWanted() {
    int wanted = 0;
    while (ring.limit() >> wanted > 65535) {
      wanted++;
    }
    return wanted;
  }

  /// The peer's SYN came.
  void begin(int sequence, int scale, int segmentSize) {
    next = sequence + 1;
    edge = next;
    this.scale = scale;
    this.segmentSize = segmentSize;
    advance();
  }

  ByteRing ring() {
    return ring;
  }

  /// The next sequence number in order.
  int next() {
    return next;
  }

  /// Octets of the window that the peer knows of.
  int offered() {
    return edge - next;
  }

  /// Moves the window's right edge, never back, and not by small steps (RFC 9293, 3.8.6.2.2).
  ///
  /// @return whether it moved
  private boolean advance() {
    int limit = Math.min(ring.reachable(), 65535 << scale);
    int wanted = next + limit - ring.count();
    int step = Math.min(2 * segmentSize, ring.limit() / 2);
    if (wanted - edge < step) {
      return false;
    }
    edge = next + ((wanted - next) >> scale << scale);
    return true;
  }

  /// The window field of the next segment.
  int windowField(boolean scaled) {
    advance();
    return Math.min(65535, (edge - next) >> (scaled ? scale : 0));
  }

  /// Whether the window grew enough since the peer last heard to tell it.
  boolean windowOpens() {
    int limit = Math.min(ring.reachable(), 65535 << scale);
    int gain = next + limit - ring.count() - edge;
    return gain >= Math.max(2 * segmentSize, ring.limit() / 4)
        || gain >= Math.min(2 * segmentSize, ring.limit() / 2) && edge - next < segmentSize;
  }

  /// Whether any part of a segment lies in the window (RFC 9293, 3.10.7.4).
  boolean acceptable(int sequence, int length) {
    int window = edge - next;
    int from = sequence - next;
    if (length == 0) {
      return window == 0 ? from == 0 : from >= 0 && from < window;
    }
    int last = from + length - 1;
    return window > 0 && (from >= 0 && from < window || last >= 0 && last < window);
  }

  /// Whether payload can be handed on without being stored.
  boolean passes(int sequence) {
    return sequence == next && ring.count() == 0 && later.isEmpty();
  }

  /// Octets were handed on without being stored.
  void passed(int octets) {
    next += octets;
  }

  /// Stores payload.
  ///
  /// @return octets that came in order thereby
  int store(int sequence, ByteBuffer payload, int at, int length) {
    int skipped = Math.max(0, next - sequence);
    int begin = sequence + skipped;
    int taken = Math.min(length - skipped, edge - begin);
    if (taken <= 0) {
      return 0;
    }
    int position = ring.count() + (begin - next);
    taken = Math.min(taken, ring.reserve(position + taken) - position);
    if (taken <= 0) {
      return 0;
    }
    if (begin != next) {
      int range = later.add(begin, begin + taken);
      if (range >= 0) {
        latest = begin;
        ring.write(position, payload, at + skipped, taken);
      }
      return 0;
    }
    ring.write(position, payload, at + skipped, taken);
    int end = begin + taken;
    if (!later.isEmpty()) {
      end = later.gapFrom(end);
      later.removeBefore(end);
    }
    int inOrder = end - next;
    ring.extend(inOrder);
    next = end;
    return inOrder;
  }

  /// Whether something came that is not in order yet.
  boolean hasGaps() {
    return !later.isEmpty();
  }

  /// Notes the end of the peer's stream.
  void finAt(int sequence) {
    if (!finSeen) {
      finSeen = true;
      fin = sequence;
    }
  }

  /// Takes the end of the stream if all before it has come.
  boolean takeFin() {
    if (finSeen && fin == next) {
      next++;
      if (edge - next < 0) {
        edge = next;
      }
      finSeen = false;
      return true;
    }
    return false;
  }

  /// Writes what came out of order as SACK blocks, the latest first (RFC 2018, 4).
  ///
  /// @return blocks written, at most `most`
  int sacks(int[] into, int most) {
    int n = 0;
    int first = -1;
    for (int i = 0; i < later.size() && first < 0; i++) {
      if (later.begin(i) - latest <= 0 && later.end(i) - latest > 0) {
        first = i;
      }
    }
    for (int i = -1; i < later.size() && n < most; i++) {
      int range = i < 0 ? first : i;
      if (range >= 0 && (i < 0 || i != first)) {
        into[n * 2] = later.begin(range);
        into[n * 2 + 1] = later.end(range);
        n++;
      }
    }
    return n;
  }

  void release() {
    ring.release();
    later.clear();
  }
}
