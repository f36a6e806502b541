package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.GuestMemory;
import java.util.List;
import org.junit.jupiter.api.Test;

class ResidentMemoryTest {
  @Test
  void guestRamIsCountedApart() {
    var smaps =
        List.of(
            "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 ",
            "Size:               2048 kB",
            "Rss:                 100 kB",
            "7f0000200000-7f0001200000 rw-p 00000000 00:00 0 ",
            "Rss:                8192 kB",
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]",
            "Rss:                   4 kB");
    assertThat(ResidentMemory.of(smaps, 0x7f0000200000L, 0x7f0001200000L))
        .isEqualTo(new ResidentMemory(8192 << 10, 104 << 10));
  }

  @Test
  void touchedPagesOfThisProcessAreSeen() {
    try (var memory = new GuestMemory(64 << 20)) {
      long before = ResidentMemory.measure(memory.segment()).guestRam();
      memory.segment().asSlice(0, 32 << 20).fill((byte) 1);
      var after = ResidentMemory.measure(memory.segment());
      assertThat(after.guestRam() - before).isBetween(30L << 20, 64L << 20);
      assertThat(after.rest()).isGreaterThan(10 << 20);
    }
  }
}
