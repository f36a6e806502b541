package dev.partita.network.tcp;

import java.io.IOException;
import java.nio.ByteBuffer;

/// One connection: TCP toward its peer, a {@link HostStream} on the other side, and what one says
/// carried to the other: data, half-closes, resets, closed windows.
///
/// Not thread-safe: its owner serialises all calls. Time is in nanoseconds of the owner's clock.
public final class TcpConnection {
  private static final long MILLI = 1_000_000L;
  private static final long SECOND = 1000 * MILLI;

  /// An acknowledgment waits at most this long for company (RFC 9293, 3.8.6.3: less than 500 ms).
  private static final long DELAYED_ACK = 40 * MILLI;

  /// RFC 9293 says four minutes. The peer is one hop away, where nothing old wanders about.
  private static final long TIME_WAIT = 30 * SECOND;

  /// RFC 5382, REQ-5: an idle connection is kept for at least 2 h 4 min. After that the peer is
  /// asked whether it still knows of it.
  private static final long IDLE = (2 * 3600 + 4 * 60) * SECOND;

  private static final long KEEP_ALIVE_INTERVAL = 75 * SECOND;
  private static final int KEEP_ALIVE_PROBES = 9;

  /// Data for the host that it does not take, after the peer is gone.
  private static final long DRAIN = 120 * SECOND;

  /// Between acknowledgments of segments that are not acceptable, against storms of them between
  /// two confused peers (RFC 5961, 7).
  private static final long CHALLENGE_INTERVAL = MILLI;

  /// States of RFC 9293, 3.3.2. LISTEN is nobody's here; instead a connection begins by waiting for
  /// the host.
  public enum State {
    /// The peer's SYN has come, and the host is being connected.
    HOST_CONNECTING,
    SYN_SENT,
    SYN_RECEIVED,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    CLOSE_WAIT,
    CLOSING,
    LAST_ACK,
    TIME_WAIT,
    /// Over; data for the host may still have to be drained.
    CLOSED
  }

  /// Limits of a connection.
  ///
  /// @param receiveBuffer octets for the host, a power of two from 4096
  /// @param sendBuffer octets for the peer, likewise
  /// @param segmentSize largest payload that the link can carry in one segment
  /// @param largestSegment largest payload of a segment that the link cuts by itself
  public record Settings(int receiveBuffer, int sendBuffer, int segmentSize, int largestSegment) {}

  private final Settings settings;
  private final TcpWire wire;
  private final HostStream host;
  private final TcpReceiver receiver;
  private final TcpSender sender;
  private final ByteBuffer scratch;
  private final int[] sackBlocks = new int[8];

  private State state;
  private boolean passive;
  private boolean scaled;
  private int peerScale;
  private boolean selective;
  private boolean ackNow;
  private boolean ackOwed;
  private int unacknowledgedOctets;
  private long ackAt;
  private long idleAt;
  private int keepAlives;
  private long endAt;
  private long challengeAt;
  private boolean blocked;
  private boolean hostEnded;
  private boolean hostShut;
  private boolean hostClosed;
  private boolean peerEnded;
  private boolean awaitsReadable;
  private boolean awaitsWritable;
  private boolean abandoned;

  /// @param first the first sequence number, unpredictable (RFC 6528)
  /// @param scratch a direct buffer for reading from the host, shared by all connections of the
  ///     owner
  public TcpConnection(
      Settings settings,
      MemoryBudget budget,
      TcpWire wire,
      HostStream host,
      int first,
      ByteBuffer scratch,
      long now) {
    this.settings = settings;
    this.wire = wire;
    this.host = host;
    this.scratch = scratch;
    receiver = new TcpReceiver(budget, settings.receiveBuffer());
    sender = new TcpSender(budget, settings.sendBuffer(), first, this::emit);
    state = State.HOST_CONNECTING;
    touch(now);
  }

  /// The peer opens: its SYN came, and the host is being connected.
  public void open(TcpSegment syn, long now) {
    passive = true;
    negotiate(syn);
    sender.window(syn.sequence(), syn.acknowledgment(), syn.window(), true);
    touch(now);
  }

  /// Opens toward the peer: the host is connected already.
  public void connect(long now) {
    scaled = true;
    selective = true;
    state = State.SYN_SENT;
    sender.sendSyn(TcpSegment.SYN, now);
    touch(now);
    wire.reschedule(this);
  }

