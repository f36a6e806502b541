package dev.partita.synthetic.internal;

import dev.partita.vmbus.Packet;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/// A line with the test at its other end. What it sends waits for the test; tasks run at once.
public final class TestLine implements Line {
  private final boolean restored;
  private final LinkedBlockingQueue<byte[]> sent = new LinkedBlockingQueue<>();

  /// Messages it has room for.
  public volatile int room = Integer.MAX_VALUE;

  public TestLine(boolean restored) {
    this.restored = restored;
  }

  @Override
  public boolean restored() {
    return restored;
  }

  @Override
  public boolean send(long transactionId, byte[] payload) {
    if (room == 0) {
      return false;
    }
    room--;
    sent.add(payload);
    return true;
  }

  @Override
  public void execute(Runnable task) {
    task.run();
  }

  /// The next message, which may be about to be sent by another thread; padded as in a ring.
  public ByteBuffer take() throws InterruptedException {
    var payload = sent.poll(30, TimeUnit.SECONDS);
    if (payload == null) {
      throw new AssertionError("nothing is sent");
    }
    return ByteBuffer.wrap(Arrays.copyOf(payload, payload.length + 7 & ~7))
        .order(ByteOrder.LITTLE_ENDIAN);
  }

  /// Messages that were sent and not taken.
  public int pending() {
    return sent.size();
  }

  /// A packet from the guest.
  public static Packet packet(byte[] payload) {
    return new Packet(
        Packet.IN_BAND, 0, 0, new byte[0], Arrays.copyOf(payload, payload.length + 7 & ~7));
  }
}
