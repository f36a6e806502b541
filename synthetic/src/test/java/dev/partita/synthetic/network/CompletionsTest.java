package dev.partita.synthetic.network;

import static dev.partita.synthetic.network.TestFrames.GUEST;
import static dev.partita.synthetic.network.TestFrames.OTHER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.vmbus.Packet;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// When the guest is told that what it sent is gone.
class CompletionsTest {
  private final ManualTimeSource time = new ManualTimeSource(0);
  private final SyntheticNic nic = new SyntheticNic(NicSettings.of(new UUID(1, 2), GUEST, 1), time);
  private final TestDriver driver = new TestDriver(nic, 400);

  CompletionsTest() {
    nic.connect(new TestPort());
    driver.begin();
  }

  @AfterEach
  void close() {
    driver.close();
  }

  private void sendBySection(int section) {
    var message = TestDriver.message(TestFrames.plain(OTHER, 60));
    driver.pushBySection(0, section, message, message.length);
    driver.runTasks();
  }

  private long completed() {
    return driver.line().received.stream().filter(p -> p.type() == Packet.COMPLETION).count();
  }

  @Test
  void theyWaitForAMomentAndGoTogether() {
    sendBySection(0);
    sendBySection(1);
    assertThat(completed()).isZero();
    time.advance(Completions.DELAY - 1);
    driver.runTasks();
    assertThat(completed()).isZero();
    time.advance(1);
    driver.runTasks();
    assertThat(completed()).isEqualTo(2);
    sendBySection(0);
    time.advance(Completions.DELAY);
    driver.runTasks();
    assertThat(completed()).as("the clock is set again").isEqualTo(3);
  }

  @Test
  void theyGoWithWhatTheGuestReceives() {
    driver.setFilter(Adapter.DIRECTED);
    sendBySection(0);
    driver.deliver(TestFrames.plain(GUEST, 60));
    nic.endBatch();
    assertThat(driver.line().received)
        .extracting(TestLine.Received::type)
        .containsExactly(Packet.TRANSFER_PAGES, Packet.COMPLETION);
  }

  @Test
  void manyDoNotWait() {
    for (int i = 0; i < Completions.MOST_DELAYED - 1; i++) {
      sendBySection(i % 4);
    }
    assertThat(completed()).isZero();
    sendBySection(0);
    assertThat(completed()).isEqualTo(Completions.MOST_DELAYED);
  }

  @Test
  void theOwnerOfGuestMemoryDoesNotWait() {
    sendBySection(0);
    driver.push(0, TestDriver.message(TestFrames.plain(OTHER, 60)));
    driver.runTasks();
    assertThat(completed()).isEqualTo(2);
  }

  @Test
  void whatIsRefusedIsToldAtOnce() {
    driver.pushBySection(0, 0, new byte[60], 60);
    driver.runTasks();
    assertThat(completed()).isEqualTo(1);
  }

  @Test
  void thoseThatWaitAreSavedAndGoAtOnceInTheNextPartition() {
    sendBySection(0);
    driver.moveTo(new SyntheticNic(NicSettings.of(new UUID(1, 2), GUEST, 1), time));
    driver.runTasks();
    assertThat(completed()).isEqualTo(1);
  }

  @Test
  void aChannelThatIsClosedForgetsThem() {
    sendBySection(0);
    driver.channel().closed();
    time.advance(Completions.DELAY);
    driver.runTasks();
    assertThat(completed()).isZero();
  }
}