  private void negotiate(TcpSegment syn) {
    scaled = syn.windowScale() >= 0;
    peerScale = scaled ? syn.windowScale() : 0;
    selective = syn.sackPermitted();
    // RFC 9293, 3.7.1: 536 without the option. Tiny ones would make each octet cost a packet.
    int peerSize = syn.segmentSize() == 0 ? 536 : Math.max(syn.segmentSize(), 88);
    int size = Math.min(peerSize, settings.segmentSize());
    sender.begin(size, settings.largestSegment(), selective);
    receiver.begin(syn.sequence(), scaled ? receiver.scaleWanted() : 0, size);
  }

  /// The host's side is connected: the peer's SYN is answered.
  public void hostConnected(long now) {
    if (state != State.HOST_CONNECTING) {
      return;
    }
    state = State.SYN_RECEIVED;
    sender.sendSyn(TcpSegment.SYN | TcpSegment.ACK, now);
    touch(now);
    wire.reschedule(this);
  }

  /// The host refused: so is the peer.
  public void hostRefused() {
    if (state == State.HOST_CONNECTING) {
      wire.send(this, 0, TcpSegment.RST | TcpSegment.ACK, 0);
    }
    abandon();
  }

  /// A segment of the peer. The payload is lent until the call returns.
  public void segment(TcpSegment segment, long now) {
    switch (state) {
      case HOST_CONNECTING -> {
        // The peer gives up. Its SYN again needs no answer until there is one.
        if (segment.has(TcpSegment.RST)) {
          abandon();
        }
      }
      case SYN_SENT -> synSent(segment, now);
      case CLOSED -> {}
      default -> synchronised(segment, now);
    }
    wire.reschedule(this);
  }

  private void synSent(TcpSegment segment, long now) {
    boolean ack = segment.has(TcpSegment.ACK);
    if (ack && !sender.acknowledges(segment.acknowledgment())) {
      if (!segment.has(TcpSegment.RST)) {
        wire.send(this, segment.acknowledgment(), TcpSegment.RST, 0);
      }
      return;
    }
    if (segment.has(TcpSegment.RST)) {
      if (ack) {
        abandon();
      }
      return;
    }
    if (!segment.has(TcpSegment.SYN)) {
      return;
    }
    touch(now);
    negotiate(segment);
    if (!ack) {
      state = State.SYN_RECEIVED;
      sender.sendSyn(TcpSegment.SYN | TcpSegment.ACK, now);
      return;
    }
    sender.acknowledge(segment.acknowledgment(), now);
    // The window of a SYN is never scaled.
    sender.window(segment.sequence(), segment.acknowledgment(), segment.window(), true);
    establish(now);
    ackNow = true;
    flushAcknowledgment(now);
  }

  private void establish(long now) {
    state = State.ESTABLISHED;
    hostReadable(now);
  }

  private void synchronised(TcpSegment segment, long now) {
    int sequence = segment.sequence();
    if (state == State.SYN_RECEIVED
        && segment.has(TcpSegment.SYN)
        && sequence == receiver.next() - 1
        && !segment.has(TcpSegment.RST)) {
      if (!segment.has(TcpSegment.ACK)) {
        sender.sendSyn(TcpSegment.SYN | TcpSegment.ACK, now);
        return;
      }
      // Both opened at once: this SYN was seen already, only its acknowledgment counts.
    } else if (!receiver.acceptable(sequence, segment.sequenceLength())) {
      if (!segment.has(TcpSegment.RST)) {
        // Keep-alives, window probes and retransmissions: what they acknowledge counts too.
        if (segment.has(TcpSegment.ACK) && validAcknowledgment(segment.acknowledgment())) {
          touch(now);
          sender.answered();
          acknowledged(segment, now);
          proceed(now);
        }
        challenge(now);
      }
      return;
    } else if (segment.has(TcpSegment.RST)) {
      // RFC 5961, 3.2: only the exact number resets.
      if (sequence == receiver.next()) {
        abandon();
      } else {
        challenge(now);
      }
      return;
    } else if (segment.has(TcpSegment.SYN)) {
      challenge(now);
      return;
    }
    if (!segment.has(TcpSegment.ACK)) {
      return;
    }
    if (state == State.SYN_RECEIVED) {
      if (!sender.acknowledges(segment.acknowledgment())) {
        wire.send(this, segment.acknowledgment(), TcpSegment.RST, 0);
        return;
      }
      sender.acknowledge(segment.acknowledgment(), now);
      sender.window(sequence, segment.acknowledgment(), scaledWindow(segment), true);
      establish(now);
    } else if (!validAcknowledgment(segment.acknowledgment())) {
      challenge(now);
      return;
    }
    touch(now);
    sender.answered();
    acknowledged(segment, now);
    if (state != State.CLOSED && !peerEnded) {
      received(segment, now);
    } else if (segment.has(TcpSegment.FIN)) {
      ackNow = true;
      if (state == State.TIME_WAIT) {
        endAt = now + TIME_WAIT;
      }
    }
    proceed(now);
  }

