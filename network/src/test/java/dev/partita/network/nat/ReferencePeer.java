package dev.partita.network.nat;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.TreeMap;

/// A simple TCP of the test's own: go-back-N with a fixed time-out, a receive buffer that is read
/// at a rate, with or without the options. It checks that what it gets keeps to the window it
/// offered.
final class ReferencePeer {
  private static final int FIN = 1;
  private static final int SYN = 2;
  private static final int RST = 4;
  private static final int ACK = 16;
  private static final long MILLI = 1_000_000L;

  final SimulatedLink link;
  final IpAddress address;
  final IpAddress remote;
  final int port;
  final int remotePort;
  final byte[] toSend;
  final ByteArrayOutputStream got = new ByteArrayOutputStream();

  int segmentSize = 1460;
  int scale = 7;
  boolean selective = true;
  int buffer = 65_536;

  /// Octets that the program reads every millisecond.
  int readRate = Integer.MAX_VALUE;

  /// Whether the stream ends after what is to be sent.
  boolean ends = true;

  boolean reset;
  boolean connected;
  boolean finReceived;
  boolean finAcknowledged;

  private final SplittableRandom random;
  private final int initial;
  private final TreeMap<Integer, byte[]> later = new TreeMap<>();
  private int una;
  private int nxt;
  private int edge;
  private int peerInitial;
  private int received;
  private int unread;
  private int offered;
  private int finAt = -1;
  private int peerScale;
  private boolean peerSelective;
  private boolean synReceived;
  private boolean ackPending;
  private int acksSkipped;

  ReferencePeer(
      SimulatedLink link, int port, IpAddress remote, int remotePort, byte[] toSend, long seed) {
    this.link = link;
    this.address = remote.isV4() ? SimulatedLink.GUEST : SimulatedLink.GUEST6;
    this.remote = remote;
    this.port = port;
    this.remotePort = remotePort;
    this.toSend = toSend;
    random = new SplittableRandom(seed);
    initial = random.nextInt();
  }

  private void every(long nanos, Runnable action) {
    link.time
        .timer(
            () -> {
              if (!done()) {
                action.run();
                every(nanos, action);
              }
            })
        .arm(link.time.nanoTime() + nanos);
  }

  boolean done() {
    return reset || finReceived && finAcknowledged;
  }

  /// Begins to connect.
  void connect() {
    start();
    sendSyn();
  }

  /// Begins to wait for a SYN.
  void listen() {
    start();
  }

  private void start() {
    every(300 * MILLI, this::timeout);
    every(MILLI, this::read);
  }

  private void sendSyn() {
    var options = ByteBuffer.allocate(12);
    options.putInt(0x0204_0000 | segmentSize);
    options.putInt(selective ? 0x0101_0402 : 0x0101_0101);
    options.putInt(scale >= 0 ? 0x0103_0300 | scale : 0x0101_0101);
    send(initial, synReceived ? SYN | ACK : SYN, options.array(), new byte[0]);
  }

  private void send(int sequence, int flags, byte[] options, byte[] payload) {
    int window = Math.max(0, buffer - unread);
    int shift = (flags & SYN) != 0 || !connected || scale < 0 || peerScale < 0 ? 0 : scale;
    int field = Math.min(65_535, window >> shift);
    offered = Math.max(offered, received + (field << shift));
    link.fromGuest(
        Packets.tcp(
            address,
            port,
            remote,
            remotePort,
            sequence,
            (flags & ACK) != 0 ? acknowledgment() : 0,
            flags,
            field,
            options,
            payload));
  }

  private int acknowledgment() {
    return peerInitial + 1 + received + (finReceived ? 1 : 0);
  }

  private void acknowledge() {
    ackPending = false;
    acksSkipped = 0;
    int blocks = peerSelective && selective ? Math.min(3, later.size()) : 0;
    var options = ByteBuffer.allocate(blocks == 0 ? 0 : 4 + 8 * blocks);
    if (blocks > 0) {
      options.putInt(0x0101_0500 | 2 + 8 * blocks);
      int n = 0;
      for (var entry : later.entrySet()) {
        if (n++ == blocks) {
          break;
        }
        options.putInt(peerInitial + 1 + entry.getKey());
        options.putInt(peerInitial + 1 + entry.getKey() + entry.getValue().length);
      }
    }
    send(initial + 1 + nxt, ACK, options.array(), new byte[0]);
  }

  private void timeout() {
    if (!connected) {
      if (!synReceived || port != 0) {
        sendSynAgain();
      }
      return;
    }
    if (ackPending) {
      acknowledge();
    }
    nxt = finAcknowledged ? una + 1 : una;
    if (edge <= una && una < toSend.length) {
      // Asks for the window with the next octet.
      send(initial + 1 + una, ACK, new byte[0], Arrays.copyOfRange(toSend, una, una + 1));
    }
    transmit();
  }

  private boolean opener;

  private void sendSynAgain() {
    if (opener || synReceived) {
      sendSyn();
    }
  }

