package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.enlightenment.GuestCrash;
import org.junit.jupiter.api.Test;

class GuestPanicTest {
  private static GuestCrash crash(String message) {
    return new GuestCrash(1, 0x8100000601c00000L, 1, 2, 3, 4, 5, message);
  }

  @Test
  void theSummaryIsTheLastWord() {
    var crash =
        crash(
            "[    1.0] Oops\n[    1.502378] Kernel panic - not syncing: Attempted to kill init!\n\n");
    assertThat(GuestPanic.summary(crash))
        .isEqualTo("Kernel panic - not syncing: Attempted to kill init!");
    assertThat(GuestPanic.details(crash))
        .containsExactly(
            "reported by virtual processor 1, guest OS id 8100000601c00000",
            "P0 0000000000000001  P1 0000000000000002  P2 0000000000000003  P3 0000000000000004"
                + "  P4 0000000000000005",
            "[    1.0] Oops",
            "[    1.502378] Kernel panic - not syncing: Attempted to kill init!");
  }

  @Test
  void whatFollowsThePanicIsNotTheSummary() {
    assertThat(GuestPanic.summary(crash("[ 1.0] Kernel panic - not syncing: a\n[ 1.1] Offset: 0")))
        .isEqualTo("Kernel panic - not syncing: a");
  }

  @Test
  void aCrashWithoutWordsIsTold() {
    assertThat(GuestPanic.summary(crash(""))).isEqualTo("it reports a crash, without words");
    assertThat(GuestPanic.details(crash(""))).hasSize(2);
  }

  @Test
  void aTalkativeGuestIsCutShort() {
    assertThat(GuestPanic.details(crash("line\n".repeat(1000)))).hasSize(42);
  }
}
