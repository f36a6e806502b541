package dev.partita.vmbus;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/// A producer that finds no room goes to sleep while the consumer makes room: the consumer signals,
/// or the producer sees the room.
@JCStressTest
@Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "written, no signal needed")
@Outcome(id = "0, 1", expect = Expect.ACCEPTABLE, desc = "signalled in its sleep")
@Outcome(id = "1, 1", expect = Expect.ACCEPTABLE, desc = "written, and signalled once too often")
@Outcome(id = "0, 0", expect = Expect.FORBIDDEN, desc = "both sleep")
@State
public class RoomSignalStress {
  private final RingPair ring = new RingPair();

  public RoomSignalStress() {
    while (ring.write(1, 1000) != OutgoingRing.Written.FULL) {}
    // It has not asked for room yet.
    ring.write(1, 8);
  }

  @Actor
  public void producer(II_Result r) {
    r.r1 = ring.write(2, 1000) == OutgoingRing.Written.FULL ? 0 : 1;
  }

  @Actor
  public void consumer(II_Result r) {
    try {
      var read = ring.consumer.read();
      r.r2 = read != null && read.signal() ? 1 : 0;
    } catch (MalformedRingException e) {
      r.r2 = -1;
    }
  }
}
