package dev.partita.synthetic.integration;

import static dev.partita.synthetic.integration.Asking.refusal;
import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.TimeSource;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Offsets are those of a packet's payload: a pipe header of 8 bytes, then `struct icmsg_hdr`.
@Timeout(60)
class IntegrationServicesTest {
  private final DriverMachine driver = new DriverMachine();

  @AfterEach
  void close() {
    driver.close();
  }

  private ByteBuffer receive() throws InterruptedException {
    return ByteBuffer.wrap(driver.receive()).order(ByteOrder.LITTLE_ENDIAN);
  }

  /// Waits for what happens on the channel's thread when no message tells of it.
  private void awaitThat(java.util.function.BooleanSupplier condition) throws InterruptedException {
    for (int i = 0; i < 1000 && !condition.getAsBoolean(); i++) {
      Thread.sleep(10);
    }
    assertThat(condition.getAsBoolean()).isTrue();
  }

  @Test
  void versionsAreOfferedAsTheDriverReadsThem() throws Exception {
    driver.open(new GuestShutdown(driver.time));
    var message = receive();
    assertThat(message.getInt(0)).as("pipe data").isEqualTo(1);
    assertThat(message.getInt(4)).as("pipe size").isEqualTo(20 + 8 + 4 * 6);
    assertThat(message.getShort(12)).as("type").isZero();
    assertThat(message.getShort(18)).as("size").isEqualTo((short) 32);
    assertThat(message.get(25)).as("transaction, request").isEqualTo((byte) 3);
    assertThat(message.getShort(28)).as("framework versions").isEqualTo((short) 2);
    assertThat(message.getShort(30)).as("message versions").isEqualTo((short) 4);
    assertThat(message.getInt(36)).as("1.0").isEqualTo(1);
    assertThat(message.getInt(40)).as("3.0").isEqualTo(3);
    assertThat(message.getInt(56)).as("3.2").isEqualTo(2 << 16 | 3);
  }

  private static Future<Void> request(
      GuestShutdown shutdown, GuestShutdown.Kind kind, boolean force) {
    return Asking.inBackground(
        () -> {
          shutdown.request(kind, force);
          return null;
        });
  }

  @Test
  void guestIsAskedToPowerOffWithTheWholeStructure() throws Exception {
    var shutdown = new GuestShutdown(driver.time);
    assertThat(refusal(request(shutdown, GuestShutdown.Kind.POWER_OFF, false)))
        .as("no driver")
        .isEqualTo(GuestRefusalException.NOT_CONNECTED);
    driver.open(shutdown);
    assertThat(refusal(request(shutdown, GuestShutdown.Kind.POWER_OFF, false)))
        .as("no version")
        .isEqualTo(GuestRefusalException.NOT_CONNECTED);
    driver.negotiate(3, 2);
    awaitThat(shutdown::isAvailable);
    var asked = request(shutdown, GuestShutdown.Kind.POWER_OFF, false);
    var message = receive();
    assertThat(message.capacity()).isEqualTo((28 + 2060 + 7) & ~7);
    assertThat(message.getInt(8)).as("framework 3.0").isEqualTo(3);
    assertThat(message.getShort(12)).as("type").isEqualTo((short) 3);
    assertThat(message.getInt(14)).as("version 3.2").isEqualTo(2 << 16 | 3);
    assertThat(message.getInt(36)).as("flags").isZero();
    driver.answer(message, 0);
    asked.get();
    asked = request(shutdown, GuestShutdown.Kind.REBOOT, true);
    message = receive();
    assertThat(message.getInt(36)).as("flags").isEqualTo(3);
    driver.answer(message, GuestRefusalException.MACHINE_LOCKED);
    assertThat(refusal(asked)).isEqualTo(GuestRefusalException.MACHINE_LOCKED);
    driver.closeChannel();
    assertThat(shutdown.isAvailable()).isFalse();
  }

  @Test
  void heartbeatTellsWhetherTheGuestAnswers() throws Exception {
    var heartbeat = new Heartbeat(driver.time);
    driver.open(heartbeat);
    assertThat(heartbeat.status()).isEqualTo(Heartbeat.Status.NO_CONTACT);
    driver.negotiate(3, 0);
    for (int i = 1; i <= 20; i++) {
      var message = receive();
      assertThat(message.getShort(12)).isEqualTo((short) 1);
      assertThat(message.getLong(28)).as("sequence").isEqualTo(i);
      long number = i;
      awaitThat(() -> heartbeat.state().sequence() == number);
      message.putLong(28, i + 1).put(25, (byte) 5);
      driver.send(message.array());
      awaitThat(() -> heartbeat.state().answered() == number);
      assertThat(heartbeat.status()).isEqualTo(Heartbeat.Status.OK);
      driver.time.advance(2_000_000_000L);
    }
    for (int i = 21; i <= 27; i++) {
      receive();
      driver.time.advance(2_000_000_000L);
    }
    awaitThat(() -> heartbeat.status() == Heartbeat.Status.LOST);
    driver.closeChannel();
    assertThat(heartbeat.status()).isEqualTo(Heartbeat.Status.NO_CONTACT);
    driver.time.advance(10_000_000_000L);
  }

