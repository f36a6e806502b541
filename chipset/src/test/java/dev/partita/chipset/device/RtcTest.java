package dev.partita.chipset.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.chipset.TestLine;
import dev.partita.hypervisor.ManualTimeSource;
import java.time.Instant;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class RtcTest {
  private static final long SECOND = 1_000_000_000L;

  private final ManualTimeSource time = at("2024-02-28T23:59:58Z");
  private final TestLine line = new TestLine();
  private final Rtc rtc = new Rtc(time, line);

  private static ManualTimeSource at(String instant) {
    return new ManualTimeSource(Instant.parse(instant).getEpochSecond() * SECOND);
  }

  @BeforeEach
  void start() {
    rtc.start();
  }

  private int get(int register) {
    rtc.writePort(0x70, 1, register);
    return rtc.readPort(0x71, 1);
  }

  private void set(int register, int value) {
    rtc.writePort(0x70, 1, register);
    rtc.writePort(0x71, 1, value);
  }

  /// Century to seconds, as the registers give them.
  private String now() {
    return "%02x%02x-%02x-%02x %02x:%02x:%02x"
        .formatted(get(0x32), get(9), get(8), get(7), get(4), get(2), get(0));
  }

  @Test
  void theClockHasTheHostsTime() {
    assertThat(now()).isEqualTo("2024-02-28 23:59:58");
    assertThat(get(6)).as("Wednesday").isEqualTo(4);
    time.advance(2 * SECOND);
    assertThat(now()).as("a leap year").isEqualTo("2024-02-29 00:00:00");
    assertThat(get(6)).isEqualTo(5);
    assertThat(get(0x0D)).isEqualTo(0x80);
  }

  @Test
  void binaryAndTwelveHourFormats() {
    set(0x0B, 0x06);
    assertThat(get(0)).isEqualTo(58);
    assertThat(get(9)).isEqualTo(24);
    set(0x0B, 0x00);
    assertThat(get(4)).as("11 pm").isEqualTo(0x91);
    time.advance(2 * SECOND);
    assertThat(get(4)).as("12 am").isEqualTo(0x12);
    time.advance(13 * 3600 * SECOND);
    assertThat(get(4)).as("1 pm").isEqualTo(0x81);
    set(0x0B, 0x04);
    assertThat(get(4)).isEqualTo(0x81);
  }

  @Test
  void theGuestSetsItsClock() {
    set(0x0B, 0x82);
    set(0x32, 0x19);
    set(9, 0x99);
    set(8, 0x12);
    set(7, 0x31);
    set(4, 0x23);
    set(2, 0x59);
    set(0, 0x59);
    time.advance(10 * SECOND);
    assertThat(now()).as("stands while SET is on").isEqualTo("1999-12-31 23:59:59");
    set(0x0B, 0x02);
    assertThat(now()).isEqualTo("1999-12-31 23:59:59");
    time.advance(SECOND);
    assertThat(now()).isEqualTo("2000-01-01 00:00:00");
  }

  @Test
  void aSingleRegisterCanBeSetWhileTheClockRuns() {
    set(2, 0x30);
    assertThat(now()).isEqualTo("2024-02-28 23:30:58");
    time.advance(2 * SECOND);
    assertThat(now()).isEqualTo("2024-02-28 23:31:00");
  }

  @Test
  void anUpdateComesHalfASecondAfterTheDividerStarts() {
    time.advance(SECOND / 4);
    set(0x0A, 0x76);
    set(0, 0x10);
    time.advance(5 * SECOND);
    assertThat(get(0)).isEqualTo(0x10);
    set(0x0A, 0x26);
    time.advance(SECOND / 2 - 1);
    assertThat(get(0)).isEqualTo(0x10);
    time.advance(1);
    assertThat(get(0)).isEqualTo(0x11);
  }

  @Test
  void updateInProgressShowsBeforeTheSecondEnds() {
    assertThat(get(0x0A)).isEqualTo(0x26);
    time.advance(SECOND - 244_001);
    assertThat(get(0x0A)).isEqualTo(0x26);
    time.advance(1);
    assertThat(get(0x0A)).isEqualTo(0xA6);
    time.advance(244_000);
    assertThat(get(0x0A)).isEqualTo(0x26);
    time.advance(SECOND - 1);
    set(0x0B, 0x82);
    assertThat(get(0x0A)).as("not while SET is on").isEqualTo(0x26);
  }

  @Test
  void updateEndedInterrupts() {
    set(0x0B, 0x12);
    time.advance(SECOND - 1);
    assertThat(line.level).isFalse();
    time.advance(1);
    assertThat(line.level).isTrue();
    time.advance(10 * SECOND);
    assertThat(line.rises).as("not again before register C is read").isEqualTo(1);
    assertThat(get(0x0C) & 0x90).isEqualTo(0x90);
    assertThat(line.level).isFalse();
    assertThat(get(0x0C)).isZero();
    time.advance(SECOND);
    assertThat(line.rises).isEqualTo(2);
    set(0x0B, 0x92);
    assertThat(get(0x0B)).as("SET clears the enable bit").isEqualTo(0x82);
    assertThat(line.level).isFalse();
  }

  @Test
  void flagsShowEventsThatDoNotInterrupt() {
    assertThat(get(0x0C)).isZero();
    time.advance(SECOND);
    assertThat(get(0x0C)).as("update and periodic").isEqualTo(0x50);
    assertThat(line.rises).isZero();
  }

  @Test
  void alarmsAtATimeOfDay() {
    set(5, 0x00);
    set(3, 0x01);
    set(1, 0x05);
    set(0x0B, 0x22);
    time.advance(2 * SECOND + 65 * SECOND - 1);
    assertThat(line.level).isFalse();
    time.advance(1);
    assertThat(line.level).isTrue();
    assertThat(get(0x0C) & 0xA0).isEqualTo(0xA0);
    time.advance(24 * 3600 * SECOND);
    assertThat(line.rises).isEqualTo(2);
  }

  @Test
  void alarmsThatDoNotCareRepeat() {
    set(5, 0xFF);
    set(3, 0xC0);
    set(1, 0x30);
    set(0x0B, 0x22);
    for (int i = 1; i <= 3; i++) {
      time.advance(60 * SECOND);
      assertThat(line.rises).isEqualTo(i);
      get(0x0C);
    }
    set(1, 0x7A);
    time.advance(1000 * SECOND);
    assertThat(line.rises).as("no such second").isEqualTo(3);
  }

  @Test
  void periodicInterruptsAtEveryRate() {
    int[] hertz = {0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2};
    for (int select = 0; select < 16; select++) {
      set(0x0A, 0x20 | select);
      set(0x0B, 0x42);
      get(0x0C);
      int before = line.rises;
      // Rather more often than the fastest rate.
      for (int i = 0; i < 20_000; i++) {
        time.advance(SECOND / 20_000);
        if (line.level) {
          get(0x0C);
        }
      }
      assertThat(line.rises - before).as("rate %d", select).isEqualTo(hertz[select]);
      set(0x0B, 0x02);
    }
  }

  @Test
  void memoryIsKept() {
    set(0x0F, 0x0A);
    set(0x7F, 0x55);
    assertThat(get(0x0F)).isEqualTo(0x0A);
    rtc.reset();
    assertThat(get(0x7F)).isEqualTo(0x55);
    assertThat(get(0x7F | 0x80)).as("bit 7 is the NMI mask").isEqualTo(0x55);
    assertThat(now()).isEqualTo("2024-02-28 23:59:58");
  }

  @Test
  void resetTurnsInterruptsOff() {
    set(0x0B, 0x72);
    time.advance(SECOND);
    assertThat(line.level).isTrue();
    rtc.reset();
    assertThat(line.level).isFalse();
    assertThat(get(0x0B)).isEqualTo(0x02);
    assertThat(get(0x0C)).isZero();
  }

  @Test
  void impossibleTimesDoNoHarm() {
    for (int register : new int[] {0, 2, 4, 6, 7, 8, 9, 0x32}) {
      for (int value = 0; value < 256; value++) {
        set(register, value);
        now();
      }
    }
    set(0x0B, 0x92);
    set(0x32, 0x99);
    set(9, 0x99);
    set(8, 0x12);
    set(7, 0x31);
    set(4, 0x23);
    set(2, 0x59);
    set(0, 0x59);
    set(0x0B, 0x12);
    time.advance(5 * SECOND);
    assertThat(now()).as("wraps around").isEqualTo("0000-01-01 00:00:04");
  }

  @Test
  void stateMovesToAnotherClock() {
    set(0x0B, 0x82);
    set(9, 0x30);
    set(6, 0x02);
    set(0x0B, 0x12);
    set(0x40, 0x77);
    time.advance(SECOND / 3);
    var state = rtc.state();

    var otherTime = new ManualTimeSource(time.wallClockNanos());
    var otherLine = new TestLine();
    var other = new Rtc(otherTime, otherLine);
    other.start();
    other.setState(state);
    assertThat(other.state()).usingRecursiveComparison().isEqualTo(state);
    other.writePort(0x70, 1, 9);
    assertThat(other.readPort(0x71, 1)).isEqualTo(0x30);
    otherTime.advance(SECOND - SECOND / 3);
    assertThat(otherLine.level).isTrue();
    other.writePort(0x70, 1, 6);
    assertThat(other.readPort(0x71, 1)).isEqualTo(2);
  }
}
