package dev.partita.vmbus;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Expect;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/// A packet is written while the consumer finds the ring empty and goes to sleep: the producer
/// signals, or the consumer sees the packet.
@JCStressTest
@Outcome(id = "0, 1", expect = Expect.ACCEPTABLE, desc = "not signalled, seen before sleeping")
@Outcome(id = "0, 2", expect = Expect.ACCEPTABLE, desc = "not signalled, read at once")
@Outcome(id = "1, 0", expect = Expect.ACCEPTABLE, desc = "signalled in its sleep")
@Outcome(id = "1, 1", expect = Expect.ACCEPTABLE, desc = "seen, and signalled once too often")
@Outcome(id = "0, 0", expect = Expect.FORBIDDEN, desc = "both sleep")
@State
public class PacketSignalStress {
  private final RingPair ring = new RingPair();

  public PacketSignalStress() {
    ring.consumer.disableInterrupts();
  }

  @Actor
  public void producer(II_Result r) {
    r.r1 = ring.write(1, 8) == OutgoingRing.Written.SIGNAL ? 1 : 0;
  }

  @Actor
  public void consumer(II_Result r) {
    try {
      r.r2 = ring.consumer.read() != null ? 2 : ring.consumer.enableInterrupts() ? 1 : 0;
    } catch (MalformedRingException e) {
      r.r2 = -1;
    }
  }
}
