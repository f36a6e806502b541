package dev.partita.synthetic.network;

import static dev.partita.synthetic.network.TestFrames.GUEST;
import static dev.partita.synthetic.network.TestFrames.OTHER;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.network.MacAddress;
import java.util.Arrays;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// A NIC that is saved in the middle of things goes on as another one.
class NicStateTest {
  private final NicSettings settings = NicSettings.of(new UUID(1, 2), GUEST, 4);
  private final TestPort port = new TestPort();
  private final TestPort nextPort = new TestPort();
  private final SyntheticNic next = new SyntheticNic(settings);
  private final TestDriver driver = new TestDriver(new SyntheticNic(settings), 400);

  NicStateTest() {
    driver.nic.connect(port);
    next.connect(nextPort);
  }

  @AfterEach
  void close() {
    driver.close();
  }

  @Test
  void sectionsThatTheGuestHasAreNotUsedTwice() {
    driver.begin();
    for (int i = 0; i < 5; i++) {
      driver.deliver(TestFrames.plain(GUEST, 60 + i));
    }
    driver.nic.endBatch();
    driver.moveTo(next);
    assertThat(driver.deliver(TestFrames.plain(GUEST, 90))).as("it rests").isFalse();
    driver.runTasks();
    assertThat(nextPort.ready).isEqualTo(1);
    assertThat(driver.deliver(TestFrames.plain(GUEST, 90))).isTrue();
    next.endBatch();
    assertThat(driver.frames(0).stream().map(f -> f.octets().length))
        .containsExactly(60, 61, 62, 63, 64, 90);
    int taken = 0;
    while (driver.deliver(TestFrames.plain(GUEST, 60))) {
      taken++;
    }
    assertThat(taken).as("all were given back").isEqualTo(driver.sections - 1);
    assertThat(next.statistics().received().frames()).isEqualTo(6 + taken);
  }

  @Test
  void framesThatAreNotYetInTheRingComeAfterwards() {
    driver.begin();
    driver.line().room = 0;
    driver.deliver(TestFrames.plain(GUEST, 60));
    driver.deliver(TestFrames.plain(GUEST, 61));
    driver.nic.endBatch();
    var state = driver.moveTo(next);
    assertThat(state.queues().getFirst().taken()).hasSize(2);
    driver.runTasks();
    assertThat(driver.frames(0).stream().map(f -> f.octets().length)).containsExactly(60, 61);
  }

  @Test
  void completionsAndAnswersComeAfterwards() {
    driver.begin();
    driver.line().room = 1;
    driver.control(message(RndisLayout.QUERY, 77, ObjectId.LINK_SPEED)); // its completion has room
    driver.send(0, TestDriver.message(TestFrames.plain(OTHER, 100)));
    assertThat(port.sent).hasSize(1);
    driver.moveTo(next);
    driver.runTasks();
    var answers = driver.line().received;
    assertThat(answers).hasSize(2);
    assertThat(answers.stream().filter(a -> !a.ranges().isEmpty())).hasSize(1);
    assertThat(nextPort.sent).as("not sent twice").isEmpty();
  }

  private static byte[] message(int type, int id, int oid) {
    return java.nio.ByteBuffer.allocate(28)
        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
        .putInt(type)
        .putInt(28)
        .putInt(id)
        .putInt(oid)
        .putInt(0)
        .putInt(20)
        .array();
  }

  @Test
  void framesThatWaitForBandwidthAreSentOnce() {
    driver.begin();
    port.bandwidth = 1;
    var one = TestDriver.message(TestFrames.plain(OTHER, 100));
    var two = Arrays.copyOf(one, one.length * 2);
    System.arraycopy(one, 0, two, one.length, one.length);
    driver.sendBySection(0, 2, two, two.length);
    driver.sendBySection(0, 3, one, one.length);
    assertThat(port.sent).hasSize(1);
    driver.moveTo(next);
    driver.runTasks();
    assertThat(nextPort.sent).hasSize(2);
    assertThat(driver.line().received).as("completions").hasSize(2);
    assertThat(next.statistics().sent().frames()).isEqualTo(3);
  }

