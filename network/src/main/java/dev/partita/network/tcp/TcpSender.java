package dev.partita.network.tcp;

/// The sending half of a connection: the data until it is acknowledged, retransmission (RFC 6298),
/// congestion control (RFC 5681, RFC 6582) and loss recovery by selective acknowledgments (RFC
/// 6675).
final class TcpSender {
  private static final long MILLI = 1_000_000L;

  /// RFC 6298 says 1 s; guests acknowledge within milliseconds, and others have long used 200 ms.
  static final long LEAST_TIMEOUT = 200 * MILLI;

  private static final long FIRST_TIMEOUT = 1000 * MILLI;
  private static final long MOST_TIMEOUT = 60_000 * MILLI;

  /// Unanswered transmissions of the same octets after which the peer counts as gone: about five
  /// minutes with the doubling of the time-out (RFC 9293, 3.8.3: at least 100 s).
  private static final int MOST_RETRIES = 11;

  /// Of a SYN: about a minute.
  private static final int MOST_SYN_RETRIES = 5;

  private static final int DUPLICATES = 3;

  /// SACK ranges that are remembered.
  private static final int MOST_RANGES = 64;

  /// Sends one segment of the connection: sequence number, flags, payload length.
  interface Output {
    boolean send(int sequence, int flags, int length);
  }

  private final ByteRing ring;
  private final Output output;
  private final int first;
  private final SequenceRanges sacked = new SequenceRanges(MOST_RANGES);
  private int unacknowledged;
  private int next;
  private int most;

  /// The sequence number of the ring's first octet.
  private int ringBegin;

  private int window;
  private int largestWindow;
  private int windowSequence;
  private int windowAcknowledgment;
  private int segmentSize = 536;
  private int largestSegment = 536;
  private boolean selective;
  private boolean synAcknowledged;
  private boolean finQueued;

  private int congestionWindow;
  private int threshold = Integer.MAX_VALUE;
  private int duplicates;
  private boolean recovering;
  private int recovery;
  private int retransmitted;

  private long smoothed;
  private long variation;
  private long timeout = FIRST_TIMEOUT;
  private int retries;
  private int probes;
  private boolean timing;
  private int timedSequence;
  private long timedAt;
  private long retransmitAt;
  private long probeAt;

  TcpSender(MemoryBudget budget, int limit, int first, Output output) {
    ring = new ByteRing(budget, limit);
    this.output = output;
    this.first = first;
    unacknowledged = first;
    next = first;
    most = first;
    recovery = first;
    ringBegin = first + 1;
  }

  /// What the handshake settled.
  ///
  /// @param segmentSize largest payload of a segment on the wire
  /// @param largestSegment largest payload of one {@link Output#send}
  void begin(int segmentSize, int largestSegment, boolean selective) {
    this.segmentSize = segmentSize;
    this.largestSegment = Math.max(segmentSize, largestSegment / segmentSize * segmentSize);
    this.selective = selective;
    congestionWindow = Math.min(10 * segmentSize, Math.max(2 * segmentSize, 14600));
  }

  ByteRing ring() {
    return ring;
  }

  int segmentSize() {
    return segmentSize;
  }

  int unacknowledged() {
    return unacknowledged;
  }

  int next() {
    return next;
  }

  int most() {
    return most;
  }

  int window() {
    return window;
  }

  int ringOffset(int sequence) {
    return sequence - ringBegin;
  }

  /// Octets of the stream that have not been sent even once.
  int unsent() {
    return Math.max(0, ringBegin + ring.count() - most);
  }

  /// The stream ends after what is in the ring.
  void finish() {
    finQueued = true;
  }

  boolean finished() {
    return finQueued;
  }

  /// Whether the peer has acknowledged the end of the stream.
  boolean finAcknowledged() {
    return finQueued && unacknowledged - (ringBegin + ring.count()) > 0;
  }

  boolean synAcknowledged() {
    return synAcknowledged;
  }

