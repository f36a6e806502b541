package dev.partita.enlightenment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.GuestMemory;
import java.math.BigInteger;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ReferenceTimeTest {
  private static final long PAGE = 0x5000;

  /// What the specification tells a guest to compute from the page.
  private static long guestReads(GuestMemory memory, long tsc) {
    assertThat(memory.readInt(PAGE)).as("sequence").isNotZero();
    var scale = new BigInteger(Long.toUnsignedString(memory.readLong(PAGE + 8)));
    var product = new BigInteger(Long.toUnsignedString(tsc)).multiply(scale).shiftRight(64);
    return product.longValue() + memory.readLong(PAGE + 16);
  }

  @Test
  void counterAndPageAreOneClockThatFollowsTheTimeSource() {
    var random = new Random(20260101);
    for (int round = 0; round < 200; round++) {
      long frequency = 10_000_001 + random.nextLong(6_000_000_000L);
      try (var guest = new Guest(2, frequency)) {
        assertThat(guest.wrmsr(0x4000_0021, PAGE | 1)).isTrue();
        long before = 0;
        for (int i = 0; i < 50; i++) {
          guest.time.advance(random.nextLong(1L << random.nextInt(1, 50)));
          int processor = random.nextInt(2);
          long counter = guest.rdmsr(processor, 0x4000_0020).orElseThrow();
          long tsc = guest.processors.get(processor).readTsc();
          assertThat(guestReads(guest.memory(), tsc)).isEqualTo(counter);
          // A tick of the TSC may be longer than a unit, and the scale is rounded down.
          long exact = guest.time.nanoTime() / 100;
          long tick = ReferenceTime.FREQUENCY / frequency + 1;
          long drift = exact >>> 40;
          assertThat(counter).isBetween(exact - tick - 1 - drift, exact);
          assertThat(counter).isGreaterThanOrEqualTo(before);
          before = counter;
        }
      }
    }
  }

  @Test
  void timeBeginsAtZeroWhateverTheTsc() {
    try (var guest = new Guest(1, 2_500_000_000L)) {
      guest.time.advance(5_000_000_000L);
      guest.enlightenment = new Enlightenment(guest, 1, guest.crashes::add);
      assertThat(guest.rdmsr(0x4000_0020)).isZero();
      guest.time.advance(1_000_000_000L);
      assertThat(guest.rdmsr(0x4000_0020)).isBetween(9_999_999L, 10_000_000L);
    }
  }

  @Test
  void counterDoesNotGoBackWhenAProcessorLags() {
    try (var guest = new Guest(2, 3_000_000_000L)) {
      guest.time.advance(1_000_000);
      guest.processors.get(1).tscOffset = -30_000;
      long ahead = guest.rdmsr(0, 0x4000_0020).orElseThrow();
      assertThat(guest.rdmsr(1, 0x4000_0020)).hasValue(ahead);
      guest.time.advance(1_000_000);
      assertThat(guest.rdmsr(1, 0x4000_0020).orElseThrow()).isGreaterThan(ahead);
    }
  }

  @Test
  void restoredClockGoesOnFromTheSavedTimeWithAnotherTsc() {
    EnlightenmentState saved;
    long then;
    int sequence;
    byte[] ram;
    try (var guest = new Guest(1, 2_000_000_000L)) {
      guest.wrmsr(0x4000_0021, PAGE | 1);
      guest.time.advance(123_456_789);
      then = guest.rdmsr(0x4000_0020);
      saved = guest.enlightenment.state();
      ram = guest.memory().read(0, (int) guest.memory().size());
      sequence = guest.memory().readInt(PAGE);
    }
    try (var guest = new Guest(1, 3_300_000_000L)) {
      guest.time.advance(77_000_000_000L);
      guest.memory().write(0, ram);
      guest.enlightenment.restore(saved);
      assertThat(guest.rdmsr(0x4000_0020)).isEqualTo(then);
      assertThat(guest.memory().readInt(PAGE)).isNotEqualTo(sequence);
      guest.time.advance(1_000_000);
      long now = guest.rdmsr(0x4000_0020);
      assertThat(now).isBetween(then + 9_999, then + 10_000);
      assertThat(guestReads(guest.memory(), guest.processors.getFirst().readTsc())).isEqualTo(now);
    }
  }

  @Test
  void sequenceNeverBecomesOneThatMeansInvalid() {
    var clock = new ReferenceTime(1_000_000_000, 0);
    clock.restore(new ReferenceTime.State(5, -2), 0);
    assertThat(clock.state(0).sequence()).isEqualTo(1);
    clock.restore(new ReferenceTime.State(5, -1), 0);
    assertThat(clock.state(0).sequence()).isEqualTo(1);
  }

  @Test
  void tscTooSlowForAScaleIsRefused() {
    assertThatThrownBy(() -> new ReferenceTime(10_000_000, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("10000000 Hz");
  }
}
