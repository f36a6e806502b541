package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The bytecode of small regions, as it was last approved: so that whoever changes the translator
/// sees what becomes of code that was not meant. The texts are in src/test/resources/regions; after
/// a look at what differs,
///
///     ./mvnw -pl engine-software -am test -Dtest=RegionApprovalTest \
///       -Dsurefire.failIfNoSpecifiedTests=false -Dpartita.accept=true
///
/// accepts all, and git shows the rest.
class RegionApprovalTest {
  private static final Path APPROVED = Path.of("src", "test", "resources", "regions");

  @ParameterizedTest
  @CsvSource(
      textBlock =
          """
          mov-immediate,         b805000000 f4
          add-64,                4801d8 f4
          add-32,                01d8 f4
          add-16,                6601d8 f4
          add-8-high,            00fc f4
          add-memory,            480303 f4
          add-to-memory,         480103 f4
          adc-sbb,               4811d8 4819ca f4
          inc-keeps-carry,       4801d8 ffc1 4811c2 f4
          compare-and-jump,      4839d8 7203 48ffc0 f4
          test-and-jump,         85c0 7403 48ffc0 f4
          set-condition,         4839d8 0f9cc0 f4
          move-condition,        4839d8 480f4fc3 f4
          loop,                  ffc0 ffc9 75fa f4
          loop-over-memory,      4803 06 4883c608 48ffc9 75f4 f4
          load-extended,         480fb603 480fbe4b01 f4
          store-byte,            8803 f4
          lea,                   488d448b10 8d0c1b f4
          shift-immediate,       48c1e003 c1e902 48c1fa05 f4
          shift-by-cl,           48d3e0 f4
          rotate,                48c1c007 f4
          multiply,              480fafc3 f4
          multiply-wide,         48f7e3 f4
          exchange,              4887d8 f4
          push-pop,              50 5b f4
          call-and-return,       e801000000 f4 48ffc0 c3
          indirect-call,         488d1502000000 ffd2 f4 c3
          byte-swap,             480fc8 f4
          bit-test,              480fbae005 0f92c1 f4
          sign-extend,           4898 4899 f4
          vector-move,           f30f6f03 f30f7f4310 f4
          vector-add,            660ffec1 660fefc2 f4
          float-add,             f20f58c1 f4
          two-flags,             4839d8 7603 48ffc0 7203 48ffc0 f4
          """)
  void codeIsAsApproved(String name, String hex) throws IOException {
    Assumptions.assumeTrue(MemoryEmitter.DIRECT, "the JDK's internal memory access is not open");
    var now = "# %s: %s\n%s".formatted(name, hex, text(hex));
    var file = APPROVED.resolve(name + ".txt");
    if (Boolean.getBoolean("partita.accept")) {
      Files.createDirectories(APPROVED);
      Files.writeString(file, now);
    }
    assertThat(file).as("see this class on how to approve a new one").exists();
    assertThat(now).isEqualTo(Files.readString(file));
  }

  /// The region at the start of code that ran once to its HLT.
  private static String text(String hex) {
    try (var guest = new Guest().longMode()) {
      var cpu = guest.cpu();
      cpu.r[Cpu.RCX] = 2;
      cpu.r[Cpu.RBX] = Guest.DATA;
      cpu.r[Cpu.RSI] = Guest.DATA;
      guest.code(Guest.CODE, hex);
      guest.run();
      var entry = guest.processor().partition().code().find(Guest.CODE, cpu.mode);
      if (entry == null) {
        throw new AssertionError("the code did not run");
      }
      heat(guest, new HashSet<>());
      var shape = RegionShape.of(new Watch(entry, Guest.CODE, null), cpu);
      return BytecodeText.of(RegionCompiler.generate(shape, false).bytes());
    }
  }

  /// All blocks that ran count as hot.
  private static void heat(Guest guest, Set<Block> seen) {
    for (long at = Guest.CODE; at < Guest.CODE + 64; at++) {
      var block = guest.processor().partition().code().find(at, guest.cpu().mode);
      if (block != null && seen.add(block)) {
        block.heat = 0;
        if (block.operations[block.operations.length - 1].follow()
            == Operation.Follow.INDIRECT_CALL) {
          // Where the call goes, which a tier that translates has noted already.
          block.sawTarget(block.length);
        }
      }
    }
  }
}
