package dev.partita.synthetic.network;

import static dev.partita.synthetic.network.TestFrames.GUEST;
import static dev.partita.synthetic.network.TestFrames.OTHER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.network.Frame;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Several threads deliver at once to a guest with little room, which sends meanwhile: nothing is
/// lost, nothing comes twice, each thread's frames come in their order, and nobody waits for ever.
class NicTurmoilTest {
  private static final int SENDERS = 4;
  private static final int FRAMES = 3_000;

  @Test
  @Timeout(120)
  void everyFrameComesOnce() throws InterruptedException {
    var port = new TestPort();
    var nic = new SyntheticNic(NicSettings.of(new UUID(1, 2), GUEST, 1));
    nic.connect(port);
    try (var driver = new TestDriver(nic, 30)) {
      driver.begin();
      var senders = new ArrayList<Thread>();
      for (int i = 0; i < SENDERS; i++) {
        int number = i;
        senders.add(Thread.ofPlatform().start(() -> deliverAll(nic, port, number)));
      }
      var next = new int[SENDERS];
      var message = TestDriver.message(TestFrames.plain(OTHER, 100));
      int sent = 0;
      for (int total = 0; total < SENDERS * FRAMES; ) {
        driver.push(0, message);
        sent++;
        driver.runTasks();
        driver.line().received.removeIf(each -> each.type() == dev.partita.vmbus.Packet.COMPLETION);
        for (var frame : driver.frames(0)) {
          var octets = ByteBuffer.wrap(frame.octets());
          int sender = octets.getShort(34);
          assertThat(octets.getInt(42)).isEqualTo(next[sender]++);
          total++;
        }
      }
      for (var sender : senders) {
        sender.join();
      }
      assertThat(driver.frames(0)).isEmpty();
      assertThat(nic.statistics().received().frames()).isEqualTo(SENDERS * FRAMES);
      assertThat(port.sent).hasSize(sent);
    }
  }

  private static void deliverAll(SyntheticNic nic, TestPort port, int sender) {
    try {
      for (int i = 0; i < FRAMES; i++) {
        var octets = TestFrames.udp4(GUEST, OTHER, sender, 64);
        ByteBuffer.wrap(octets).putInt(42, i);
        var frame = Frame.of(octets).verified(true);
        int before = port.readies();
        while (!nic.deliver(frame)) {
          nic.endBatch();
          port.awaitReady(before);
          before = port.readies();
        }
        if (i % 7 == 0) {
          nic.endBatch();
        }
      }
      nic.endBatch();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