  /// RFC 5961, 5.2, with the largest window that was ever offered taken as half the numbers.
  private boolean validAcknowledgment(int acknowledgment) {
    return acknowledgment - sender.most() <= 0;
  }

  private int scaledWindow(TcpSegment segment) {
    return segment.has(TcpSegment.SYN) ? segment.window() : segment.window() << peerScale;
  }

  private void acknowledged(TcpSegment segment, long now) {
    int acknowledgment = segment.acknowledgment();
    boolean inFlight = sender.most() != sender.unacknowledged();
    sender.sack(segment.sacks());
    if (sender.acknowledges(acknowledgment)) {
      sender.acknowledge(acknowledgment, now);
      sender.window(segment.sequence(), acknowledgment, scaledWindow(segment), true);
      if (sender.finAcknowledged()) {
        finAcknowledged(now);
      }
      return;
    }
    boolean changed =
        acknowledgment - sender.unacknowledged() >= 0
            && sender.window(segment.sequence(), acknowledgment, scaledWindow(segment), false);
    if (acknowledgment == sender.unacknowledged()
        && inFlight
        && segment.sequenceLength() == 0
        && (!changed || segment.sacks().length > 0)) {
      sender.duplicate();
    }
  }

  private void finAcknowledged(long now) {
    switch (state) {
      case FIN_WAIT_1 -> state = State.FIN_WAIT_2;
      case CLOSING -> timeWait(now);
      case LAST_ACK -> end(now);
      default -> {}
    }
  }

  private void timeWait(long now) {
    state = State.TIME_WAIT;
    endAt = now + TIME_WAIT;
    sender.release();
  }

  private void received(TcpSegment segment, long now) {
    int length = segment.payloadLength();
    if (length > 0) {
      int sequence = segment.sequence();
      int at = segment.payloadAt();
      int before = receiver.next();
      if (receiver.passes(sequence) && !hostShut) {
        int passed = pass(segment.payload(), at, Math.min(length, receiver.offered()));
        if (passed < 0) {
          broken();
          return;
        }
        receiver.passed(passed);
        sequence += passed;
        at += passed;
        length -= passed;
      }
      if (length > 0) {
        receiver.store(sequence, segment.payload(), at, length);
      }
      int inOrder = receiver.next() - before;
      unacknowledgedOctets += inOrder;
      // Out of order, or what fills a hole, is answered at once (RFC 5681, 4.2).
      if (inOrder != segment.payloadLength()
          || receiver.hasGaps()
          || unacknowledgedOctets >= 2 * sender.segmentSize()) {
        ackNow = true;
      }
      ackOwed = true;
      if (ackAt == 0) {
        ackAt = now + DELAYED_ACK;
      }
    }
    if (segment.has(TcpSegment.FIN)) {
      receiver.finAt(segment.sequence() + segment.payloadLength());
      ackNow = true;
    }
    drain(now);
    if (state != State.CLOSED && receiver.takeFin()) {
      peerEnded = true;
      ackNow = true;
      switch (state) {
        case SYN_RECEIVED, ESTABLISHED -> state = State.CLOSE_WAIT;
        case FIN_WAIT_1 -> state = State.CLOSING;
        case FIN_WAIT_2 -> timeWait(now);
        default -> {}
      }
      drain(now);
    }
  }

  private int pass(ByteBuffer payload, int at, int length) {
    try {
      // The slice shares only the octets; the lent buffer's position is not touched.
      return host.write(payload.slice(at, length));
    } catch (IOException e) {
      return -1;
    }
  }

  /// Writes to the host what it takes.
  private void drain(long now) {
    var ring = receiver.ring();
    try {
      while (ring.count() > 0 && !hostClosed) {
        int written = host.write(ring.front());
        if (written == 0) {
          break;
        }
        ring.drop(written);
        if (state == State.CLOSED) {
          endAt = now + DRAIN;
        }
      }
      if (ring.count() == 0 && peerEnded && !hostShut) {
        hostShut = true;
        if (!hostClosed) {
          host.shutdownOutput();
        }
      }
    } catch (IOException e) {
      broken();
      return;
    }
    closeHostIfDone();
    awaitHost();
  }

  /// The host's side broke: the peer is told by a reset.
  private void broken() {
    if (state != State.CLOSED && state != State.TIME_WAIT) {
      reset();
    }
    abandon();
  }

