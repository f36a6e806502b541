package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;

/// A guest whose hot code changes for as long as it runs: what the JVM keeps for it stays flat.
class ChangingCodeMemoryTest {
  /// How often the code changes; more with -Dpartita.changes (`./partita soak code`).
  private static final int CHANGES = Integer.getInteger("partita.changes", 1_500);

  /// Until the JVM has what it needs itself.
  private static final int FIRST = CHANGES / 3;

  /// A region has some 6 KiB of metaspace: if they stayed, it would be several times this.
  private static final long SLACK = 2 << 20;

  @Test
  void metaspaceAndCodeCacheStayFlat() {
    Assumptions.assumeTrue(Translator.TIER == Translator.Tier.TRANSLATOR);
    try (var guest = new Guest().longMode()) {
      run(guest, 0, FIRST);
      long metaspace = used("Metaspace");
      long code = used("Code");
      long made = made(guest);
      run(guest, FIRST, CHANGES);
      assertThat(made(guest) - made).as("regions made").isGreaterThanOrEqualTo(CHANGES - FIRST);
      assertThat(guest.partition.translator().live()).as("regions kept").isLessThan(16);
      assertThat(used("Metaspace") - metaspace).as("metaspace").isLessThan(SLACK);
      assertThat(used("Code") - code).as("code cache").isLessThan(SLACK);
    }
  }

  private static long made(Guest guest) {
    return guest.partition.translator().made.get();
  }

  private static void run(Guest guest, int from, int to) {
    for (int n = from; n < to; n++) {
      // mov ecx, 20
      // again: add eax, n
      // dec ecx
      // jnz again
      // hlt
      guest.longMode();
      guest.cpu().r[Cpu.RAX] = 0;
      guest.code(Guest.CODE, "b914000000 05%08x ffc9 75f7 f4".formatted(Integer.reverseBytes(n)));
      guest.run();
      assertThat(guest.register(Cpu.RAX)).isEqualTo(20L * n);
    }
  }

  /// Bytes in the pools whose names begin so, without what could go.
  private static long used(String name) {
    System.gc();
    return ManagementFactory.getMemoryPoolMXBeans().stream()
        .filter(pool -> pool.getName().startsWith(name))
        .map(MemoryPoolMXBean::getUsage)
        .mapToLong(usage -> usage.getUsed())
        .sum();
  }
}
