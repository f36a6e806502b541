package dev.partita.network.link;

import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.Offloads;
import dev.partita.network.Port;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// One end of a cable through UDP: each datagram is a frame as on a wire, with its tag in it, as
/// QEMU's `-netdev dgram` does it too. Only the other end's address is listened to, which is no
/// protection on a network that others can write to: use it where the network is trusted.
public final class UdpLink implements Endpoint, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(UdpLink.class.getName());

  /// Room before a frame, for a tag.
  private static final int ROOM = 16;

  private static final int BATCH = 64;

  private final DatagramChannel channel;
  private final Selector selector;
  private final Offloads offloads;
  private final ReentrantLock lock = new ReentrantLock();
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(ROOM + Frame.MAX_LENGTH);
  private final LongAdder lost = new LongAdder();
  private @Nullable Port port;
  private @Nullable Thread thread;
  private volatile boolean closed;

  private UdpLink(DatagramChannel channel, Selector selector, int mtu) {
    this.channel = channel;
    this.selector = selector;
    offloads = Offloads.NONE.withMtu(mtu);
  }

  /// Opens this end.
  ///
  /// @param local address and port of this end
  /// @param remote of the other end
  /// @param mtu octets of the largest IP packet in a frame
  public static UdpLink open(InetSocketAddress local, InetSocketAddress remote, int mtu)
      throws IOException {
    var channel = DatagramChannel.open();
    try {
      channel.configureBlocking(false);
      channel.bind(local);
      channel.connect(remote);
      var selector = Selector.open();
      channel.register(selector, SelectionKey.OP_READ);
      return new UdpLink(channel, selector, mtu);
    } catch (IOException e) {
      channel.close();
      throw new IOException(
          "UDP link from %s to %s: %s".formatted(local, remote, e.getMessage()), e);
    }
  }

  /// Begins to carry frames.
  public void attach(Port port) {
    this.port = port;
    thread = Thread.ofPlatform().name("partita-udp-link").daemon().start(() -> carry(port));
  }

  private void carry(Port port) {
    var into = ByteBuffer.allocateDirect(ROOM + Frame.MAX_LENGTH + 4);
    var frame = new Frame();
    while (!closed) {
      try {
        selector.select(key -> {});
        boolean more = true;
        while (more && !closed) {
          int n = 0;
          for (; n < BATCH && more; n++) {
            into.clear().position(ROOM);
            more = channel.read(into) > 0;
            int length = into.position() - ROOM;
            if (more && length >= Frame.HEADER && length <= Frame.MAX_LENGTH) {
              frame.set(into, ROOM, length);
              if (port.sendOrDrop(frame) != Port.Outcome.TAKEN) {
                lost.increment();
              }
            }
          }
          port.endBatch();
        }
      } catch (IOException e) {
        // Nobody is there (yet): the other end may come.
        LOG.log(System.Logger.Level.DEBUG, () -> "udp link: " + e.getMessage());
      }
    }
  }

  /// Frames that could not be carried.
  public long lost() {
    return lost.sum();
  }

  @Override
  public Offloads offloads() {
    return offloads;
  }

  @Override
  public boolean deliver(Frame frame) {
    lock.lock();
    try {
      if (closed) {
        return true;
      }
      var copy = frame.copyTo(buffer, ROOM);
      if (!copy.putTag()) {
        lost.increment();
        return true;
      }
      var datagram = buffer.duplicate();
      datagram.limit(copy.start() + copy.length()).position(copy.start());
      if (channel.write(datagram) == 0) {
        lost.increment();
      }
      return true;
    } catch (IOException e) {
      lost.increment();
      return true;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void close() {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
    } finally {
      lock.unlock();
    }
    try {
      selector.wakeup();
      if (thread != null) {
        thread.join();
      }
      selector.close();
      channel.close();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "udp link: closing failed", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (port != null) {
      port.close();
    }
  }
}
