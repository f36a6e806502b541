package dev.partita.network.link;

import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.Offloads;
import dev.partita.network.Port;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// One end of a cable through a stream socket: frames one after the other, each with its length
/// before it, and, between two Partita processes, with what offloading NICs say about it, so that
/// large segments pass whole.
///
/// The layout, in network byte order, is `u32 length` and the frame with its tag in it; this much
/// is also what QEMU's `-netdev stream` speaks. With offloads a header of eight octets, which
/// `length` counts too, comes before the frame: `u8 flags` (1: the checksum is partial, 2: it is
/// right), `u8` zero, `u16` where the sum begins, `u16` where it goes from there, `u16` segment
/// size.
public final class StreamLink implements Endpoint, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(StreamLink.class.getName());

  /// What is said about each frame.
  public enum Format {
    /// Nothing: length and frame. QEMU's.
    PLAIN,
    /// Checksums and segments.
    OFFLOADS
  }

  private static final int LENGTH = 4;
  private static final int HEADER = 8;
  private static final int PARTIAL = 1;
  private static final int VERIFIED = 2;
  private static final int TAG = 4;

  /// Room for a tag before the frame in the reader's buffer.
  private static final int LARGEST = HEADER + Frame.MAX_LENGTH + TAG;

  /// Octets that wait to be written.
  private static final int QUEUE = 1 << 18;

  private static final long RETRY_NANOS = 20_000_000L;

  private final String name;
  private final SocketChannel channel;
  private final Format format;
  private final Offloads offloads;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition filled = lock.newCondition();
  private final LongAdder lost = new LongAdder();
  private ByteBuffer filling = ByteBuffer.allocateDirect(QUEUE);
  private ByteBuffer writing = ByteBuffer.allocateDirect(QUEUE);
  private boolean refused;
  private volatile boolean closed;
  private @Nullable Port port;
  private @Nullable Thread reader;
  private Runnable onClose = () -> {};

  /// @param name for messages
  /// @param channel connected, in blocking mode; closed with this
  /// @param mtu octets of the largest IP packet
  public StreamLink(String name, SocketChannel channel, Format format, int mtu) {
    this.name = name;
    this.channel = channel;
    this.format = format;
    offloads =
        format == Format.PLAIN
            ? Offloads.NONE.withMtu(mtu)
            : new Offloads(mtu, true, Frame.MAX_LENGTH);
  }

  /// Begins to carry frames.
  ///
  /// @param onClose runs once when the other end is gone or this is closed
  public void attach(Port port, Runnable onClose) {
    this.port = port;
    this.onClose = onClose;
    Thread.ofVirtual().name("partita-link-write-" + name).start(() -> writeAll(port));
    reader = Thread.ofVirtual().name("partita-link-read-" + name).start(() -> readAll(port));
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
      int extra = format == Format.PLAIN ? 0 : HEADER;
      if (filling.remaining() < LENGTH + extra + TAG + frame.length()) {
        refused = true;
        return false;
      }
      int at = filling.position();
      // Four octets of room for a tag; if there is none, the frame stands where it belongs.
      int room = frame.tag() == Frame.NO_TAG ? 0 : TAG;
      var copy = frame.copyTo(filling, at + LENGTH + extra + room);
      if (!copy.putTag()) {
        lost.increment();
        return true;
      }
      filling.putInt(at, extra + copy.length());
      if (extra > 0) {
        describe(filling, at + LENGTH, copy);
      }
      filling.position(at + LENGTH + extra + copy.length());
      return true;
    } finally {
      lock.unlock();
    }
  }

  private static void describe(ByteBuffer into, int at, Frame frame) {
    into.putLong(at, 0);
    switch (frame.checksum()) {
      case PARTIAL -> {
        into.put(at, (byte) PARTIAL);
        into.putShort(at + 2, (short) frame.checksumStart());
        into.putShort(at + 4, (short) frame.checksumOffset());
      }
      case VERIFIED -> into.put(at, (byte) VERIFIED);
      case UNKNOWN -> {}
    }
    into.putShort(at + 6, (short) frame.segmentSize());
  }

  @Override
  public void endBatch() {
    lock.lock();
    try {
      filled.signal();
    } finally {
      lock.unlock();
    }
  }

  private void writeAll(Port port) {
    try {
      while (true) {
        boolean ready;
        lock.lock();
        try {
          while (filling.position() == 0 && !closed) {
            filled.awaitUninterruptibly();
          }
          if (closed) {
            return;
          }
          var full = filling;
          filling = writing.clear();
          writing = full.flip();
          ready = refused;
          refused = false;
        } finally {
          lock.unlock();
        }
        if (ready) {
          port.ready();
        }
        while (writing.hasRemaining()) {
          channel.write(writing);
        }
      }
    } catch (IOException e) {
      gone(e);
    }
  }

  private void readAll(Port port) {
    var buffer = ByteBuffer.allocateDirect(4 * LARGEST).limit(0);
    var frame = new Frame();
    try {
      while (!closed) {
        if (!fill(buffer, LENGTH)) {
          throw new EOFException("the other end has gone");
        }
        int length = buffer.getInt(buffer.position());
        int extra = format == Format.PLAIN ? 0 : HEADER;
        if (length < extra + Frame.HEADER || length > extra + Frame.MAX_LENGTH) {
          throw new IOException("a frame of %d octets".formatted(length));
        }
        boolean last = buffer.remaining() < LENGTH + length + LENGTH;
        if (!fill(buffer, LENGTH + length)) {
          throw new EOFException("the other end has gone in the middle of a frame");
        }
        int at = buffer.position() + LENGTH;
        frame.set(buffer, at + extra, length - extra);
        buffer.position(at + length);
        if (extra == 0 || read(buffer, at, frame)) {
          send(port, frame);
        } else {
          lost.increment();
        }
        if (last) {
          port.endBatch();
        }
      }
    } catch (IOException e) {
      gone(e);
    }
  }

  /// Reads until so many octets are there.
  private boolean fill(ByteBuffer buffer, int octets) throws IOException {
    while (buffer.remaining() < octets) {
      int begin = buffer.position();
      if (buffer.capacity() - begin < octets || buffer.limit() == buffer.capacity()) {
        buffer.compact().flip();
        begin = 0;
      }
      int end = buffer.limit();
      buffer.position(end).limit(buffer.capacity());
      int n = channel.read(buffer);
      buffer.limit(buffer.position()).position(begin);
      if (n < 0) {
        return false;
      }
    }
    return true;
  }

  private static boolean read(ByteBuffer bytes, int at, Frame frame) {
    int flags = bytes.get(at);
    int start = bytes.getShort(at + 2) & 0xffff;
    int offset = bytes.getShort(at + 4) & 0xffff;
    if ((flags & PARTIAL) != 0) {
      if (start < Frame.HEADER || start + offset + 2 > frame.length()) {
        return false;
      }
      frame.partial(start, offset);
    } else if ((flags & VERIFIED) != 0) {
      frame.verified(true);
    }
    frame.segmentSize(bytes.getShort(at + 6) & 0xffff);
    return true;
  }

  private void send(Port port, Frame frame) {
    while (!closed && port.sendOrDrop(frame) == Port.Outcome.THROTTLED) {
      // Meanwhile the socket's buffer fills, and then the other end's queue.
      port.endBatch();
      LockSupport.parkNanos(RETRY_NANOS);
    }
  }

  @Override
  public void resume() {
    LockSupport.unpark(reader);
  }

  private void gone(IOException e) {
    if (!closed) {
      LOG.log(System.Logger.Level.INFO, () -> "link %s: %s".formatted(name, e.getMessage()));
    }
    close();
  }

  /// Closes the socket and unplugs the port.
  @Override
  public void close() {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      filled.signalAll();
    } finally {
      lock.unlock();
    }
    try {
      channel.close();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "link: closing failed", e);
    }
    LockSupport.unpark(reader);
    if (port != null) {
      port.close();
    }
    onClose.run();
  }
}
