package dev.partita.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ProgressDisplayTest {
  private final ByteArrayOutputStream shown = new ByteArrayOutputStream();

  private ProgressDisplay display(boolean moving) {
    return new ProgressDisplay(new PrintStream(shown, true, StandardCharsets.UTF_8), moving);
  }

  @Test
  void aFileGetsOnePlainLineAStage() {
    var display = display(false);
    display.update("Downloading a", 0, 3 << 20);
    display.update("Downloading a", 1 << 20, 3 << 20);
    display.update("Downloading a", 3 << 20, 3 << 20);
    display.update("Packing", 0, 0);
    display.finish();
    assertThat(shown.toString(StandardCharsets.UTF_8))
        .isEqualTo("partita: Downloading a (3.0 MiB)\npartita: Packing\n");
  }

  @Test
  void aTerminalGetsABarThatMoves() {
    var display = display(true);
    display.update("Downloading a", 1 << 20, 2 << 20);
    display.update("Downloading a", 2 << 20, 2 << 20);
    display.update("Packing", 0, 1 << 20);
    display.finish();
    var text = shown.toString(StandardCharsets.UTF_8);
    assertThat(text)
        .contains("\r\033[KDownloading a  [" + "#".repeat(15) + " ".repeat(15) + "]  50%  2.0 MiB")
        .contains("[" + "#".repeat(30) + "] 100%")
        .endsWith("\n");
    assertThat(text.lines().filter(line -> !line.isEmpty()).toList()).hasSizeGreaterThan(1);
    assertThat(text.chars().filter(c -> c == '\n').count()).isEqualTo(2);
  }
}
