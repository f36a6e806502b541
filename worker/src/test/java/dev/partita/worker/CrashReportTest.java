package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.chipset.boot.InitialState;
import org.junit.jupiter.api.Test;

class CrashReportTest {
  @Test
  void registersAndCodeAreShown() {
    var lines =
        CrashReport.lines(2, InitialState.reset(0x106CA), new byte[] {0x0f, 0x0b, (byte) 0xf4});
    assertThat(lines.getFirst())
        .isEqualTo("virtual processor 2  RIP 000000000000fff0  RFLAGS 00000002  CPL 0");
    assertThat(lines)
        .contains(
            "RAX 0000000000000000  RCX 0000000000000000  RDX 00000000000106ca  RBX 0000000000000000")
        .anyMatch(line -> line.startsWith("CS f000:00000000ffff0000/0000ffff/"))
        .last()
        .isEqualTo("code at RIP: 0f 0b f4");
  }

  @Test
  void codeThatCannotBeReadIsTold() {
    assertThat(CrashReport.lines(0, InitialState.reset(0), new byte[0]).getLast())
        .isEqualTo("code at RIP: not readable");
  }
}
