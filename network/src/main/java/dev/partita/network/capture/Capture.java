package dev.partita.network.capture;

import dev.partita.hypervisor.TimeSource;
import dev.partita.network.Checksums;
import dev.partita.network.Frame;
import dev.partita.network.vswitch.FrameTap;
import dev.partita.network.vswitch.SwitchPort;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// Writes the frames of ports to a pcapng file or pipe, for Wireshark and tcpdump. The frames' path
/// only copies; a thread writes. When it is too slow, frames are left out and counted.
///
/// Large segments appear as they pass the port, with their checksum completed and their tag put in.
public final class Capture implements FrameTap, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Capture.class.getName());

  /// Octets that wait to be written.
  private static final int QUEUE = 16 << 20;

  private final OutputStream out;
  private final TimeSource time;
  private final int snapLength;
  private final List<SwitchPort> ports;
  private final Map<SwitchPort, Integer> numbers = new HashMap<>();
  private final long[] dropped;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final ArrayDeque<byte[]> queue = new ArrayDeque<>();
  private final Thread thread;
  private int queued;
  private long captured;
  private boolean ended;
  private @Nullable IOException failure;

  /// Begins to capture.
  ///
  /// @param out closed with this; written to and flushed by one thread
  /// @param snapLength octets of each frame that are kept, at least 64
  /// @throws IOException if the beginning cannot be written
  public static Capture start(
      OutputStream out, List<SwitchPort> ports, TimeSource time, int snapLength)
      throws IOException {
    out.write(PcapngLayout.section());
    for (var port : ports) {
      out.write(PcapngLayout.port(port.toString(), snapLength));
    }
    out.flush();
    var capture = new Capture(out, ports, time, Math.max(snapLength, 64));
    capture.thread.start();
    ports.forEach(port -> port.addTap(capture));
    return capture;
  }

  private Capture(OutputStream out, List<SwitchPort> ports, TimeSource time, int snapLength) {
    this.out = out;
    this.ports = List.copyOf(ports);
    this.time = time;
    this.snapLength = snapLength;
    for (var port : ports) {
      numbers.put(port, numbers.size());
    }
    dropped = new long[ports.size()];
    thread = Thread.ofVirtual().name("partita-capture").unstarted(this::write);
  }

  @Override
  public void frame(SwitchPort port, Frame frame, boolean outbound) {
    var number = numbers.get(port);
    if (number == null) {
      return;
    }
    var block = block(number, frame, outbound);
    lock.lock();
    try {
      if (ended || failure != null || queued + block.length > QUEUE) {
        dropped[number]++;
        return;
      }
      queue.add(block);
      queued += block.length;
      captured++;
      changed.signal();
    } finally {
      lock.unlock();
    }
  }

  private byte[] block(int number, Frame frame, boolean outbound) {
    var copy = frame.copyTo(ByteBuffer.allocate(4 + frame.length()), 4);
    Checksums.complete(copy);
    copy.putTag();
    int length = copy.length();
    copy.truncate(Math.min(length, snapLength));
    return PcapngLayout.frame(number, time.wallClockNanos(), copy.octets(), length, outbound);
  }

  private void write() {
    try {
      while (true) {
        byte[] next;
        boolean idle;
        lock.lock();
        try {
          while (queue.isEmpty() && !ended) {
            changed.awaitUninterruptibly();
          }
          next = queue.poll();
          if (next == null) {
            break;
          }
          queued -= next.length;
          idle = queue.isEmpty();
        } finally {
          lock.unlock();
        }
        out.write(next);
        if (idle) {
          out.flush();
        }
      }
      for (int i = 0; i < dropped.length; i++) {
        out.write(PcapngLayout.statistics(i, time.wallClockNanos(), dropped[i]));
      }
      out.flush();
    } catch (IOException e) {
      // A reader that has enough (a closed pipe), or a full disk.
      LOG.log(System.Logger.Level.WARNING, "capture ended: " + e.getMessage());
      lock.lock();
      try {
        failure = e;
        queue.clear();
        queued = 0;
      } finally {
        lock.unlock();
      }
    }
  }

  /// Frames that were captured.
  public long captured() {
    lock.lock();
    try {
      return captured;
    } finally {
      lock.unlock();
    }
  }

  /// Whether writing has failed, so that nothing more is captured.
  public boolean failed() {
    lock.lock();
    try {
      return failure != null;
    } finally {
      lock.unlock();
    }
  }

  /// Ends the capture: what was captured is written.
  @Override
  public void close() throws IOException {
    ports.forEach(port -> port.removeTap(this));
    lock.lock();
    try {
      ended = true;
      changed.signal();
    } finally {
      lock.unlock();
    }
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    out.close();
  }
}
