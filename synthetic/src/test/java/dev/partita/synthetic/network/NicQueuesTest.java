package dev.partita.synthetic.network;

import static dev.partita.synthetic.network.TestFrames.GUEST;
import static dev.partita.synthetic.network.TestFrames.OTHER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.network.Frame;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// The link of a NIC and its queues.
class NicQueuesTest {
  private final TestPort port = new TestPort();
  private final SyntheticNic nic = new SyntheticNic(NicSettings.of(new UUID(1, 2), GUEST, 4));
  private final TestDriver driver = new TestDriver(nic, 400);

  NicQueuesTest() {
    nic.connect(port);
  }

  @AfterEach
  void close() {
    driver.close();
  }

  // --- link ---

  @Test
  void theGuestHearsOfItsLink() {
    driver.begin();
    port.up = false;
    nic.linkChanged(false);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_DISCONNECT);
    port.up = true;
    nic.linkChanged(true);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_CONNECT);
    assertThat(driver.line().received).isEmpty();
    nic.linkChanged(false);
    nic.linkChanged(true);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8))
        .as("it was down for a moment")
        .isEqualTo(RndisLayout.NETWORK_CHANGE);
  }

  @Test
  void theGuestHearsThatItIsInAnotherNetwork() {
    driver.begin();
    nic.connect(new TestPort());
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.NETWORK_CHANGE);
    nic.disconnect();
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_DISCONNECT);
    nic.connect(port);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_CONNECT);
    assertThat(driver.line().received).isEmpty();
  }

  // --- queues ---

  private void openQueues(int count) {
    driver.begin();
    var answer = driver.exchange(NvspLayout.SUB_CHANNEL, 1, count - 1);
    assertThat(answer.getInt(4)).isEqualTo(NvspLayout.SUCCESS);
    assertThat(answer.getInt(8)).isEqualTo(count - 1);
    assertThat(driver.line().subChannels).containsExactly(count - 1);
    for (int i = 1; i < count; i++) {
      driver.open(i);
    }
  }

  @Test
  void theGuestIsToldHowToSpreadWhatItSends() {
    openQueues(3);
    var last = driver.line().received.removeLast();
    assertThat(last.payload().getInt(0)).isEqualTo(NvspLayout.SEND_INDIRECTION_TABLE);
    assertThat(last.payload().getInt(4)).isEqualTo(16);
    int offset = last.payload().getInt(8);
    for (int i = 0; i < 16; i++) {
      assertThat(last.payload().getInt(offset + 4 * i)).isEqualTo(i % 3);
    }
    driver.line().received.clear();
    var message = TestDriver.message(TestFrames.plain(OTHER, 104));
    assertThat(driver.send(2, message)).isEqualTo(NvspLayout.SUCCESS);
    assertThat(nic.statistics().queues().get(2).sentFrames()).isEqualTo(1);
  }

  @Test
  void notMoreChannelsThanThereMayBe() {
    driver.begin();
    assertThat(driver.exchange(NvspLayout.SUB_CHANNEL, 1, 1000).getInt(8)).isEqualTo(3);
    assertThat(driver.exchange(NvspLayout.SUB_CHANNEL, 2, 1).getInt(4)).isEqualTo(NvspLayout.FAIL);
  }

  static byte[] scaling(int flags, byte[] key, int... table) {
    var value =
        ByteBuffer.allocate(40 + table.length * 4 + 40)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(40 << 16 | 2 << 8 | 0x89)
            .putShort((short) flags)
            .putShort((short) 0)
            .putInt(0x1701)
            .putInt(table.length * 4)
            .putInt(40)
            .putInt(40)
            .putInt(40 + table.length * 4)
            .position(40);
    for (int each : table) {
      value.putInt(each);
    }
    return value.put(key).array();
  }

  @Test
  void flowsAreSpreadOverQueues() {
    openQueues(4);
    driver.line().received.clear();
    var table = new int[128];
    Arrays.setAll(table, i -> i % 4);
    var key = ReceiveScalingTest.KEY;
    assertThat(driver.set(ObjectId.RECEIVE_SCALE_PARAMETERS, scaling(0, key, table))).isZero();
    for (int i = 0; i < 60; i++) {
      driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000 + i, 10));
    }
    nic.endBatch();
    int total = 0;
    var scaling = new ReceiveScaling(0x1701, key, new byte[] {0, 1, 2, 3});
    for (int queue = 0; queue < 4; queue++) {
      var frames = driver.frames(queue);
      assertThat(frames).isNotEmpty();
      for (var frame : frames) {
        int hash = scaling.hash(dev.partita.network.Headers.of(Frame.of(frame.octets())));
        assertThat(frame.infos()).containsEntry(RndisLayout.HASH_INFO, hash);
        assertThat(hash & 3).isEqualTo(queue);
      }
      total += frames.size();
    }
    assertThat(total).isEqualTo(60);
    table[77] = 4;
    assertThat(driver.set(ObjectId.RECEIVE_SCALE_PARAMETERS, scaling(0, key, table)))
        .as("a queue that there is not")
        .isEqualTo(RndisLayout.INVALID_DATA);
  }

  @Test
  void aQueueThatIsNotOpenLeavesItsFlowsToTheFirst() {
    openQueues(2);
    driver.line().received.clear();
    driver.set(ObjectId.RECEIVE_SCALE_PARAMETERS, scaling(0, ReceiveScalingTest.KEY, 3, 3, 3, 3));
    driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000, 10));
    nic.endBatch();
    assertThat(driver.frames(0)).hasSize(1);
  }

  @Test
  void sectionsOfAClosedQueueAreFreeAgain() {
    openQueues(2);
    driver.line().received.clear();
    driver.set(ObjectId.RECEIVE_SCALE_PARAMETERS, scaling(0, ReceiveScalingTest.KEY, 1, 1, 1, 1));
    while (driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000, 10))) {
      // until there are no sections left
    }
    driver.channel(1).closed();
    assertThat(port.ready).isEqualTo(1);
    int taken = 0;
    while (driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000, 10))) {
      taken++;
    }
    assertThat(taken).isEqualTo(driver.sections - 1);
  }
}