  /// Sends SYN, or SYN and ACK, for the first time or again.
  void sendSyn(int flags, long now) {
    output.send(first, flags, 0);
    next = first + 1;
    if (most == first) {
      most = next;
      time(first, now);
    } else {
      timing = false;
    }
    retransmitAt = now + timeout;
  }

  private void time(int sequence, long now) {
    if (!timing) {
      timing = true;
      timedSequence = sequence;
      timedAt = now;
    }
  }

  /// Notes the peer's window (RFC 9293, 3.10.7.4).
  ///
  /// @param acknowledges whether the segment acknowledged something new: then it is none of the
  ///     past, and the window counts from what it acknowledged
  /// @return whether it changed
  boolean window(int sequence, int acknowledgment, int octets, boolean acknowledges) {
    if (acknowledges
        || windowSequence - sequence < 0
        || windowSequence == sequence && windowAcknowledgment - acknowledgment <= 0
        || !synAcknowledged()) {
      boolean changed = octets != window;
      window = octets;
      largestWindow = Math.max(largestWindow, octets);
      windowSequence = sequence;
      windowAcknowledgment = acknowledgment;
      if (octets > 0) {
        probeAt = 0;
      }
      return changed;
    }
    return false;
  }

  /// Notes selective acknowledgments; those outside of what was sent are ignored.
  void sack(int[] ranges) {
    if (!selective) {
      return;
    }
    for (int i = 0; i + 1 < ranges.length; i += 2) {
      int begin = ranges[i];
      int end = ranges[i + 1];
      if (begin - unacknowledged > 0 && end - begin > 0 && end - most <= 0) {
        sacked.add(begin, end);
      }
    }
  }

  /// An acknowledgment of something new.
  void acknowledge(int acknowledgment, long now) {
    int octets = acknowledgment - unacknowledged;
    int ofRing = Math.max(0, Math.min(acknowledgment - ringBegin, ring.count()));
    ring.drop(ofRing);
    ringBegin += ofRing;
    unacknowledged = acknowledgment;
    synAcknowledged = true;
    if (next - acknowledgment < 0) {
      next = acknowledgment;
    }
    sacked.removeBefore(acknowledgment);
    if (timing && acknowledgment - timedSequence > 0) {
      timing = false;
      measured(now - timedAt);
    }
    retries = 0;
    timeout = smoothed == 0 ? FIRST_TIMEOUT : settled();
    retransmitAt = most == unacknowledged ? 0 : now + timeout;
    if (!recovering) {
      duplicates = 0;
      grow(octets);
    } else if (acknowledgment - recovery >= 0) {
      recovering = false;
      duplicates = 0;
      congestionWindow =
          Math.max(2 * segmentSize, Math.min(threshold, most - unacknowledged + segmentSize));
    } else if (!selective) {
      congestionWindow = Math.max(segmentSize, congestionWindow - octets + segmentSize);
      retransmit(unacknowledged, segmentSize);
    }
  }

  private void grow(int octets) {
    if (congestionWindow < threshold) {
      congestionWindow += octets;
    } else {
      congestionWindow += Math.max(1, (int) ((long) segmentSize * octets / congestionWindow));
    }
    // No use beyond what can be in flight.
    congestionWindow = Math.min(congestionWindow, Math.max(ring.limit(), 4 * segmentSize));
  }

  /// RFC 6298, 2.
  private void measured(long nanos) {
    long sample = Math.max(nanos, 1);
    if (smoothed == 0) {
      smoothed = sample;
      variation = sample / 2;
    } else {
      variation += (Math.abs(smoothed - sample) - variation) / 4;
      smoothed += (sample - smoothed) / 8;
    }
    timeout = settled();
  }

  private long settled() {
    return Math.clamp(smoothed + Math.max(MILLI, 4 * variation), LEAST_TIMEOUT, MOST_TIMEOUT);
  }

