package dev.partita.synthetic.network;

import dev.partita.network.Checksums;
import dev.partita.network.Frame;
import dev.partita.network.Port;
import java.util.ArrayList;
import java.util.List;

/// A port that keeps what is sent.
final class TestPort implements Port {
  /// @param octets with its checksum completed
  record Sent(byte[] octets, int segmentSize, int tag, Frame.Checksum checksum) {}

  final List<Sent> sent = new ArrayList<>();
  int batches;
  int ready;
  boolean up = true;
  boolean refuses;

  /// Frames that may still be sent.
  int bandwidth = Integer.MAX_VALUE;

  @Override
  public Outcome send(Frame frame) {
    if (bandwidth == 0) {
      return Outcome.THROTTLED;
    }
    if (refuses) {
      return Outcome.REFUSED;
    }
    bandwidth--;
    var checksum = frame.checksum();
    Checksums.complete(frame);
    sent.add(new Sent(frame.octets(), frame.segmentSize(), frame.tag(), checksum));
    return Outcome.TAKEN;
  }

  @Override
  public Outcome sendOrDrop(Frame frame) {
    throw new AssertionError("a NIC keeps what is refused");
  }

  @Override
  public void endBatch() {
    batches++;
  }

  @Override
  public synchronized void ready() {
    ready++;
    notifyAll();
  }

  synchronized int readies() {
    return ready;
  }

  /// Waits until it was ready once more.
  synchronized void awaitReady(int before) throws InterruptedException {
    while (ready == before) {
      wait();
    }
  }

  @Override
  public boolean up() {
    return up;
  }

  @Override
  public void close() {}
}