  @Test
  void clockIsSetOnceAndThenSampled() throws Exception {
    driver.open(new TimeSynchronization(driver.time, () -> 4711));
    driver.negotiate(4, 0);
    var first = receive();
    assertThat(first.getShort(12)).isEqualTo((short) 4);
    assertThat(first.getShort(18)).as("size").isEqualTo((short) 22);
    // 2023-11-14T22:13:20Z since 1601, in units of 100 ns.
    assertThat(first.getLong(28)).isEqualTo(133_444_736_000_000_000L);
    assertThat(first.getLong(36)).isEqualTo(4711);
    assertThat(first.get(44)).as("set").isEqualTo((byte) 1);
    driver.time.advance(5_000_000_000L);
    var second = receive();
    assertThat(second.getLong(28)).isEqualTo(133_444_736_050_000_000L);
    assertThat(second.get(44)).as("sample").isEqualTo((byte) 2);
  }

  /// A host whose clock can be set.
  private static final class SteppedTime implements TimeSource {
    final ManualTimeSource base = new ManualTimeSource(1_700_000_000_000_000_000L);
    long step;

    @Override
    public long nanoTime() {
      return base.nanoTime();
    }

    @Override
    public long wallClockNanos() {
      return base.wallClockNanos() + step;
    }

    @Override
    public Timer timer(Runnable action) {
      return base.timer(action);
    }

    @Override
    public void close() {
      base.close();
    }
  }

  @Test
  void clockIsSetAgainAfterAPauseAndWhenTheHostsClockWas() throws Exception {
    var time = new SteppedTime();
    var guest = TestDriver.ready(new TimeSynchronization(time, () -> 4711), 4, 0);
    assertThat(guest.take().get(44)).as("set").isEqualTo((byte) 1);
    time.base.advance(5_000_000_000L);
    assertThat(guest.take().get(44)).as("sample").isEqualTo((byte) 2);
    guest.handler.rest();
    assertThat(guest.take().get(44)).as("set after a pause").isEqualTo((byte) 1);
    time.step = 3600_000_000_000L;
    time.base.advance(5_000_000_000L);
    var set = guest.take();
    assertThat(set.get(44)).as("set after the host slept").isEqualTo((byte) 1);
    assertThat(set.getLong(28)).isEqualTo(133_444_736_000_000_000L + 36_100_000_000L);
    time.step += 900_000_000L;
    time.base.advance(5_000_000_000L);
    assertThat(guest.take().get(44)).as("sample").isEqualTo((byte) 2);
  }

  @Test
  void olderDriverGetsTheOlderStructure() throws Exception {
    driver.open(new TimeSynchronization(driver.time, () -> 4711));
    driver.negotiate(3, 0);
    var first = receive();
    assertThat(first.getShort(18)).as("size").isEqualTo((short) 25);
    assertThat(first.get(52)).as("set").isEqualTo((byte) 1);
  }

  @Test
  void stateIsTakenOver() throws Exception {
    var heartbeat = new Heartbeat(driver.time);
    driver.open(heartbeat);
    driver.negotiate(3, 0);
    receive();
    awaitThat(() -> heartbeat.state().sequence() == 1);
    var state = heartbeat.state();
    assertThat(state.version()).isEqualTo(3 << 16);
    var other = new Heartbeat(driver.time);
    other.restore(state);
    assertThat(other.state()).isEqualTo(state);
    assertThat(other.status()).isEqualTo(Heartbeat.Status.OK);
  }

  @Test
  void noPacketOfAGuestEndsTheService() throws Exception {
    var heartbeat = new Heartbeat(driver.time);
    driver.open(heartbeat);
    var template = driver.receive();
    var random = new Random(9);
    for (int i = 0; i < 3000; i++) {
      var message = java.util.Arrays.copyOf(template, random.nextInt(template.length + 1));
      for (int j = random.nextInt(6); j > 0 && message.length > 0; j--) {
        message[random.nextInt(message.length)] = (byte) random.nextInt(6);
      }
      driver.send(message);
      // As many as fit in the ring at a time.
      if (i % 20 == 19) {
        awaitThat(driver::allRead);
      }
    }
    driver.closeChannel();
    assertThat(heartbeat.status()).isEqualTo(Heartbeat.Status.NO_CONTACT);
  }
}