  /// An acknowledgment that repeats the one before, while data is in flight.
  void duplicate() {
    if (recovering) {
      if (!selective) {
        congestionWindow += segmentSize;
      }
      return;
    }
    duplicates++;
    boolean lost = duplicates >= DUPLICATES || sacked.total() > (DUPLICATES - 1) * segmentSize;
    if (lost && unacknowledged - recovery >= 0) {
      recovering = true;
      recovery = most;
      threshold = Math.max((most - unacknowledged) / 2, 2 * segmentSize);
      timing = false;
      retransmitted = unacknowledged;
      if (selective) {
        congestionWindow = threshold;
        // The first lost segment goes at once, whatever is in flight.
        retransmitted += retransmit(unacknowledged, hole(unacknowledged, segmentSize));
      } else {
        congestionWindow = threshold + DUPLICATES * segmentSize;
        retransmit(unacknowledged, segmentSize);
      }
    }
  }

  private int hole(int sequence, int length) {
    return Math.min(length, sacked.nextBegin(sequence, sequence + length) - sequence);
  }

  /// Sends again what is already in flight.
  ///
  /// @return sequence numbers covered, 0 if nothing could be sent
  private int retransmit(int sequence, int length) {
    int end = ringBegin + ring.count();
    int payload = Math.min(length, end - sequence);
    if (payload <= 0) {
      // What is lost is the end of the stream.
      return finQueued && sequence == end && output.send(sequence, ackFin(), 0) ? 1 : 0;
    }
    boolean fin = finQueued && sequence + payload == end && most - end > 0;
    if (!output.send(sequence, fin ? ackFin() : TcpSegment.ACK, payload)) {
      return 0;
    }
    return payload + (fin ? 1 : 0);
  }

  private static int ackFin() {
    return TcpSegment.ACK | TcpSegment.FIN;
  }

  /// Octets that are thought to be in the network (RFC 6675, 4).
  private int pipe() {
    if (!recovering || !selective) {
      return next - unacknowledged;
    }
    int highest = sacked.isEmpty() ? unacknowledged : sacked.last();
    int from = retransmitted - unacknowledged > 0 ? retransmitted : unacknowledged;
    int lost = 0;
    for (int at = from; highest - at > 0; ) {
      int gap = sacked.gapFrom(at);
      if (highest - gap <= 0) {
        break;
      }
      int end = sacked.nextBegin(gap, highest);
      lost += end - gap;
      at = end;
    }
    return next - unacknowledged - sacked.total() - lost;
  }

  /// Sends what may be sent now.
  ///
  /// @return false if the link had no room
  boolean transmit(long now) {
    if (recovering && selective && !fillHoles()) {
      return false;
    }
    while (true) {
      int end = ringBegin + ring.count();
      int unsent = end - next;
      int inFlight = next - unacknowledged;
      int usable = Math.min(window - inFlight, congestionWindow - pipe());
      int length = Math.min(Math.min(unsent, usable), largestSegment);
      if (length > 0 && length < unsent) {
        // Whole segments only, unless the window is never larger (RFC 9293, 3.8.6.2.1).
        int whole = length / segmentSize * segmentSize;
        length = whole > 0 ? whole : inFlight == 0 || length >= largestWindow / 2 ? length : 0;
      }
      boolean fin = finQueued && unsent >= 0 && Math.max(length, 0) == unsent;
      if (length <= 0 && !fin) {
        watchWindow(unsent, inFlight, now);
        return true;
      }
      length = Math.max(length, 0);
      int flags = TcpSegment.ACK | (fin ? TcpSegment.FIN : 0);
      if (length > 0 && length == unsent) {
        flags |= TcpSegment.PSH;
      }
      if (!output.send(next, flags, length)) {
        return false;
      }
      boolean again = most - next > 0;
      if (!again) {
        time(next, now);
      }
      next += length + (fin ? 1 : 0);
      if (next - most > 0) {
        most = next;
      }
      if (retransmitAt == 0) {
        retransmitAt = now + timeout;
      }
    }
  }