  @Test
  void whatTheDriverHasSetStays() {
    driver.begin(NvspLayout.VERSION_6_1, 4014, 0x88);
    driver.setFilter(Adapter.DIRECTED | Adapter.MULTICAST);
    driver.set(ObjectId.MULTICAST_LIST, new byte[] {1, 0, 0x5E, 0, 0, 1});
    var parameters = new byte[28];
    parameters[5] = 2;
    parameters[22] = parameters[23] = 2;
    driver.set(ObjectId.OFFLOAD_PARAMETERS, parameters);
    driver.takeControl();
    driver.exchange(NvspLayout.SUB_CHANNEL, 1, 3);
    for (int i = 1; i < 4; i++) {
      driver.open(i);
    }
    driver.line().received.clear();
    driver.set(
        ObjectId.RECEIVE_SCALE_PARAMETERS,
        SyntheticNicTest.scaling(0, ReceiveScalingTest.KEY, 0, 1, 2, 3));
    for (int i = 0; i < 20; i++) {
      driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000 + i, 10));
    }
    driver.nic.endBatch();
    var before = driver.nic.offloads();
    var state = driver.moveTo(next);
    driver.runTasks();
    assertThat(next.offloads()).isEqualTo(before);
    assertThat(next.openQueues()).isEqualTo(4);
    assertThat(driver.deliver(TestFrames.tcp4(GUEST, OTHER, 999, 40_000))).isTrue();
    assertThat(driver.deliver(TestFrames.plain(MacAddress.parse("01:00:5e:00:00:01"), 60)))
        .isTrue();
    next.endBatch();
    int total = 0;
    for (int i = 0; i < 4; i++) {
      total += driver.frames(i).size();
    }
    assertThat(total).isEqualTo(22);
    // And once more: nothing was lost on the way.
    var third = new SyntheticNic(settings);
    var again = driver.moveTo(third);
    assertThat(again.driver()).isEqualTo(state.driver());
    assertThat(again.address()).isEqualTo(state.address());
  }

  @Test
  void aLinkThatIsDownAfterwardsIsTold() {
    driver.begin();
    nextPort.up = false;
    driver.moveTo(next);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_DISCONNECT);
    nextPort.up = true;
    next.linkChanged(true);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_CONNECT);
  }

  @Test
  void theGuestMayBeToldThatItIsElsewhere() {
    driver.begin();
    next.networkChanged();
    driver.moveTo(next);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.NETWORK_CHANGE);
    assertThat(driver.line().received).isEmpty();
  }

  @Test
  void aNicWithoutADriverIsSavedToo() {
    driver.moveTo(next);
    driver.runTasks();
    driver.begin();
    assertThat(driver.deliver(TestFrames.plain(GUEST, 60))).isTrue();
    next.endBatch();
    assertThat(driver.frames(0)).hasSize(1);
  }

  @Test
  void aDriverMayGoAndComeAfterwards() {
    driver.begin();
    driver.deliver(TestFrames.plain(GUEST, 60));
    driver.nic.endBatch();
    driver.moveTo(next);
    driver.runTasks();
    driver.line().received.clear();
    driver.tell(NvspLayout.REVOKE_RECEIVE_BUFFER, TestDriver.RECEIVE_ID);
    driver.giveReceiveBuffer();
    int taken = 0;
    while (driver.deliver(TestFrames.plain(GUEST, 60))) {
      taken++;
    }
    assertThat(taken).isEqualTo(driver.sections - 1);
  }

  @Test
  void statesThatDoNotFitAreRefused() {
    driver.begin();
    driver.exchange(NvspLayout.SUB_CHANNEL, 1, 3);
    driver.open(3);
    driver.channels.values().forEach(NicChannel::rest);
    var state = driver.nic.state();
    var small = new SyntheticNic(NicSettings.of(new UUID(1, 2), GUEST, 2));
    assertThatThrownBy(() -> small.restore(state)).isInstanceOf(IllegalArgumentException.class);
  }
}
