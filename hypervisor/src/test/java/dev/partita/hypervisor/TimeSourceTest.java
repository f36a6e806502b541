package dev.partita.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class TimeSourceTest {
  @Test
  void manualTimersFireInOrderAtTheirDeadlines() {
    try (var time = new ManualTimeSource(1_000)) {
      List<String> fired = new ArrayList<>();
      var late = time.timer(() -> fired.add("late@" + time.nanoTime()));
      var early = time.timer(() -> fired.add("early@" + time.nanoTime()));
      var never = time.timer(() -> fired.add("never"));
      late.arm(50);
      early.arm(20);
      never.arm(30);
      never.cancel();
      time.advance(49);
      assertThat(fired).containsExactly("early@20");
      time.advance(1);
      assertThat(fired).containsExactly("early@20", "late@50");
      assertThat(time.wallClockNanos()).isEqualTo(1_050);
    }
  }

  @Test
  void aTimerMayArmItselfAgain() {
    try (var time = new ManualTimeSource(0)) {
      List<Long> fired = new ArrayList<>();
      var timer = new TimeSource.Timer[1];
      timer[0] =
          time.timer(
              () -> {
                fired.add(time.nanoTime());
                timer[0].arm(time.nanoTime() + 10);
              });
      timer[0].arm(10);
      time.advance(35);
      assertThat(fired).containsExactly(10L, 20L, 30L);
    }
  }

  @Test
  void theHostsTimersFireAndCanBeReplaced() throws InterruptedException {
    try (var time = new SystemTimeSource()) {
      var fired = new CountDownLatch(1);
      var replaced = time.timer(fired::countDown);
      replaced.arm(time.nanoTime() + TimeUnit.HOURS.toNanos(1));
      replaced.arm(time.nanoTime() - 1);
      assertThat(fired.await(30, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void anActionThatThrowsDoesNotStopTheOthers() throws InterruptedException {
    try (var time = new SystemTimeSource()) {
      var fired = new CountDownLatch(1);
      time.timer(
              () -> {
                throw new IllegalStateException("on purpose");
              })
          .arm(time.nanoTime());
      time.timer(fired::countDown).arm(time.nanoTime() + 1_000_000);
      assertThat(fired.await(30, TimeUnit.SECONDS)).isTrue();
    }
  }
}