  private void reset() {
    wire.send(this, sender.next(), TcpSegment.RST | TcpSegment.ACK, 0);
  }

  /// Resets the connection in both directions.
  public void abort() {
    if (state != State.HOST_CONNECTING && state != State.CLOSED && state != State.TIME_WAIT) {
      reset();
    }
    abandon();
  }

  private void abandon() {
    if (abandoned) {
      return;
    }
    abandoned = true;
    if (!hostClosed) {
      hostClosed = true;
      host.reset();
    }
    boolean known = state == State.CLOSED;
    state = State.CLOSED;
    release();
    if (!known) {
      wire.closed(this);
    }
    wire.reschedule(this);
  }

  private void release() {
    receiver.release();
    sender.release();
    endAt = 0;
    ackAt = 0;
    idleAt = 0;
  }

  /// TCP is over in order; what is left for the host is drained.
  private void end(long now) {
    state = State.CLOSED;
    sender.release();
    ackAt = 0;
    idleAt = 0;
    ackNow = false;
    ackOwed = false;
    endAt = receiver.ring().count() > 0 && !hostClosed ? now + DRAIN : 0;
    closeHostIfDone();
    wire.closed(this);
  }

  private void closeHostIfDone() {
    if (!hostClosed && hostShut && hostEnded) {
      hostClosed = true;
      host.close();
    }
    if (state == State.CLOSED && (hostClosed || hostShut)) {
      if (!hostClosed) {
        hostClosed = true;
        host.close();
      }
      release();
    }
  }

  /// Whether the host's side is closed too and nothing is held any more.
  public boolean drained() {
    return hostClosed;
  }

  /// The host's side has data, or its end.
  public void hostReadable(long now) {
    if (!readsHost()) {
      awaitHost();
      return;
    }
    try {
      // A few rounds, so that one fast connection does not stop all others.
      for (int round = 0; round < 4; round++) {
        int room = Math.min(sender.ring().limit() - sender.ring().count(), scratch.capacity());
        room = Math.min(room, sender.ring().reachable() - sender.ring().count());
        if (room <= 0) {
          break;
        }
        scratch.clear().limit(room);
        int octets = host.read(scratch);
        if (octets < 0) {
          hostEnded = true;
          sender.finish();
          state = state == State.CLOSE_WAIT ? State.LAST_ACK : State.FIN_WAIT_1;
          closeHostIfDone();
          break;
        }
        if (octets == 0) {
          break;
        }
        sender.ring().append(scratch, 0, octets);
        if (octets < room) {
          break;
        }
      }
    } catch (IOException e) {
      broken();
      return;
    }
    proceed(now);
  }

  private boolean readsHost() {
    return !hostEnded && !hostClosed && (state == State.ESTABLISHED || state == State.CLOSE_WAIT);
  }

  /// The host's side takes data again.
  public void hostWritable(long now) {
    drain(now);
    if (state != State.CLOSED) {
      flushAcknowledgment(now);
    }
    wire.reschedule(this);
  }

  /// The link, which had no room, has room again.
  public void resume(long now) {
    blocked = false;
    if (state != State.CLOSED) {
      proceed(now);
      flushAcknowledgment(now);
    }
  }

  /// Sends what can be sent and reads more where there is room.
  private void proceed(long now) {
    if (state == State.CLOSED || state == State.TIME_WAIT || !sender.synAcknowledged()) {
      return;
    }
    if (!blocked) {
      blocked = !sender.transmit(now);
    }
    awaitHost();
    wire.reschedule(this);
  }

  private void awaitHost() {
    if (hostClosed) {
      return;
    }
    var ring = sender.ring();
    boolean readable = readsHost() && ring.limit() - ring.count() >= ring.limit() / 4;
    boolean writable =
        receiver.ring().count() > 0 && state != State.HOST_CONNECTING && state != State.SYN_SENT;
    if (readable != awaitsReadable || writable != awaitsWritable) {
      awaitsReadable = readable;
      awaitsWritable = writable;
      host.await(readable, writable);
    }
  }

  /// A batch of segments is over: owed acknowledgments that cannot wait go now.
  public void flushAcknowledgment(long now) {
    if (state == State.CLOSED || !sender.synAcknowledged()) {
      return;
    }
    if ((ackNow || receiver.windowOpens()) && !emit(sender.next(), TcpSegment.ACK, 0)) {
      ackNow = true;
      blocked = true;
    }
    wire.reschedule(this);
  }

  /// Whether {@link #flushAcknowledgment} has something to do.
  public boolean owesAcknowledgment() {
    return ackNow || ackOwed;
  }

