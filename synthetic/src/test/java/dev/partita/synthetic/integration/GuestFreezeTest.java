package dev.partita.synthetic.integration;

import static dev.partita.synthetic.integration.Asking.inBackground;
import static dev.partita.synthetic.integration.Asking.refusal;
import static dev.partita.synthetic.integration.TestDriver.BODY;
import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.synthetic.integration.GuestFreeze.Phase;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class GuestFreezeTest {
  private static final long SECOND = 1_000_000_000;
  private static final byte CHECK = 2;
  private static final byte FREEZE = 5;
  private static final byte THAW = 6;

  private final ManualTimeSource time = new ManualTimeSource(0);
  private final GuestFreeze freeze = new GuestFreeze(time);

  private Future<Void> freezeFor(long nanos) {
    return inBackground(
        () -> {
          freeze.freeze(nanos);
          return null;
        });
  }

  private static void expect(TestDriver driver, int operation, int status) throws Exception {
    var request = driver.take();
    assertThat(request.getShort(12)).as("type").isEqualTo((short) 5);
    assertThat(request.get(BODY)).isEqualTo((byte) operation);
    driver.answer(request, status);
  }

  private TestDriver frozen(long nanos) throws Exception {
    var driver = TestDriver.ready(freeze, 5, 0);
    var asked = freezeFor(nanos);
    expect(driver, CHECK, 0);
    expect(driver, FREEZE, 0);
    asked.get();
    assertThat(freeze.phase()).isEqualTo(Phase.FROZEN);
    return driver;
  }

  @Test
  void guestIsFrozenAndThawed() throws Exception {
    var driver = frozen(60 * SECOND);
    assertThat(refusal(freezeFor(SECOND))).isEqualTo(GuestRefusalException.BUSY);
    var thawed = inBackground(freeze::thaw);
    expect(driver, THAW, 0);
    assertThat(thawed.get()).isTrue();
    assertThat(freeze.phase()).isEqualTo(Phase.THAWED);
    assertThat(freeze.thaw()).as("again").isFalse();
    time.advance(1000 * SECOND);
    assertThat(driver.line.pending()).isZero();
  }

  @Test
  void guestGoesOnWhenItsTimeIsOver() throws Exception {
    var driver = frozen(60 * SECOND);
    time.advance(59 * SECOND);
    assertThat(freeze.phase()).isEqualTo(Phase.FROZEN);
    time.advance(SECOND);
    expect(driver, THAW, 0);
    assertThat(freeze.phase()).isEqualTo(Phase.THAWED);
    assertThat(freeze.thaw()).as("had gone on before").isFalse();
  }

  @Test
  void refusalLeavesItThawed() throws Exception {
    var driver = TestDriver.ready(freeze, 5, 0);
    var unchecked = freezeFor(SECOND);
    expect(driver, CHECK, GuestRefusalException.FAILED);
    assertThat(refusal(unchecked)).isEqualTo(GuestRefusalException.FAILED);
    var asked = freezeFor(SECOND);
    expect(driver, CHECK, 0);
    expect(driver, FREEZE, GuestRefusalException.FAILED);
    assertThat(refusal(asked)).isEqualTo(GuestRefusalException.FAILED);
    assertThat(freeze.phase()).isEqualTo(Phase.THAWED);
    time.advance(1000 * SECOND);
    assertThat(driver.line.pending()).isZero();
  }

  @Test
  void guestThatFreezesTooLateIsThawedAtOnce() throws Exception {
    var driver = TestDriver.ready(freeze, 5, 0);
    var asked = freezeFor(60 * SECOND);
    expect(driver, CHECK, 0);
    var late = driver.take();
    time.advance(121 * SECOND);
    assertThat(refusal(asked)).isEqualTo(GuestRefusalException.TIMED_OUT);
    assertThat(driver.line.pending()).as("it is still busy").isZero();
    time.advance(10_000 * SECOND);
    driver.answer(late, 0);
    expect(driver, THAW, 0);
    assertThat(freeze.phase()).isEqualTo(Phase.THAWED);
  }

  @Test
  void thawInTheMiddleOfAFreezeWins() throws Exception {
    var driver = TestDriver.ready(freeze, 5, 0);
    var asked = freezeFor(60 * SECOND);
    expect(driver, CHECK, 0);
    var busy = driver.take();
    var thawed = inBackground(freeze::thaw);
    while (freeze.phase() != Phase.THAWING) {
      Thread.onSpinWait();
    }
    driver.answer(busy, 0);
    expect(driver, THAW, 0);
    assertThat(thawed.get()).as("it was not frozen yet").isFalse();
    assertThat(refusal(asked)).isEqualTo(GuestRefusalException.CANCELLED);
    assertThat(freeze.phase()).isEqualTo(Phase.THAWED);
  }

  @Test
  void driverThatGoesIsThawed() throws Exception {
    var driver = frozen(60 * SECOND);
    driver.handler.closed();
    assertThat(freeze.phase()).isEqualTo(Phase.THAWED);
    assertThat(refusal(freezeFor(SECOND))).isEqualTo(GuestRefusalException.NOT_CONNECTED);
  }

  @Test
  void restoredGuestIsThawed() throws Exception {
    frozen(60 * SECOND);
    var state = freeze.savedState();
    assertThat(state.phase()).isEqualTo(Phase.FROZEN);
    var other = new GuestFreeze(time);
    other.restore(state);
    var next = new TestDriver(other, true);
    expect(next, THAW, 0);
    assertThat(other.phase()).isEqualTo(Phase.THAWED);
    assertThat(other.savedState().phase()).isEqualTo(Phase.THAWED);
  }

  @Test
  void guestSavedInTheMiddleOfAFreezeIsThawedWhenItHasFrozen() throws Exception {
    var driver = TestDriver.ready(freeze, 5, 0);
    freezeFor(60 * SECOND);
    expect(driver, CHECK, 0);
    var busy = driver.take();
    var other = new GuestFreeze(time);
    other.restore(freeze.savedState());
    var next = new TestDriver(other, true);
    assertThat(next.line.pending()).as("it is still busy").isZero();
    next.answer(busy, 0);
    expect(next, THAW, 0);
    assertThat(other.phase()).isEqualTo(Phase.THAWED);
  }
}
