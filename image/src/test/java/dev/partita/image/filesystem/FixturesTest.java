package dev.partita.image.filesystem;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.image.MemoryDisk;
import dev.partita.image.filesystem.FileSystems.Found;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// File systems that mkfs.fat, mtools, mke2fs and debugfs made.
class FixturesTest {
  static FileSystem open(byte[] image) throws IOException {
    return ((Found.Readable) FileSystems.detect(Volume.whole(MemoryDisk.of(image)))).fileSystem();
  }

  private static String text(FileSystem fileSystem, String path) throws IOException {
    return new String(
        fileSystem.content(fileSystem.find(path).orElseThrow(), 1 << 20), StandardCharsets.UTF_8);
  }

  @ParameterizedTest
  @ValueSource(strings = {"fat12.img", "fat16.img", "fat32.img"})
  void fatIsReadInAllWidths(String name) throws IOException {
    FileSystem fat = open(MemoryDisk.fixture(name));
    assertThat(fat.type()).isEqualTo("vfat");
    assertThat(fat.uuid()).isEqualTo("1234-ABCD");
    assertThat(fat.label()).isEqualTo("TEST");
    byte[] loader = fat.content(fat.find("/EFI/BOOT/BOOTX64.EFI").orElseThrow(), 1 << 20);
    assertThat(loader).hasSize(100_000);
    for (int i = 0; i < loader.length; i++) {
      assertThat(loader[i]).isEqualTo((byte) (i * 7 + i / 256));
    }
    assertThat(text(fat, "/loader/entries/An Entry With A Long Name.conf"))
        .isEqualTo("title Test\nlinux /kernel\n");
    assertThat(fat.find("/efi/boot/bootx64.efi")).as("names in another case").isPresent();
    assertThat(fat.content(fat.find("/empty").orElseThrow(), 0)).isEmpty();
    assertThat(fat.list(fat.find("/many").orElseThrow())).hasSize(200);
    assertThat(text(fat, "/many/file number 137.txt")).isEqualTo("content 137\n");
    assertThat(fat.find("/many/file number 200.txt")).isEmpty();
    assertThat(fat.find("/empty/below")).isEmpty();
  }

  @Test
  void ext4IsRead() throws IOException {
    FileSystem ext = open(MemoryDisk.fixture("ext4.img"));
    assertThat(ext.type()).isEqualTo("ext4");
    assertThat(ext.uuid()).isEqualTo("01234567-89ab-cdef-0123-456789abcdef");
    assertThat(ext.label()).isEqualTo("rootfs");
    assertThat(ext.remark()).isEmpty();
    assertThat(text(ext, "/etc/os-release")).isEqualTo("ID=test\n");
    assertThat(ext.find("/vmlinuz").orElseThrow().size()).as("through the link").isEqualTo(4096);
    assertThat(ext.find("/../boot/../etc")).isPresent();
    assertThat(ext.find("/nothing")).isEmpty();
  }

  /// debugfs wrote three blocks into the journal: a text, one that begins with the journal's magic
  /// number, and one that a later transaction revokes. e2fsck gives the same when it replays it.
  @Test
  void aJournalThatWasNotReplayedIsReadToo() throws IOException {
    FileSystem ext = open(MemoryDisk.fixture("ext4-journal.img"));
    assertThat(ext.remark()).contains("2 blocks of 4 transactions");
    assertThat(text(ext, "/etc/os-release")).startsWith("ID=new\n");
    assertThat(text(ext, "/boot/grub/grub.cfg")).startsWith("set default");
    byte[] escaped = ext.content(ext.find("/initrd.img").orElseThrow(), 1 << 20);
    assertThat(new String(escaped, 0, 11, StandardCharsets.ISO_8859_1))
        .isEqualTo("\u00c0;9\u0098escaped");
  }

  @Test
  void aTransactionWithAWrongChecksumDoesNotCount() throws IOException {
    byte[] image = MemoryDisk.fixture("ext4-journal.img");
    // The commit block: magic number, type 2, sequence number 1, in the only journal there is.
    int at = 0;
    while (image[at] != (byte) 0xc0
        || image[at + 1] != 0x3b
        || image[at + 2] != 0x39
        || image[at + 3] != (byte) 0x98
        || image[at + 7] != 2) {
      at += 1024;
    }
    image[at + 60] ^= 1;
    FileSystem ext = open(image);
    assertThat(ext.remark()).contains("0 blocks of 0 transactions");
    assertThat(text(ext, "/etc/os-release")).isEqualTo("ID=test\n");
  }
}
