package dev.partita.enlightenment;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.enlightenment.Guest.Interrupt;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// A unit of reference time is 100 ns.
class SyntheticTimersTest {
  private static final int CONFIG = 0x4000_00B0;
  private static final int COUNT = 0x4000_00B1;
  private static final long ENABLE = 1;
  private static final long PERIODIC = 1 << 1;
  private static final long LAZY = 1 << 2;
  private static final long AUTO_ENABLE = 1 << 3;
  private static final long DIRECT = 1 << 12 | 0xED << 4;
  private static final Interrupt TICK = Interrupt.of(0, 0xED);

  private final Guest guest = new Guest(2, 2_500_000_000L);

  @AfterEach
  void close() {
    guest.close();
  }

  /// As Linux: the timer is enabled by the write of its count.
  private void expectAt(long count) {
    assertThat(guest.wrmsr(CONFIG, DIRECT | AUTO_ENABLE)).isTrue();
    assertThat(guest.wrmsr(COUNT, count)).isTrue();
  }

  @Test
  void oneShotTimerInterruptsOnceAtItsCount() {
    guest.time.advance(1_000_000);
    expectAt(15_000);
    assertThat(guest.rdmsr(CONFIG) & ENABLE).isEqualTo(ENABLE);
    guest.time.advance(499_000);
    assertThat(guest.takeInterrupts()).isEmpty();
    guest.time.advance(1_200);
    assertThat(guest.takeInterrupts()).containsExactly(TICK);
    assertThat(guest.rdmsr(CONFIG)).as("not enabled any more").isEqualTo(DIRECT | AUTO_ENABLE);
    guest.time.advance(1_000_000_000);
    assertThat(guest.takeInterrupts()).isEmpty();
  }

  @Test
  void timerIsNeverEarly() {
    expectAt(12_345);
    while (guest.takeInterrupts().isEmpty()) {
      guest.time.advance(10);
    }
    assertThat(guest.enlightenment.referenceTime()).isBetween(12_345L, 12_347L);
  }

  @Test
  void pastCountExpiresAtOnce() {
    guest.time.advance(1_000_000);
    expectAt(10);
    assertThat(guest.takeInterrupts()).containsExactly(TICK);
  }

  @Test
  void countOfZeroStopsTheTimer() {
    expectAt(1_000);
    guest.wrmsr(COUNT, 0);
    assertThat(guest.rdmsr(CONFIG) & ENABLE).isZero();
    guest.time.advance(1_000_000_000);
    assertThat(guest.takeInterrupts()).isEmpty();
  }

  @Test
  void newCountReplacesTheOld() {
    expectAt(1_000);
    guest.wrmsr(COUNT, 2_000);
    guest.time.advance(150_000);
    assertThat(guest.takeInterrupts()).isEmpty();
    guest.time.advance(51_000);
    assertThat(guest.takeInterrupts()).containsExactly(TICK);
  }

  @Test
  void countBeyondAllTimeIsJustNeverReached() {
    for (long count : new long[] {-1, Long.MAX_VALUE, 1L << 60}) {
      expectAt(count);
      guest.time.advance(1_000_000_000_000_000L);
      assertThat(guest.takeInterrupts()).isEmpty();
    }
  }

  @Test
  void timerWithoutAutomaticEnableWaitsForItsConfiguration() {
    guest.wrmsr(CONFIG, DIRECT);
    guest.wrmsr(COUNT, 1_000);
    guest.time.advance(200_000);
    assertThat(guest.takeInterrupts()).isEmpty();
    guest.wrmsr(CONFIG, DIRECT | ENABLE);
    assertThat(guest.takeInterrupts()).containsExactly(TICK);
  }

  @Test
  void periodicTimerKeepsItsBeat() {
    guest.wrmsr(CONFIG, DIRECT | PERIODIC | LAZY | AUTO_ENABLE);
    guest.wrmsr(COUNT, 10_000);
    for (int i = 0; i < 100; i++) {
      guest.time.advance(1_000_000);
    }
    assertThat(guest.takeInterrupts()).hasSizeBetween(99, 100).containsOnly(TICK);
    guest.wrmsr(CONFIG, 0);
    guest.time.advance(10_000_000);
    assertThat(guest.takeInterrupts()).isEmpty();
  }

  @Test
  void periodHasALowerLimit() {
    guest.wrmsr(CONFIG, DIRECT | PERIODIC | AUTO_ENABLE);
    guest.wrmsr(COUNT, 1);
    guest.time.advance(1_000_000_000);
    assertThat(guest.takeInterrupts()).hasSizeBetween(9_000, 10_000);
  }

  @Test
  void timerWithoutATargetCannotBeEnabled() {
    guest.wrmsr(COUNT, 5);
    guest.wrmsr(CONFIG, ENABLE);
    assertThat(guest.rdmsr(CONFIG)).as("source 0").isZero();
    guest.wrmsr(CONFIG, ENABLE | 1 << 12 | 15 << 4);
    assertThat(guest.rdmsr(CONFIG)).as("vector 15").isEqualTo(1 << 12 | 15 << 4);
    assertThat(guest.wrmsr(CONFIG, 1 << 13)).as("reserved").isFalse();
    assertThat(guest.wrmsr(CONFIG, 1L << 20)).as("reserved").isFalse();
  }

