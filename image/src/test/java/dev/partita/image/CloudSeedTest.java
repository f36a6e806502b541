package dev.partita.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.disk.Disks;
import dev.partita.image.filesystem.FatFileSystem;
import dev.partita.image.filesystem.Volume;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CloudSeedTest {
  private static final String KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here";

  @TempDir Path folder;

  private static String text(FatFileSystem fat, String name) throws IOException {
    return new String(fat.content(fat.find(name).orElseThrow(), 1 << 20), StandardCharsets.UTF_8);
  }

  @Test
  void cloudInitFindsALabelAndTwoFiles() throws IOException {
    Path file = folder.resolve("seed.vhdx");
    new CloudSeed("me", null, List.of(KEY), "web").write(file, false);
    try (var disk = Disks.open(file, false)) {
      var fat = FatFileSystem.open(Volume.whole(disk));
      assertThat(fat.label()).isEqualTo("CIDATA");
      assertThat(fat.list(fat.root())).containsOnlyKeys("user-data", "meta-data");
      assertThat(text(fat, "user-data"))
          .startsWith("#cloud-config\nhostname: \"web\"\nusers:\n  - name: \"me\"\n")
          .contains("      - \"" + KEY + "\"\n")
          .contains("[passwd, --delete, \"me\"]");
      assertThat(text(fat, "meta-data")).contains("instance-id:").contains("\"web\"");
    }
    assertThatThrownBy(() -> new CloudSeed("me", null, List.of(), "web").write(file, false))
        .hasMessageContaining("--force");
    new CloudSeed("me", null, List.of(), "other").write(file, true);
    assertThatThrownBy(() -> new CloudSeed("a b", null, List.of(), "web").write(file, true))
        .isInstanceOf(ImageException.class);
  }

  @Test
  void longContentGoesThroughManyClusters() throws IOException {
    Path file = folder.resolve("seed.raw");
    var keys = java.util.stream.IntStream.range(0, 2000).mapToObj(i -> KEY + i).toList();
    new CloudSeed("root", "p\"w\\", keys, "h").write(file, false);
    try (var disk = Disks.open(file, false)) {
      var fat = FatFileSystem.open(Volume.whole(disk));
      assertThat(text(fat, "user-data"))
          .contains(KEY + "1999")
          .contains("- \"root:p\\\"w\\\\\"\n")
          .doesNotContain("sudo");
    }
  }
}
