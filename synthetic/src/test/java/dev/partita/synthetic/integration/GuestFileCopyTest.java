package dev.partita.synthetic.integration;

import static dev.partita.synthetic.integration.Asking.inBackground;
import static dev.partita.synthetic.integration.Asking.refusal;
import static dev.partita.synthetic.integration.TestDriver.BODY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.synthetic.integration.GuestFileCopy.Destination;
import dev.partita.synthetic.integration.GuestFileCopy.Transfer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class GuestFileCopyTest {
  private static final long SECOND = 1_000_000_000;
  private static final Destination THERE = Destination.of("/root/file", true, false);

  private final ManualTimeSource time = new ManualTimeSource(0);
  private final GuestFileCopy copy = new GuestFileCopy(time);

  private static String text(ByteBuffer message, int offset) {
    var found = new byte[520];
    message.get(offset, found);
    var all = new String(found, StandardCharsets.UTF_16LE);
    return all.substring(0, all.indexOf('\0'));
  }

  private static ByteBuffer expect(TestDriver driver, int operation) throws Exception {
    var request = driver.take();
    assertThat(request.getShort(12)).as("type").isEqualTo((short) 7);
    assertThat(request.getInt(BODY)).as("operation").isEqualTo(operation);
    return request;
  }

  private Future<Transfer> start(GuestFileCopy service) {
    return inBackground(() -> service.start(THERE, 5));
  }

  private Transfer started(TestDriver driver) throws Exception {
    var asked = start(copy);
    driver.answer(expect(driver, 0), 0);
    return asked.get();
  }

  @Test
  void fileIsSentInTheLayoutThatLinuxReads() throws Exception {
    var driver = TestDriver.ready(copy, 1, 1);
    var asked = start(copy);
    var request = expect(driver, 0);
    assertThat(request.getShort(18)).as("size").isEqualTo((short) 1088);
    assertThat(text(request, BODY + 36)).isEqualTo("file");
    assertThat(text(request, BODY + 556)).isEqualTo("/root/");
    assertThat(request.getInt(BODY + 1076)).as("overwrite").isEqualTo(1);
    assertThat(request.getLong(BODY + 1080)).as("file size").isEqualTo(5);
    driver.answer(request, 0);
    var transfer = asked.get();
    assertThat(refusal(start(copy))).as("one at a time").isEqualTo(GuestRefusalException.BUSY);
    var bytes = new byte[GuestFileCopy.FRAGMENT];
    bytes[2] = 77;
    for (int i = 0; i < 2; i++) {
      var written =
          inBackground(
              () -> {
                transfer.write(bytes, 3);
                return null;
              });
      request = expect(driver, 1);
      assertThat(request.getShort(18)).as("size").isEqualTo((short) 6196);
      assertThat(request.getLong(BODY + 40)).as("offset").isEqualTo(3L * i);
      assertThat(request.getInt(BODY + 48)).as("count").isEqualTo(3);
      assertThat(request.get(BODY + 54)).isEqualTo((byte) 77);
      driver.answer(request, 0);
      written.get();
    }
    var finished =
        inBackground(
            () -> {
              transfer.finish();
              return null;
            });
    driver.answer(expect(driver, 2), 0);
    finished.get();
    transfer.close();
    assertThat(driver.line.pending()).as("not cancelled").isZero();
    started(driver).close();
  }

  @Test
  void unfinishedCopyIsCancelled() throws Exception {
    var driver = TestDriver.ready(copy, 1, 1);
    var transfer = started(driver);
    var written =
        inBackground(
            () -> {
              transfer.write(new byte[5], 5);
              return null;
            });
    driver.answer(expect(driver, 1), GuestRefusalException.DISK_FULL);
    assertThat(refusal(written)).isEqualTo(GuestRefusalException.DISK_FULL);
    transfer.close();
    driver.answer(expect(driver, 3), 0);
    // And the next one begins.
    started(driver);
  }

  @Test
  void refusedCopyIsNotCancelled() throws Exception {
    var driver = TestDriver.ready(copy, 1, 1);
    var asked = start(copy);
    driver.answer(expect(driver, 0), GuestRefusalException.FILE_EXISTS);
    assertThat(refusal(asked)).isEqualTo(GuestRefusalException.FILE_EXISTS);
    assertThat(driver.line.pending()).isZero();
    started(driver);
  }

  @Test
  void copyThatBeginsTooLateIsCancelledBeforeTheNext() throws Exception {
    var driver = TestDriver.ready(copy, 1, 1);
    var first = start(copy);
    var late = expect(driver, 0);
    time.advance(41 * SECOND);
    assertThat(refusal(first)).isEqualTo(GuestRefusalException.TIMED_OUT);
    var second = start(copy);
    while (copy.requestsWaiting() == 0) {
      Thread.onSpinWait();
    }
    assertThat(driver.line.pending()).isZero();
    driver.answer(late, 0);
    driver.answer(expect(driver, 3), 0);
    driver.answer(expect(driver, 0), 0);
    second.get();
  }

  @Test
  void driverThatGoesEndsTheCopy() throws Exception {
    var driver = TestDriver.ready(copy, 1, 1);
    var transfer = started(driver);
    driver.handler.closed();
    assertThatThrownBy(() -> transfer.write(new byte[1], 1))
        .isInstanceOf(GuestRefusalException.class);
    var again = TestDriver.ready(copy, 1, 1);
    assertThatThrownBy(transfer::finish).isInstanceOf(GuestRefusalException.class);
    transfer.close();
    assertThat(again.line.pending()).as("a new driver knows nothing of it").isZero();
    started(again);
  }

  @Test
  void restoredGuestIsToldThatTheRestDoesNotCome() throws Exception {
    var driver = TestDriver.ready(copy, 1, 1);
    var transfer = started(driver);
    inBackground(
        () -> {
          transfer.write(new byte[5], 5);
          return null;
        });
    var busy = expect(driver, 1);
    var state = copy.savedState();
    assertThat(state.begun()).isTrue();
    var other = new GuestFileCopy(time);
    other.restore(state);
    var next = new TestDriver(other, true);
    assertThat(next.line.pending()).as("it is still busy").isZero();
    next.answer(busy, 0);
    next.answer(expect(next, 3), 0);
    assertThat(other.savedState().begun()).isFalse();
    var asked = start(other);
    next.answer(expect(next, 0), 0);
    asked.get();
  }

  @Test
  void guestSavedWhileACopyBeganIsToldToo() throws Exception {
    var driver = TestDriver.ready(copy, 1, 1);
    start(copy);
    var busy = expect(driver, 0);
    var other = new GuestFileCopy(time);
    other.restore(copy.savedState());
    var next = new TestDriver(other, true);
    next.answer(busy, 0);
    next.answer(expect(next, 3), 0);
    assertThat(next.line.pending()).isZero();
  }

  @Test
  void pathsAreSplitInTheGuestsManner() {
    assertThat(THERE.folder()).isEqualTo("/root/");
    assertThat(THERE.name()).isEqualTo("file");
    assertThat(Destination.of("/file", false, false).folder()).isEqualTo("/");
    assertThat(Destination.of("/a\\b", false, false).name()).isEqualTo("a\\b");
    var windows = Destination.of("C:\\Users\\me\\a b.txt", false, true);
    assertThat(windows.folder()).isEqualTo("C:\\Users\\me\\");
    assertThat(windows.name()).isEqualTo("a b.txt");
    for (var wrong :
        new String[] {
          "file", "", "/root/", "C:\\", "./x", "/" + "x".repeat(260), "/" + "d/".repeat(130) + "f"
        }) {
      assertThatThrownBy(() -> Destination.of(wrong, false, false))
          .as(wrong)
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
