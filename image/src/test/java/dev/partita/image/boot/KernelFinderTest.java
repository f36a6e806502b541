package dev.partita.image.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.image.ImageException;
import dev.partita.image.MemoryDisk;
import dev.partita.image.partition.GptWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KernelFinderTest {
  private static final UUID TYPE = UUID.fromString("0fc63daf-8483-4772-8e79-3d69d8477de4");
  private static final int FIRST = 1 << 20;

  @TempDir Path folder;

  /// A disk with a GUID partition table and these file systems, from 1 MiB on.
  private static MemoryDisk disk(int sector, byte[]... volumes) throws IOException {
    int at = FIRST;
    for (byte[] volume : volumes) {
      at += volume.length;
    }
    byte[] bytes = new byte[at + FIRST];
    var disk = new MemoryDisk(bytes, sector);
    var entries = new java.util.ArrayList<GptWriter.Entry>();
    int from = FIRST;
    for (byte[] volume : volumes) {
      System.arraycopy(volume, 0, bytes, from, volume.length);
      entries.add(
          new GptWriter.Entry(
              entries.size() + 1, TYPE, UUID.randomUUID(), from, volume.length, "p"));
      from += volume.length;
    }
    GptWriter.write(disk, UUID.randomUUID(), entries);
    return disk;
  }

  /// Puts a text in the place of another of the same or a greater length, in all of an image.
  private static byte[] replaced(byte[] image, String old, String text) {
    assertThat(text.length()).isLessThanOrEqualTo(old.length());
    byte[] from = old.getBytes(StandardCharsets.ISO_8859_1);
    byte[] to =
        (text + " ".repeat(old.length() - text.length())).getBytes(StandardCharsets.ISO_8859_1);
    byte[] result = image.clone();
    for (int i = 0; i + from.length <= result.length; i++) {
      if (Arrays.equals(result, i, i + from.length, from, 0, from.length)) {
        System.arraycopy(to, 0, result, i, to.length);
      }
    }
    return result;
  }

  @ParameterizedTest
  @ValueSource(ints = {512, 4096})
  void grubsDefaultEntryIsTaken(int sector) throws IOException {
    var found = KernelFinder.find(disk(sector, MemoryDisk.fixture("ext4.img")));
    assertThat(found.why()).contains("/boot/grub/grub.cfg").contains("Test GNU/Linux");
    assertThat(found.where()).contains("/boot/vmlinuz-6.1.0-9").contains("partition 1");
    assertThat(found.commandLine())
        .isEqualTo("root=UUID=01234567-89ab-cdef-0123-456789abcdef ro quiet console=ttyS0");
    found.copyKernel(folder.resolve("k"));
    found.copyInitrd(folder.resolve("i"));
    assertThat(Files.size(folder.resolve("k"))).isEqualTo(4096);
    assertThat(Files.size(folder.resolve("i"))).as("in whole words").isEqualTo(3004);
    byte[] initrd = Files.readAllBytes(folder.resolve("i"));
    for (int i = 0; i < 3001; i++) {
      assertThat(initrd[i]).isEqualTo((byte) (i * 7 + i / 256));
    }
  }

  @Test
  void aDiskWithoutATableIsAFileSystem() throws IOException {
    var found = KernelFinder.find(MemoryDisk.of(MemoryDisk.fixture("ext4.img")));
    assertThat(found.where()).contains("the whole disk");
  }

  @Test
  void aJournalIsReadAndSaid() throws IOException {
    var found = KernelFinder.find(disk(512, MemoryDisk.fixture("ext4-journal.img")));
    assertThat(found.remarks()).anyMatch(line -> line.contains("not unmounted"));
  }

  @Test
  void withoutGrubTheLinksAreTaken() throws IOException {
    byte[] image = replaced(MemoryDisk.fixture("ext4.img"), "grub.cfg", "grub.old");
    var found = KernelFinder.find(disk(512, image));
    assertThat(found.why()).isEqualTo("the link /vmlinuz");
    assertThat(found.hasInitrd()).isTrue();
    assertThat(found.commandLine())
        .isEqualTo("root=UUID=01234567-89ab-cdef-0123-456789abcdef ro console=ttyS0");
  }

  @Test
  void withoutLinksTheNewestKernelIsTaken() throws IOException {
    byte[] image = replaced(MemoryDisk.fixture("ext4.img"), "grub.cfg", "grub.old");
    // The link's own name in the top directory; its target keeps the kernel's.
    byte[] linkless = replaced(image, "\u0007\u0007vmlinuz", "\u0007\u0007vmlinux");
    linkless = replaced(linkless, "\u0008\u0007vmlinuz", "\u0008\u0007vmlinux");
    var found = KernelFinder.find(disk(512, linkless));
    assertThat(found.why()).contains("newest kernel in /boot");
    assertThat(found.hasInitrd()).isTrue();
  }

  @Test
  void loaderEntriesOfASeparateBootPartitionComeFirst() throws IOException {
    var found =
        KernelFinder.find(
            disk(512, MemoryDisk.fixture("fat16.img"), MemoryDisk.fixture("ext4.img")));
    assertThat(found.why()).contains("An Entry With A Long Name of /loader/entries");
    assertThat(found.where()).isEqualTo("/kernel in partition 1 (vfat, label TEST)");
    assertThat(found.hasInitrd()).isFalse();
    assertThat(found.commandLine())
        .as("the root is on the other partition")
        .isEqualTo("root=UUID=01234567-89ab-cdef-0123-456789abcdef ro console=ttyS0");
  }

  @Test
  void whatIsNoKernelIsNotTaken() throws IOException {
    byte[] image = replaced(MemoryDisk.fixture("ext4.img"), "HdrS", "none");
    assertThatThrownBy(() -> KernelFinder.find(disk(512, image)))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("no kernel found on it (partition 1: ext4)")
        .hasMessageContaining("--kernel");
  }

  @Test
  void fileSystemsThatAreNotReadAreNamed() throws IOException {
    byte[] xfs = new byte[1 << 20];
    System.arraycopy("XFSB".getBytes(StandardCharsets.ISO_8859_1), 0, xfs, 0, 4);
    byte[] btrfs = new byte[1 << 20];
    System.arraycopy("_BHRfS_M".getBytes(StandardCharsets.ISO_8859_1), 0, btrfs, 0x10040, 8);
    assertThatThrownBy(() -> KernelFinder.find(disk(512, xfs, btrfs)))
        .hasMessageContaining("partition 1: XFS, which is not read here")
        .hasMessageContaining("partition 2: btrfs, which is not read here");
    assertThatThrownBy(() -> KernelFinder.find(MemoryDisk.of(new byte[1 << 20])))
        .hasMessageContaining("it is empty");
  }

  @Test
  void versionsAreOrderedAsPeopleCount() {
    var versions =
        new java.util.ArrayList<>(
            List.of("6.1.0-9", "6.1.0-10", "6.10", "6.2", "6.1.0~rc1-9", "6.1.0", "0-rescue-7"));
    versions.sort(VersionOrder.INSTANCE);
    assertThat(versions)
        .containsExactly(
            "0-rescue-7", "6.1.0~rc1-9", "6.1.0", "6.1.0-9", "6.1.0-10", "6.2", "6.10");
  }
}
