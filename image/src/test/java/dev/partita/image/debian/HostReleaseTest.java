package dev.partita.image.debian;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostReleaseTest {
  @TempDir Path directory;

  private HostRelease of(String text) throws IOException {
    return HostRelease.read(Files.writeString(directory.resolve("os-release"), text));
  }

  @Test
  void theFileTellsDistributionAndRelease() throws IOException {
    assertThat(of("PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_CODENAME=bookworm\n"))
        .isEqualTo(new HostRelease("debian", "bookworm", "Debian GNU/Linux 12"));
    assertThat(of("ID='fedora'\nVERSION_ID=40\n").codename()).isEqualTo("40");
  }

  @Test
  void whatItDoesNotTellIsUnknownAndNothingLeavesTheCache() throws IOException {
    assertThat(HostRelease.read(directory.resolve("missing")).id()).isEqualTo("unknown");
    assertThat(of("ID=../../etc\nVERSION_CODENAME=..\n").id())
        .doesNotContain("/")
        .isNotEqualTo("..");
    assertThat(of("ID=x\nVERSION_CODENAME=..\n").codename()).isEqualTo("unknown");
  }
}
