package dev.partita.image.boot;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Whatever a loader's text says, it is read to its end, and its entries have kernels.
class GrubConfigurationFuzzTest {
  private static final List<String> PIECES =
      List.of(
          "menuentry 'a' {",
          "submenu \"b\" --id x {",
          "}",
          "linux /k root=1",
          "initrd /i /j",
          "set default=\"1>0\"",
          "set default=\"${saved_entry}\"",
          "set x=y",
          "linux ($root)/$x",
          "search --fs-uuid --set=root u",
          "if [ a ]; then",
          "fi",
          "function f {",
          "\\",
          "'",
          "\"",
          "{",
          "# }",
          "options $x",
          "title t",
          "version 1",
          "linux\t/k");

  @FuzzTest
  void fuzz(byte[] input) {
    String text = new String(input, StandardCharsets.UTF_8);
    var environment = GrubConfiguration.environment(text);
    var menu = GrubConfiguration.parse(text, environment);
    assertThat(menu.places()).hasSameSizeAs(menu.entries());
    assertThat(menu.entries()).hasSizeLessThanOrEqualTo(1000);
    assertThat(menu.inOrder()).containsExactlyInAnyOrderElementsOf(menu.entries());
    assertThat(menu.entries()).allSatisfy(entry -> assertThat(entry.kernel()).isNotEmpty());
    LoaderEntry.parse("x.conf", text, Map.of("x", "$x"))
        .ifPresent(entry -> assertThat(entry.kernel()).isNotEmpty());
  }

  @Test
  void randomTextsHold() {
    var random = new SplittableRandom(0x5EED);
    for (int trial = 0; trial < 3_000; trial++) {
      var text = new StringBuilder();
      for (int line = random.nextInt(30); line >= 0; line--) {
        text.append(PIECES.get(random.nextInt(PIECES.size())))
            .append(random.nextInt(5) == 0 ? " " : "\n");
      }
      fuzz(text.toString().getBytes(StandardCharsets.UTF_8));
    }
  }
}
