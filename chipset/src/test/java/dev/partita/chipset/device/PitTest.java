package dev.partita.chipset.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.chipset.TestLine;
import dev.partita.hypervisor.ManualTimeSource;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PitTest {
  /// One tick is 838.095 ns; so many nanoseconds are exactly 105 ticks.
  private static final long TICKS_105 = 88_000;

  private final ManualTimeSource time = new ManualTimeSource(0);
  private final TestLine line = new TestLine();
  private final Pit pit = new Pit(time, line);

  @BeforeEach
  void start() {
    pit.start();
  }

  private void out(int port, int value) {
    pit.writePort(port, 1, value);
  }

  private int in(int port) {
    return pit.readPort(port, 1);
  }

  private int latched(int channel) {
    out(0x43, channel << 6);
    int low = in(0x40 + channel);
    return in(0x40 + channel) << 8 | low;
  }

  private void load(int channel, int mode, int count) {
    out(0x43, channel << 6 | 0x30 | mode << 1);
    out(0x40 + channel, count & 0xFF);
    out(0x40 + channel, count >> 8);
  }

  private boolean output2() {
    return (in(0x61) & 1 << 5) != 0;
  }

  @Test
  void modeZeroInterruptsOnceAtTheEnd() {
    load(0, 0, 10_500);
    assertThat(line.level).isFalse();
    time.advance(50 * TICKS_105);
    assertThat(latched(0)).isEqualTo(5250);
    time.advance(50 * TICKS_105 - 1);
    assertThat(line.level).isFalse();
    time.advance(1);
    assertThat(line.level).isTrue();
    time.advance(10 * TICKS_105);
    assertThat(latched(0)).as("counts on below zero").isEqualTo(0x10000 - 1050);
    time.advance(1_000_000_000L);
    assertThat(line.rises).isEqualTo(1);
    out(0x43, 0x30);
    assertThat(line.level).as("a control word takes the output low").isFalse();
  }

  @Test
  void modeTwoInterruptsEveryPeriod() {
    load(0, 2, 10_500);
    int before = line.rises;
    time.advance(100 * TICKS_105 * 7);
    assertThat(line.rises - before).isEqualTo(7);
    time.advance(20 * TICKS_105);
    assertThat(latched(0)).isEqualTo(10_500 - 2100);
  }

  @Test
  void aNewCountWaitsForThePeriodsEnd() {
    load(0, 2, 10_500);
    time.advance(50 * TICKS_105);
    out(0x40, 2100 & 0xFF);
    out(0x40, 2100 >> 8);
    int before = line.rises;
    time.advance(50 * TICKS_105);
    assertThat(line.rises - before).isEqualTo(1);
    time.advance(20 * TICKS_105 * 4);
    assertThat(line.rises - before).isEqualTo(5);
  }

  @Test
  void modeThreeIsASquareWave() {
    out(0x61, 1);
    load(2, 3, 1050);
    assertThat(output2()).isTrue();
    time.advance(5 * TICKS_105);
    assertThat(output2()).as("second half").isFalse();
    assertThat(latched(2)).as("counts by two").isEqualTo(1050);
    time.advance(TICKS_105);
    assertThat(latched(2)).isEqualTo(840);
    time.advance(4 * TICKS_105);
    assertThat(output2()).isTrue();
  }

  @Test
  void modeFourStrobes() {
    load(0, 4, 105);
    int before = line.rises;
    time.advance(TICKS_105);
    assertThat(line.rises - before).isZero();
    time.advance(839);
    assertThat(line.rises - before).isEqualTo(1);
    time.advance(1_000_000_000L);
    assertThat(line.rises - before).isEqualTo(1);
  }

  @Test
  void theGateOfChannelTwoHoldsTheCount() {
    load(2, 0, 1050);
    time.advance(5 * TICKS_105);
    assertThat(latched(2)).as("gate closed").isEqualTo(1050);
    out(0x61, 1);
    time.advance(4 * TICKS_105);
    assertThat(latched(2)).isEqualTo(630);
    out(0x61, 0);
    time.advance(100 * TICKS_105);
    assertThat(latched(2)).isEqualTo(630);
    assertThat(output2()).isFalse();
    out(0x61, 3);
    assertThat(in(0x61) & 3).isEqualTo(3);
    time.advance(6 * TICKS_105);
    assertThat(output2()).isTrue();
  }

  @Test
  void modeOneIsTriggeredByTheGate() {
    load(2, 1, 105);
    assertThat(output2()).isTrue();
    out(0x61, 1);
    assertThat(output2()).isFalse();
    time.advance(TICKS_105);
    assertThat(output2()).isTrue();
    out(0x61, 0);
    out(0x61, 1);
    assertThat(output2()).isFalse();
  }

  @Test
  void modeFiveStrobesAfterATrigger() {
    load(2, 5, 105);
    time.advance(10 * TICKS_105);
    assertThat(output2()).isTrue();
    out(0x61, 1);
    time.advance(TICKS_105);
    assertThat(output2()).isFalse();
    time.advance(TICKS_105);
    assertThat(output2()).isTrue();
  }

  @Test
  void aClosedGateRestartsTheRateGenerator() {
    out(0x61, 1);
    load(2, 2, 1050);
    time.advance(4 * TICKS_105);
    out(0x61, 0);
    assertThat(output2()).isTrue();
    out(0x61, 1);
    assertThat(latched(2)).isEqualTo(1050);
  }

  @Test
  void zeroIsTheLargestCount() {
    load(0, 2, 0);
    time.advance(TICKS_105);
    assertThat(latched(0)).isEqualTo(0x10000 - 105);
    out(0x43, 0x31 | 2 << 1);
    out(0x40, 0);
    out(0x40, 0);
    time.advance(TICKS_105);
    assertThat(latched(0)).as("in decimal 10000").isEqualTo(0x9895);
  }

  @Test
  void countsInDecimal() {
    load(0, 0, 0);
    out(0x43, 0x31);
    out(0x40, 0x34);
    out(0x40, 0x12);
    time.advance(TICKS_105);
    assertThat(latched(0)).isEqualTo(0x1129);
  }

  @Test
  void singleByteAccess() {
    out(0x43, 0x10);
    out(0x40, 210);
    time.advance(TICKS_105);
    assertThat(in(0x40)).isEqualTo(105);
    out(0x43, 0x20);
    out(0x40, 2);
    time.advance(TICKS_105);
    assertThat(in(0x40)).isEqualTo((512 - 105) >> 8);
  }

  @Test
  void aLatchHoldsUntilItIsRead() {
    load(0, 2, 10_500);
    time.advance(TICKS_105);
    out(0x43, 0);
    time.advance(TICKS_105);
    out(0x43, 0);
    int low = in(0x40);
    assertThat(in(0x40) << 8 | low).isEqualTo(10_500 - 105);
    assertThat(latched(0)).isEqualTo(10_500 - 210);
  }

  @Test
  void readBackLatchesStatusAndCount() {
    load(0, 2, 10_500);
    time.advance(TICKS_105);
    out(0x43, 0xC2);
    assertThat(in(0x40)).as("status first").isEqualTo(0x80 | 0x30 | 2 << 1);
    int low = in(0x40);
    assertThat(in(0x40) << 8 | low).isEqualTo(10_395);
    out(0x43, 0x30);
    out(0x43, 0xE2);
    assertThat(in(0x40)).as("no count loaded, output low").isEqualTo(0x40 | 0x30);
  }

  @Test
  void refreshToggles() {
    int first = in(0x61) & 0x10;
    time.advance(15_085);
    assertThat(in(0x61) & 0x10).isNotEqualTo(first);
  }

  @Test
  void theShortestPeriodDoesNotKeepTheTimeSourceBusy() {
    load(0, 2, 1);
    int before = line.rises;
    time.advance(1_000_000_000L);
    assertThat(line.rises - before).isBetween(1, 50_001);
  }

  @Test
  void stateMovesToAnotherTimer() {
    load(0, 2, 10_500);
    load(2, 0, 1050);
    out(0x61, 1);
    time.advance(5 * TICKS_105);
    out(0x61, 0);
    out(0x43, 0);
    in(0x40);
    out(0x40, 7);
    var state = pit.state();

    var otherTime = new ManualTimeSource(0);
    otherTime.advance(12_345);
    var otherLine = new TestLine();
    var other = new Pit(otherTime, otherLine);
    other.setState(state);
    assertThat(other.state()).isEqualTo(state);
    other.start();
    other.writePort(0x40, 1, 10);
    assertThat(other.readPort(0x40, 1)).as("the latched high byte").isEqualTo(10_500 - 525 >> 8);
    int before = otherLine.rises;
    otherTime.advance(95 * TICKS_105);
    assertThat(otherLine.rises - before).isEqualTo(1);
    other.writePort(0x61, 1, 1);
    otherTime.advance(5 * TICKS_105);
    assertThat(other.readPort(0x61, 1) & 0x20).isEqualTo(0x20);
  }
}
