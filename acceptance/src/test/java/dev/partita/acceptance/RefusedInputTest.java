package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.FieldSource;

/// Whatever cannot be run is refused with one line on standard error and its own exit code, and
/// nothing is left behind.
@Timeout(120)
class RefusedInputTest {
  private static final int USAGE = 2;
  private static final int REFUSED = 3;

  @TempDir Path temporary;

  private void assertRefused(int code, String reason, String... arguments) throws Exception {
    try (var partita = PartitaProcess.start(temporary, arguments)) {
      partita.closeInput();
      assertThat(partita.exitCode(60)).as("%s", partita).isEqualTo(code);
      assertThat(partita.out()).isEmpty();
      assertThat(partita.err()).startsWith("partita: ").contains(reason);
      assertThat(partita.err().lines()).hasSize(1);
    }
    PartitaProcess.assertNothingLeft(temporary);
  }

  private Path file(String name, byte[] content) throws Exception {
    return Files.write(temporary.resolve(name), content);
  }

  private String tiny() throws Exception {
    return file("tiny", TinyGuest.elf()).toString();
  }

  @SuppressWarnings("unused") // by its name, below
  private static final java.util.List<Arguments> WRONG_COMMAND_LINES =
      java.util.List.of(
          Arguments.of("Missing command", new String[] {}),
          Arguments.of("'fly'", new String[] {"fly"}),
          Arguments.of("Give a SYSTEM", new String[] {"run"}),
          Arguments.of("--wings", new String[] {"run", "debian", "--wings"}),
          Arguments.of("--memory", new String[] {"run", "debian", "--memory"}),
          Arguments.of("'much' is not a size", new String[] {"run", "debian", "--memory", "much"}),
          Arguments.of("'two'", new String[] {"run", "debian", "--cpus", "two"}),
          Arguments.of("'soon' is not a time", new String[] {"run", "debian", "--timeout", "soon"}),
          Arguments.of(
              "--kernel", new String[] {"run", "debian-initramfs", "--kernel", "vmlinuz"}));

  @ParameterizedTest(name = "{0}")
  @FieldSource("WRONG_COMMAND_LINES")
  void wrongCommandLine(String reason, String[] arguments) throws Exception {
    assertRefused(USAGE, reason, arguments);
  }

  @Test
  void missingKernel() throws Exception {
    assertRefused(REFUSED, "no such file", "run", "--kernel", "/nonexistent/vmlinuz");
  }

  @Test
  void aDirectoryForAKernel() throws Exception {
    assertRefused(REFUSED, "not a regular file", "run", "--kernel", temporary.toString());
  }

  @Test
  void aFileThatIsNoKernel() throws Exception {
    var text = file("text", "This is no kernel.\n".repeat(1000).getBytes()).toString();
    assertRefused(REFUSED, text + ": ", "run", "--kernel", text);
  }

  @Test
  void anEmptyKernel() throws Exception {
    var empty = file("empty", new byte[0]).toString();
    assertRefused(REFUSED, empty + ": ", "run", "--kernel", empty);
  }

  @Test
  void truncatedKernels() throws Exception {
    var whole = TinyGuest.elf();
    for (int length : new int[] {1, 40, 100, whole.length - 1}) {
      var part = file("part", Arrays.copyOf(whole, length)).toString();
      assertRefused(REFUSED, part + ": ", "run", "--kernel", part);
    }
  }

  @Test
  void missingInitrd() throws Exception {
    assertRefused(
        REFUSED,
        "/nonexistent: no such file",
        "run",
        "--kernel",
        tiny(),
        "--initrd",
        "/nonexistent");
  }

  @Test
  void anInitrdLargerThanTheMemory() throws Exception {
    var large = temporary.resolve("large");
    try (var file = new java.io.RandomAccessFile(large.toFile(), "rw")) {
      file.setLength(100 << 20);
    }
    assertRefused(
        REFUSED,
        "too little memory",
        "run",
        "--kernel",
        tiny(),
        "--initrd",
        large.toString(),
        "--memory",
        "64M");
  }

  @Test
  void tooLittleMemory() throws Exception {
    assertRefused(REFUSED, "memory", "run", "--kernel", tiny(), "--memory", "0");
    assertRefused(REFUSED, "memory", "run", "--kernel", tiny(), "--memory", "1000K");
  }

  @Test
  void moreMemoryThanThereIs() throws Exception {
    assertRefused(REFUSED, "guest RAM", "run", "--kernel", tiny(), "--memory", "900T");
  }

  @Test
  void impossibleProcessorCounts() throws Exception {
    assertRefused(REFUSED, "0 processors", "run", "--kernel", tiny(), "--cpus", "0");
    assertRefused(REFUSED, "255 processors", "run", "--kernel", tiny(), "--cpus", "255");
  }

  @Test
  void anEngineThatIsNotThere() throws Exception {
    assertRefused(
        REFUSED,
        "no engine \"warp\": there are auto, kvm, software",
        "run",
        "--kernel",
        tiny(),
        "--engine",
        "warp");
  }

  @Test
  void aSystemThatIsNotThere() throws Exception {
    assertRefused(REFUSED, "no system \"plan9\": there is debian", "run", "plan9");
  }

  @Test
  void aNameThatIsNone() throws Exception {
    assertRefused(REFUSED, "name \"../x\"", "run", "--kernel", tiny(), "--name", "../x");
  }

  @Test
  void aCommandLineLongerThanAnyKernelTakes() throws Exception {
    assertRefused(
        REFUSED, "command line", "run", "--kernel", tiny(), "--append", "x".repeat(100_000));
  }

  @Test
  void partitionsThatAreNotThere() throws Exception {
    assertRefused(REFUSED, "no partition is running", "stop");
    assertRefused(REFUSED, "no partition \"x\" is running", "stop", "x");
    assertRefused(REFUSED, "attach needs a terminal", "attach");
  }
}
