package dev.partita.vmbus;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/// A packet that is seen is seen whole, and one that is written over has been read before. The
/// ring's second packet lies where the first one was, at the wrap.
@JCStressTest
@Outcome(id = "1, .*", expect = Expect.ACCEPTABLE, desc = "the first is whole")
@Outcome(id = ".*, 3", expect = Expect.FORBIDDEN, desc = "a packet in pieces")
@Outcome(expect = Expect.FORBIDDEN, desc = "the first is damaged")
@State
public class PacketContentsStress {
  /// Two do not fit.
  private static final int SIZE = 2400;

  private final RingPair ring = new RingPair();

  public PacketContentsStress() {
    ring.write(1, SIZE);
  }

  @Actor
  public void producer() {
    ring.write(2, SIZE);
  }

  @Actor
  public void consumer(II_Result r) {
    r.r1 = read();
    r.r2 = read();
  }

  /// 0 for none, 1 or 2 for a whole packet, 3 for one in pieces.
  private int read() {
    try {
      var read = ring.consumer.read();
      if (read == null) {
        return 0;
      }
      var packet = read.packet();
      int number = (int) packet.transactionId();
      if (packet.payload().length != SIZE || number < 1 || number > 2) {
        return 3;
      }
      for (byte b : packet.payload()) {
        if (b != number) {
          return 3;
        }
      }
      return number;
    } catch (MalformedRingException e) {
      return 3;
    }
  }
}
