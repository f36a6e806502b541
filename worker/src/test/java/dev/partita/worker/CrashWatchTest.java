package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.enlightenment.GuestCrash;
import dev.partita.hypervisor.ManualTimeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class CrashWatchTest {
  private final ManualTimeSource time = new ManualTimeSource(0);
  private final AtomicLong packets = new AtomicLong();
  private final List<String> ends = new ArrayList<>();
  private final CrashWatch watch =
      new CrashWatch(
          time,
          packets::get,
          new Machine.Events() {
            @Override
            public void poweredOff() {}

            @Override
            public void reset() {}

            @Override
            public void crashed(String summary, List<String> details) {
              ends.add(summary);
            }

            @Override
            public void failed(String summary, List<String> details) {}
          });

  private static GuestCrash crash(String words) {
    return new GuestCrash(0, 1, 0, 0, 0, 0, 0, words);
  }

  @Test
  void guestThatResetsHasCrashed() {
    watch.reported(crash("first"));
    watch.reported(crash("second"));
    assertThat(ends).isEmpty();
    assertThat(watch.endIfCrashed()).isTrue();
    assertThat(ends).containsExactly("second");
    assertThat(watch.endIfCrashed()).as("once").isFalse();
    time.advance(2 * CrashWatch.GRACE_NANOS);
    assertThat(ends).hasSize(1);
  }

  @Test
  void guestThatDoesNothingHasCrashed() {
    watch.reported(crash("hung"));
    time.advance(CrashWatch.GRACE_NANOS - 1);
    assertThat(ends).isEmpty();
    time.advance(1);
    assertThat(ends).containsExactly("hung");
  }

  @Test
  void guestThatWritesItsDumpHasTimeForIt() {
    watch.reported(crash("dumping"));
    for (int i = 0; i < 10; i++) {
      packets.incrementAndGet();
      time.advance(CrashWatch.GRACE_NANOS);
      assertThat(ends).isEmpty();
    }
    time.advance(CrashWatch.GRACE_NANOS);
    assertThat(ends).containsExactly("dumping");
  }

  @Test
  void guestThatStartsAnotherKernelGoesOn() {
    watch.reported(crash("dump me"));
    watch.wentOn();
    time.advance(100 * CrashWatch.GRACE_NANOS);
    assertThat(ends).isEmpty();
    assertThat(watch.endIfCrashed()).as("an ordinary reset later").isFalse();
    watch.wentOn();
    watch.reported(crash("again"));
    assertThat(watch.endIfCrashed()).isTrue();
  }

  @Test
  void guestThatHasNotCrashedEndsAsItLikes() {
    assertThat(watch.endIfCrashed()).isFalse();
  }
}