  private boolean fillHoles() {
    while (!sacked.isEmpty() && congestionWindow - pipe() >= segmentSize) {
      int from = retransmitted - unacknowledged > 0 ? retransmitted : unacknowledged;
      int gap = sacked.gapFrom(from);
      if (sacked.last() - gap <= 0) {
        return true;
      }
      int sent = retransmit(gap, hole(gap, segmentSize));
      if (sent == 0) {
        return false;
      }
      retransmitted = gap + sent;
    }
    return true;
  }

  /// With nothing in flight no acknowledgment will come by itself: the window must be asked for.
  private void watchWindow(int unsent, int inFlight, long now) {
    if (unsent > 0 && inFlight == 0 && probeAt == 0 && retransmitAt == 0) {
      probeAt = now + timeout;
    }
  }

  /// When {@link #timer} wants to run, or 0.
  long deadline() {
    return retransmitAt == 0
        ? probeAt
        : probeAt == 0 || retransmitAt - probeAt < 0 ? retransmitAt : probeAt;
  }

  /// Runs what is due.
  ///
  /// @param syn flags of the SYN while it is not acknowledged
  /// @return false if the peer must be given up
  boolean timer(int syn, long now) {
    if (probeAt != 0 && probeAt - now <= 0) {
      probe(now);
      if (probes > MOST_RETRIES) {
        return false;
      }
    }
    if (retransmitAt == 0 || retransmitAt - now > 0) {
      return true;
    }
    if (++retries > (synAcknowledged() ? MOST_RETRIES : MOST_SYN_RETRIES)) {
      return false;
    }
    timeout = Math.min(timeout * 2, MOST_TIMEOUT);
    timing = false;
    if (!synAcknowledged()) {
      sendSyn(syn, now);
      return true;
    }
    threshold = Math.max((most - unacknowledged) / 2, 2 * segmentSize);
    congestionWindow = segmentSize;
    recovering = false;
    recovery = most;
    duplicates = 0;
    sacked.clear();
    next = unacknowledged;
    retransmitAt = now + timeout;
    if (window == 0) {
      // The peer took its window back; its first octet may go nevertheless (RFC 9293, 3.8.6.1).
      retransmit(unacknowledged, 1);
    }
    return true;
  }

  /// Moves what is due to later.
  void postpone(long now) {
    if (probeAt != 0 && probeAt - now <= 0) {
      probeAt = now + timeout;
    }
    if (retransmitAt != 0 && retransmitAt - now <= 0) {
      retransmitAt = now + timeout;
    }
  }

  /// Asks for the window with an octet that was acknowledged long ago: an answer is due to what
  /// lies before the window (RFC 9293, 3.10.7.4), and nothing has to be remembered.
  private void probe(long now) {
    probes++;
    timeout = Math.min(timeout * 2, MOST_TIMEOUT);
    probeAt = now + timeout;
    if (window == 0) {
      output.send(unacknowledged - 1, TcpSegment.ACK, 0);
    } else {
      congestionWindow = Math.max(congestionWindow, segmentSize);
      int unsent = ringBegin + ring.count() - next;
      int length = Math.min(Math.min(unsent, window), segmentSize);
      if (length > 0 && output.send(next, TcpSegment.ACK, length)) {
        next += length;
        if (next - most > 0) {
          most = next;
        }
        probeAt = 0;
        retransmitAt = now + timeout;
      }
    }
  }

  /// The peer gave a sign of life: with a closed window it may stay silent about the data for ever
  /// (RFC 9293, 3.8.6.1), and is not given up.
  void answered() {
    probes = 0;
    if (window == 0) {
      retries = 0;
    }
  }

  void release() {
    ring.release();
    sacked.clear();
    retransmitAt = 0;
    probeAt = 0;
  }

  /// Whether it acknowledges something new that was sent.
  boolean acknowledges(int acknowledgment) {
    return acknowledgment - unacknowledged > 0 && acknowledgment - most <= 0;
  }
}
