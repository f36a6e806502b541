package dev.partita.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.junit.jupiter.api.Test;

class GuestScriptTest {
  @Test
  void anyScriptBecomesOneWordOfTheCommandLine() throws ImageException {
    String script = "echo 'a b' \"c\" é; exit 3\n";

    String line = GuestScript.onCommandLine("console=ttyS0", script);

    assertThat(line).startsWith("console=ttyS0 partita.script=").matches("[ -~]+");
    String word = line.substring(line.lastIndexOf(' ') + 1);
    byte[] decoded = Base64.getDecoder().decode(word.substring("partita.script=".length()));
    assertThat(new String(decoded, StandardCharsets.UTF_8)).isEqualTo(script);
  }

  @Test
  void aScriptThatTheKernelWouldCutOffIsRefused() throws ImageException {
    assertThat(GuestScript.onCommandLine("quiet", "x".repeat(1500))).hasSizeLessThan(2048);
    assertThatThrownBy(() -> GuestScript.onCommandLine("quiet", "x".repeat(1530)))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("2047 at most");
  }

  @Test
  void theExitStatusIsTheLastWholeLineThatTellsOne() {
    String console =
        "boot\r\npartita: script exit 1 or so\r\n\r\npartita: script exit 42\r\n[ 1.0] off";

    assertThat(GuestScript.exitStatus(console)).hasValue(42);
    assertThat(GuestScript.exitStatus("x partita: script exit 0\n")).isEmpty();
    assertThat(GuestScript.exitStatus("")).isEmpty();
  }
}