  void open() {
    opener = true;
    connect();
  }

  private void transmit() {
    while (connected && nxt < toSend.length && nxt < edge) {
      int length = Math.min(Math.min(segmentSize, toSend.length - nxt), edge - nxt);
      if (length > 1 && random.nextInt(8) == 0) {
        length = 1 + random.nextInt(length);
      }
      boolean fin = ends && nxt + length == toSend.length;
      send(
          initial + 1 + nxt,
          fin ? ACK | FIN : ACK,
          new byte[0],
          Arrays.copyOfRange(toSend, nxt, nxt + length));
      nxt += length;
      if (fin) {
        nxt++;
      }
    }
    if (connected && ends && nxt == toSend.length && !finAcknowledged) {
      send(initial + 1 + nxt, ACK | FIN, new byte[0], new byte[0]);
      nxt++;
    }
  }

  private void read() {
    int before = buffer - unread;
    int n = Math.min(unread, readRate);
    unread -= n;
    if (connected && before < segmentSize && buffer - unread >= segmentSize) {
      acknowledge();
    }
  }

  /// A frame arrives; those of other connections are ignored.
  void receive(byte[] octets) {
    var headers = Headers.of(Frame.of(octets));
    if (headers.protocol() != Headers.TCP
        || headers.destinationPort() != port
        || headers.sourcePort() != remotePort) {
      return;
    }
    var b = ByteBuffer.wrap(octets);
    int tcp = headers.transport();
    int sequence = b.getInt(tcp + 4);
    int acknowledgment = b.getInt(tcp + 8);
    int flags = octets[tcp + 13] & 0xff;
    int window = b.getShort(tcp + 14) & 0xffff;
    int data = tcp + ((octets[tcp + 12] & 0xf0) >> 2);
    if ((flags & RST) != 0) {
      // After the end the gateway may know nothing of the connection any more.
      reset = !done();
      return;
    }
    if ((flags & SYN) != 0) {
      synArrived(octets, tcp, data, sequence, acknowledgment, flags, window);
      return;
    }
    if (!synReceived) {
      return;
    }
    if (!connected && (flags & ACK) != 0) {
      connected = true;
    }
    int acked = acknowledgment - initial - 1;
    if (acked > toSend.length + 1 || acked > nxt && acked > una + buffer) {
      throw new AssertionError("acknowledges %d of %d".formatted(acked, nxt));
    }
    int shift = peerScale < 0 ? 0 : peerScale;
    if (acked >= una) {
      una = Math.min(acked, toSend.length);
      nxt = Math.max(nxt, una);
      edge = Math.max(edge, acked + (window << shift));
      if (acked == toSend.length + 1) {
        finAcknowledged = true;
      }
    }
    int length = headers.packetEnd() - data;
    int at = sequence - peerInitial - 1;
    if (length > 0) {
      arrived(at, Arrays.copyOfRange(octets, data, headers.packetEnd()));
    }
    if ((flags & FIN) != 0) {
      finAt = at + length;
    }
    if (finAt == received && !finReceived) {
      finReceived = true;
      acknowledge();
    } else if (length > 0 || (flags & FIN) != 0 || at < received) {
      ackPending = true;
      boolean wait = later.isEmpty() && acksSkipped == 0 && random.nextInt(2) == 0;
      if (wait) {
        acksSkipped++;
      } else {
        acknowledge();
      }
    }
    transmit();
  }

  private void synArrived(
      byte[] octets, int tcp, int data, int sequence, int acknowledgment, int flags, int window) {
    if (!synReceived) {
      synReceived = true;
      peerInitial = sequence;
      peerScale = -1;
      for (int at = tcp + 20; at < data; ) {
        int kind = octets[at];
        if (kind == 1) {
          at++;
          continue;
        }
        if (kind == 0) {
          break;
        }
        if (kind == 3) {
          peerScale = scale < 0 ? -1 : octets[at + 2];
        }
        peerSelective |= kind == 4;
        at += octets[at + 1];
      }
      edge = window;
    }
    if ((flags & ACK) == 0) {
      sendSyn();
    } else if (acknowledgment == initial + 1) {
      connected = true;
      acknowledge();
      transmit();
    }
  }

  private void arrived(int at, byte[] payload) {
    if (at + payload.length > offered) {
      throw new AssertionError(
          "got up to %d, offered only up to %d".formatted(at + payload.length, offered));
    }
    if (at > received) {
      // A stack that throws away what is out of order is allowed to (and some do).
      if (selective && later.size() < 50) {
        later.merge(at, payload, (a, c) -> a.length >= c.length ? a : c);
      }
      return;
    }
    take(at, payload);
    while (!later.isEmpty() && later.firstKey() <= received) {
      var first = later.pollFirstEntry();
      take(first.getKey(), first.getValue());
    }
  }

  private void take(int at, byte[] payload) {
    int skip = received - at;
    if (skip < payload.length) {
      got.write(payload, skip, payload.length - skip);
      received += payload.length - skip;
      unread += payload.length - skip;
    }
  }
}
