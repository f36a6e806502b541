package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import java.nio.ByteBuffer;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Carries the guests' ICMP echo requests out of the host, where the host permits it, and the
/// answers back. One socket serves all guests of a family: its requests are told apart by their
/// sequence numbers. A thread waits for answers while some are awaited.
final class PingRelay {
  private static final System.Logger LOG = System.getLogger(PingRelay.class.getName());
  private static final long SECOND = 1_000_000_000L;

  /// An answer that takes longer is not carried back.
  private static final long PATIENCE = 10 * SECOND;

  /// Requests under way; the number is part of the sequence number, so it is a power of two.
  private static final int MOST = 1024;

  /// How long the thread waits before it looks whether it is still needed.
  private static final int WAIT_MILLIS = 250;

  /// Delivers an answer to a guest; under the gateway's lock.
  interface Output {
    /// @param message from its type on, with the guest's identifier and sequence number
    void answer(Request request, ByteBuffer message);
  }

  /// A guest's request.
  record Request(
      IpAddress guest, long mac, IpAddress to, int identifier, int sequence, long until) {}

  private final boolean v4;
  private final ReentrantLock lock;
  private final Output output;
  private final Runnable batchEnd;
  private final @Nullable Request[] requests = new @Nullable Request[MOST];
  private int next;
  private int awaited;
  private boolean tried;
  private boolean closed;
  private @Nullable PingSocket socket;
  private @Nullable Thread thread;

  PingRelay(boolean v4, ReentrantLock lock, Output output, Runnable batchEnd) {
    this.v4 = v4;
    this.lock = lock;
    this.output = output;
    this.batchEnd = batchEnd;
  }

  /// Whether the host permits it; opens the socket the first time.
  boolean available() {
    if (!tried) {
      tried = true;
      socket = PingSocket.open(v4);
      if (socket == null) {
        LOG.log(
            System.Logger.Level.INFO,
            "nat: the host does not permit {0}: guests can ping only the gateway"
                + " (sysctl net.ipv4.ping_group_range=\"0 2147483647\" permits it)",
            v4 ? "ICMP echo" : "ICMPv6 echo");
      }
    }
    return socket != null;
  }

  /// Carries a request out; {@link #available} was true.
  ///
  /// @param message from its type on
  void send(Request request, ByteBuffer message) {
    var open = socket;
    if (open == null || closed) {
      return;
    }
    int sequence = next++ & 0xffff;
    int slot = sequence % MOST;
    if (requests[slot] == null) {
      awaited++;
    }
    requests[slot] = request;
    message.putShort(6, (short) sequence);
    if (!open.send(message, request.to)) {
      requests[slot] = null;
      awaited--;
      return;
    }
    if (thread == null) {
      thread = Thread.ofPlatform().name("partita-ping").daemon().start(() -> receive(open));
    }
  }

  private void receive(PingSocket open) {
    while (true) {
      var answer = open.receive(WAIT_MILLIS);
      lock.lock();
      try {
        if (answer != null) {
          deliver(answer);
        }
        if (closed || awaited == 0) {
          thread = null;
          if (closed) {
            open.close();
          }
          return;
        }
      } finally {
        lock.unlock();
      }
    }
  }

  private void deliver(PingSocket.Answer answer) {
    int slot = (answer.message().getShort(6) & 0xffff) % MOST;
    var request = requests[slot];
    if (request == null || !request.to.equals(answer.from())) {
      return;
    }
    requests[slot] = null;
    awaited--;
    var message = answer.message();
    message.putShort(4, (short) request.identifier);
    message.putShort(6, (short) request.sequence);
    output.answer(request, message);
    batchEnd.run();
  }

  /// Forgets what is awaited for too long.
  void tick(long now) {
    for (int i = 0; i < MOST && awaited > 0; i++) {
      var request = requests[i];
      if (request != null && request.until - now <= 0) {
        requests[i] = null;
        awaited--;
      }
    }
  }

  static long until(long now) {
    return now + PATIENCE;
  }

  int size() {
    return awaited;
  }

  void close() {
    closed = true;
    var open = socket;
    if (open != null && thread == null) {
      open.close();
    }
    socket = null;
  }
}