  @Test
  void allFourTimersOfAllProcessorsAreApart() {
    for (int processor = 0; processor < 2; processor++) {
      for (int timer = 0; timer < 4; timer++) {
        int vector = 0x40 + processor * 16 + timer;
        guest.wrmsr(processor, CONFIG + 2 * timer, 1 << 12 | (long) vector << 4 | AUTO_ENABLE);
        guest.wrmsr(processor, COUNT + 2 * timer, 1_000 + timer * 100 + processor * 10);
      }
    }
    guest.time.advance(1_000_000);
    assertThat(guest.takeInterrupts())
        .containsExactly(
            Interrupt.of(0, 0x40),
            Interrupt.of(1, 0x50),
            Interrupt.of(0, 0x41),
            Interrupt.of(1, 0x51),
            Interrupt.of(0, 0x42),
            Interrupt.of(1, 0x52),
            Interrupt.of(0, 0x43),
            Interrupt.of(1, 0x53));
  }

  @Test
  void messageTimerTellsWhenItExpiredAndWhenItIsDelivered() {
    guest.wrmsr(0x4000_0083, 0x5001);
    guest.wrmsr(0x4000_0090 + 4, 0x61);
    guest.wrmsr(0x4000_0080, 1);
    long slot = 0x5000 + 4 * 256;
    guest.wrmsr(CONFIG + 2, PERIODIC | AUTO_ENABLE | 4 << 16);
    guest.wrmsr(COUNT + 2, 10_000);
    guest.time.advance(1_000_100);
    assertThat(guest.takeInterrupts()).containsExactly(Interrupt.of(0, 0x61));
    assertThat(guest.memory().readInt(slot)).isEqualTo(0x8000_0010);
    assertThat(guest.memory().readByte(slot + 4)).isEqualTo((byte) 24);
    assertThat(guest.memory().readInt(slot + 16)).isEqualTo(1);
    assertThat(guest.memory().readLong(slot + 24)).isBetween(9_999L, 10_001L);
    // Of a guest that does not read them one more waits, and the others are lost.
    guest.time.advance(50_000_000);
    assertThat(guest.enlightenment.synic().waiting(0, 4)).isEqualTo(1);
    assertThat(guest.memory().readByte(slot + 5)).isEqualTo((byte) 1);
    guest.memory().writeInt(slot, 0);
    guest.wrmsr(0x4000_0084, 0);
    assertThat(guest.memory().readLong(slot + 24)).isBetween(19_999L, 20_001L);
    assertThat(guest.memory().readLong(slot + 32)).isBetween(509_999L, 510_002L);
  }

  @Test
  void timerThatIsSwitchedOffSendsNoMessageThatWaits() {
    guest.wrmsr(0x4000_0083, 0x5001);
    guest.wrmsr(0x4000_0090 + 4, 0x61);
    guest.wrmsr(0x4000_0080, 1);
    long slot = 0x5000 + 4 * 256;
    guest.memory().writeInt(slot, 1);
    guest.wrmsr(CONFIG, AUTO_ENABLE | 4 << 16);
    guest.wrmsr(COUNT, 10_000);
    guest.wrmsr(CONFIG + 2, AUTO_ENABLE | 4 << 16);
    guest.wrmsr(COUNT + 2, 10_000);
    guest.time.advance(2_000_000);
    assertThat(guest.enlightenment.synic().waiting(0, 4)).isEqualTo(2);
    guest.wrmsr(COUNT, 0);
    guest.wrmsr(CONFIG, 0);
    assertThat(guest.enlightenment.synic().waiting(0, 4)).isEqualTo(1);
    guest.memory().writeInt(slot, 0);
    guest.wrmsr(0x4000_0084, 0);
    assertThat(guest.memory().readInt(slot + 16)).as("of the other timer").isEqualTo(1);
    // And it may expire again.
    guest.wrmsr(CONFIG, AUTO_ENABLE | 4 << 16);
    guest.wrmsr(COUNT, 30_000);
    guest.memory().writeInt(slot, 0);
    guest.time.advance(2_000_000);
    assertThat(guest.memory().readInt(slot + 16)).isZero();
    assertThat(guest.memory().readInt(slot)).isEqualTo(0x8000_0010);
  }

  @Test
  void timersGoOnInAnotherPartition() {
    expectAt(20_000);
    guest.wrmsr(1, CONFIG, DIRECT | PERIODIC | AUTO_ENABLE);
    guest.wrmsr(1, COUNT, 10_000);
    guest.time.advance(1_500_000);
    assertThat(guest.takeInterrupts()).hasSize(1);
    var state = guest.enlightenment.state();
    try (var other = new Guest(2, 2_500_000_000L)) {
      other.time.advance(777_000_000);
      other.memory().write(0, guest.memory().read(0, (int) guest.memory().size()));
      other.enlightenment.restore(state);
      other.time.advance(499_000);
      assertThat(other.takeInterrupts()).isEmpty();
      other.time.advance(2_000);
      assertThat(other.takeInterrupts()).containsExactlyInAnyOrder(TICK, Interrupt.of(1, 0xED));
      other.enlightenment.close();
      other.time.advance(1_000_000_000);
      assertThat(other.takeInterrupts()).isEmpty();
    }
  }
}