  private void challenge(long now) {
    if (now - challengeAt >= CHALLENGE_INTERVAL || challengeAt == 0) {
      challengeAt = now == 0 ? 1 : now;
      emit(sender.next(), TcpSegment.ACK, 0);
    }
  }

  private boolean emit(int sequence, int flags, int length) {
    if (!wire.send(this, sequence, flags, length)) {
      return false;
    }
    if ((flags & TcpSegment.ACK) != 0) {
      ackNow = false;
      ackOwed = false;
      ackAt = 0;
      unacknowledgedOctets = 0;
    }
    return true;
  }

  private void touch(long now) {
    idleAt = now + IDLE;
    keepAlives = 0;
  }

  /// When {@link #timer} wants to run, in nanoseconds of the owner's clock; 0 for not at all.
  public long deadline() {
    long deadline = state == State.CLOSED ? 0 : sender.deadline();
    deadline = earlier(deadline, ackAt);
    deadline = earlier(deadline, endAt);
    return earlier(deadline, idleAt);
  }

  private static long earlier(long a, long b) {
    return a == 0 ? b : b == 0 || a - b < 0 ? a : b;
  }

  /// Runs what is due.
  public void timer(long now) {
    if (endAt != 0 && endAt - now <= 0) {
      endAt = 0;
      if (state == State.TIME_WAIT) {
        end(now);
      } else {
        abandon();
      }
      return;
    }
    if (state == State.CLOSED) {
      return;
    }
    if (ackAt != 0 && ackAt - now <= 0) {
      ackAt = 0;
      ackNow = true;
      flushAcknowledgment(now);
    }
    int syn =
        passive || state == State.SYN_RECEIVED ? TcpSegment.SYN | TcpSegment.ACK : TcpSegment.SYN;
    if (blocked) {
      // Nothing could be sent: that the peer is silent says nothing.
      sender.postpone(now);
    } else if (!sender.timer(syn, now)) {
      abort();
      return;
    }
    if (idleAt != 0 && idleAt - now <= 0 && !keepAlive(now)) {
      abort();
      return;
    }
    proceed(now);
    wire.reschedule(this);
  }

  private boolean keepAlive(long now) {
    if (state == State.HOST_CONNECTING || keepAlives++ == KEEP_ALIVE_PROBES) {
      return false;
    }
    idleAt = now + KEEP_ALIVE_INTERVAL;
    if (sender.synAcknowledged()) {
      wire.send(this, sender.unacknowledged() - 1, TcpSegment.ACK, 0);
    }
    return true;
  }

  /// Gives back memory that is not in use.
  public void trim() {
    if (receiver.ring().count() == 0 && !receiver.hasGaps()) {
      receiver.ring().release();
    }
    if (sender.ring().count() == 0) {
      sender.ring().release();
    }
  }

  /// The state.
  public State state() {
    return state;
  }

  /// The acknowledgment number of the next segment.
  public int acknowledgment() {
    return receiver.next();
  }

  /// The next sequence number to be sent.
  public int sequence() {
    return sender.next();
  }

  /// The window field of the next segment.
  public int windowField(boolean syn) {
    return receiver.windowField(scaled && !syn);
  }

  /// Whether the link had no room for what is to be sent.
  public boolean blocked() {
    return blocked;
  }

  /// Copies payload of a segment that is being sent.
  public void copyPayload(int sequence, ByteBuffer into, int at, int length) {
    sender.ring().read(sender.ringOffset(sequence), into, at, length);
  }

  /// The window scale that a SYN offers, or -1 for none.
  public int windowScale() {
    return scaled ? receiver.scaleWanted() : -1;
  }

  /// Whether selective acknowledgments are in use, or offered.
  public boolean selective() {
    return selective;
  }

  /// Payload of a segment on the wire.
  public int segmentSize() {
    return sender.segmentSize();
  }

  /// The segment size that a SYN announces.
  public int offeredSegmentSize() {
    return settings.segmentSize();
  }

  /// Blocks of the SACK option: pairs of begin and end.
  ///
  /// @return blocks, 0 to `most`
  public int sacks(int most) {
    return selective ? receiver.sacks(sackBlocks, most) : 0;
  }

  /// What {@link #sacks} filled in.
  public int[] sackBlocks() {
    return sackBlocks;
  }

  /// The host's side.
  public HostStream host() {
    return host;
  }

  /// Octets that wait for the host.
  public int waitingForHost() {
    return receiver.ring().count();
  }

  /// Octets that wait for the peer or its acknowledgment.
  public int waitingForPeer() {
    return sender.ring().count();
  }
}
