package dev.partita.image.archive;

import static dev.partita.image.SamplePackages.ascii;
import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.image.FileTree;
import dev.partita.image.HostPrograms;
import dev.partita.image.ImageException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CpioWriterTest {
  private static FileTree sample() throws ImageException {
    FileTree tree = new FileTree();
    tree.directory("tmp", 01777);
    tree.file("bin/tool", 04755, ascii("12345"));
    tree.hardLink("bin/also", "bin/tool");
    tree.file("etc/empty", 0400, new byte[0]);
    tree.symbolicLink("sbin", "bin");
    tree.put("dev/console", new FileTree.Device(false, 0600, 5, 1));
    tree.put("dev/sda", new FileTree.Device(true, 0660, 259, 70000));
    return tree;
  }

  private static byte[] written(FileTree tree) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    long length = CpioWriter.write(tree, out);
    assertThat(out.size()).isEqualTo(length);
    return out.toByteArray();
  }

  @Test
  void anotherReaderSeesWhatWasWritten() throws IOException {
    List<String> seen = new ArrayList<>();
    try (CpioArchiveInputStream in =
        new CpioArchiveInputStream(new ByteArrayInputStream(written(sample())))) {
      for (CpioArchiveEntry e = in.getNextEntry(); e != null; e = in.getNextEntry()) {
        String device =
            e.isCharacterDevice() || e.isBlockDevice()
                ? " %d,%d".formatted(e.getRemoteDeviceMaj(), e.getRemoteDeviceMin())
                : "";
        String content = new String(in.readAllBytes(), StandardCharsets.US_ASCII);
        assertThat(e.getTime()).isEqualTo(CpioWriter.TIME);
        assertThat(e.getUID() + e.getGID()).isZero();
        seen.add(
            "%s %o x%d%s %s"
                .formatted(e.getName(), e.getMode(), e.getNumberOfLinks(), device, content)
                .strip());
      }
    }

    assertThat(seen)
        .containsExactly(
            "bin 40755 x2",
            "bin/also 104755 x2",
            "bin/tool 104755 x2 12345",
            "dev 40755 x2",
            "dev/console 20600 x1 5,1",
            "dev/sda 60660 x1 259,70000",
            "etc 40755 x2",
            "etc/empty 100400 x1",
            "sbin 120777 x1 bin",
            "tmp 41777 x2");
  }

  @Test
  void theCpioProgramListsWhatWasWritten(@TempDir Path directory) throws Exception {
    Path cpio = HostPrograms.require("cpio");
    Path file = directory.resolve("sample.cpio");
    Files.write(file, written(sample()));

    String listing = HostPrograms.run(directory, Optional.of(file), cpio, "-itv", "-n");

    assertThat(listing.lines().map(line -> line.replaceAll("\\s+", " ")))
        .contains(
            "-rwsr-xr-x 2 0 0 5 Jan 1 2026 bin/tool",
            "crw------- 1 0 0 5, 1 Jan 1 2026 dev/console",
            "brw-rw---- 1 0 0 259, 70000 Jan 1 2026 dev/sda",
            "lrwxrwxrwx 1 0 0 3 Jan 1 2026 sbin -> bin",
            "drwxrwxrwt 2 0 0 0 Jan 1 2026 tmp")
        .noneMatch(line -> line.startsWith("cpio:"));
  }

  @Test
  void namesOfOneFileShareItsInodeAndTheLastCarriesItsContent() throws IOException {
    List<Long> inodes = new ArrayList<>();
    List<Long> sizes = new ArrayList<>();
    try (CpioArchiveInputStream in =
        new CpioArchiveInputStream(new ByteArrayInputStream(written(sample())))) {
      for (CpioArchiveEntry e = in.getNextEntry(); e != null; e = in.getNextEntry()) {
        if (e.getName().startsWith("bin/")) {
          inodes.add(e.getInode());
          sizes.add(e.getSize());
        }
      }
    }

    assertThat(inodes.stream().distinct()).hasSize(1);
    assertThat(sizes).containsExactly(0L, 5L);
  }

  @Test
  void theSameTreeGivesTheSameBytesInWholeBlocks() throws IOException {
    byte[] first = written(sample());

    assertThat(first).isEqualTo(written(sample()));
    assertThat(first.length % 512).isZero();
  }

  @Test
  void aNameIsTheBytesItIs() throws IOException {
    FileTree tree = new FileTree();
    tree.file("\u00c3\u00a9", 0644, new byte[0]); // UTF-8 for e acute, byte by byte

    byte[] bytes = written(tree);

    assertThat(bytes[110]).isEqualTo((byte) 0xc3);
    assertThat(bytes[111]).isEqualTo((byte) 0xa9);
  }
}
