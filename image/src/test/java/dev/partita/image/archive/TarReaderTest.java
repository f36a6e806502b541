package dev.partita.image.archive;

import static dev.partita.image.SamplePackages.ascii;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TarReaderTest {
  private static final ArchiveLimits SMALL = new ArchiveLimits(1 << 20, 1000, 5, 300, 1 << 16);

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes);

  TarReaderTest() {
    tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
    tar.setBigNumberMode(TarArchiveOutputStream.BIGNUMBER_STAR);
  }

  private void add(TarArchiveEntry entry, String content) throws IOException {
    entry.setSize(content.length());
    tar.putArchiveEntry(entry);
    tar.write(ascii(content));
    tar.closeArchiveEntry();
  }

  private TarReader reader() throws IOException {
    tar.finish();
    return new TarReader(new ByteArrayInputStream(bytes.toByteArray()), SMALL);
  }

  private static List<TarEntry> all(TarReader reader) throws IOException {
    List<TarEntry> entries = new ArrayList<>();
    for (TarEntry e = reader.next(); e != null; e = reader.next()) {
      entries.add(e);
    }
    return entries;
  }

  @Test
  void everyKindOfEntryIsRead() throws IOException {
    TarArchiveEntry file = new TarArchiveEntry("./usr//bin/./tool");
    file.setMode(04755);
    file.setUserId(12);
    file.setGroupId(3_000_000_000L);
    add(file, "content");
    add(new TarArchiveEntry("./etc/"), "");
    TarArchiveEntry symbolic = new TarArchiveEntry("./lib", TarConstants.LF_SYMLINK);
    symbolic.setLinkName("/usr/lib");
    add(symbolic, "");
    TarArchiveEntry hard = new TarArchiveEntry("./usr/bin/other", TarConstants.LF_LINK);
    hard.setLinkName("./usr/bin/tool");
    add(hard, "");
    TarArchiveEntry device = new TarArchiveEntry("./dev/tty", TarConstants.LF_CHR);
    device.setDevMajor(5);
    device.setDevMinor(1);
    add(device, "");

    TarReader reader = reader();
    TarEntry first = requireNonNull(reader.next());
    assertThat(first.path()).isEqualTo("usr/bin/tool");
    assertThat(first.type()).isEqualTo(TarEntry.Type.REGULAR);
    assertThat(first.mode()).isEqualTo(04755);
    assertThat(first.uid()).isEqualTo(12);
    assertThat(first.gid()).isEqualTo(3_000_000_000L);
    assertThat(reader.content().readAllBytes()).isEqualTo(ascii("content"));
    List<TarEntry> rest = all(reader);
    assertThat(rest)
        .extracting(TarEntry::type)
        .containsExactly(
            TarEntry.Type.DIRECTORY,
            TarEntry.Type.SYMBOLIC_LINK,
            TarEntry.Type.HARD_LINK,
            TarEntry.Type.CHARACTER_DEVICE);
    assertThat(rest.get(1).linkTarget()).isEqualTo("/usr/lib");
    assertThat(rest.get(2).linkTarget()).isEqualTo("usr/bin/tool");
    assertThat(rest.get(3).major()).isEqualTo(5);
    assertThat(rest.get(3).minor()).isEqualTo(1);
  }

  @Test
  void longNamesAndTargetsAreRead() throws IOException {
    String name = "d/" + "n".repeat(250);
    TarArchiveEntry link = new TarArchiveEntry(name, TarConstants.LF_SYMLINK);
    link.setLinkName("t".repeat(200));
    add(link, "");

    TarEntry entry = requireNonNull(reader().next());

    assertThat(entry.path()).isEqualTo(name);
    assertThat(entry.linkTarget()).isEqualTo("t".repeat(200));
  }

  @ParameterizedTest
  @ValueSource(strings = {"../x", "./a/../../x", "a/..", ".."})
  void pathsThatClimbOutAreRefused(String path) throws IOException {
    add(new TarArchiveEntry(path), "x");

    TarReader reader = reader();
    assertThatThrownBy(reader::next)
        .isInstanceOf(MalformedArchiveException.class)
        .hasMessageContaining("climbs out");
  }

  @Test
  void absolutePathsAreRefusedForFilesAndTargetsOfHardLinks() throws IOException {
    TarArchiveEntry hard = new TarArchiveEntry("x", TarConstants.LF_LINK);
    hard.setLinkName("/etc/shadow");
    add(hard, "");
    add(new TarArchiveEntry("/etc/passwd", true), "x");

    TarReader reader = reader();
    assertThatThrownBy(reader::next).isInstanceOf(MalformedArchiveException.class);
    assertThatThrownBy(reader::next)
        .isInstanceOf(MalformedArchiveException.class)
        .hasMessageContaining("absolute");
  }

  @Test
  void theLimitsHold() throws IOException {
    add(new TarArchiveEntry("large"), "x".repeat(1001));
    for (int i = 0; i < 5; i++) {
      add(new TarArchiveEntry("f" + i), "");
    }
    add(new TarArchiveEntry("n".repeat(301)), "");

    TarReader reader = reader();
    assertThatThrownBy(reader::next).hasMessageContaining("more than the 1000 allowed");
    byte[] withoutLarge = Arrays.copyOfRange(bytes.toByteArray(), 512 + 1024, bytes.size());
    TarReader rest = new TarReader(new ByteArrayInputStream(withoutLarge), SMALL);
    assertThatThrownBy(() -> all(rest)).hasMessageContaining("more than 5 entries");
    byte[] longName = Arrays.copyOfRange(bytes.toByteArray(), 512 + 1024 + 5 * 512, bytes.size());
    TarReader last = new TarReader(new ByteArrayInputStream(longName), SMALL);
    assertThatThrownBy(last::next).hasMessageContaining("a name of 302 bytes");
  }

  @Test
  void typesThatPackagesDoNotUseAreRefused() throws IOException {
    tar.setAddPaxHeadersForNonAsciiNames(true);
    add(new TarArchiveEntry("ü"), "");

    TarReader reader = reader();
    assertThatThrownBy(reader::next)
        .isInstanceOf(MalformedArchiveException.class)
        .hasMessageContaining("type 0x78");
  }

  @Test
  void aDamagedHeaderIsRefused() throws IOException {
    add(new TarArchiveEntry("file"), "x");
    tar.finish();
    byte[] damaged = bytes.toByteArray();
    damaged[0] ^= 1;

    TarReader reader = new TarReader(new ByteArrayInputStream(damaged), SMALL);
    assertThatThrownBy(reader::next)
        .isInstanceOf(MalformedArchiveException.class)
        .hasMessageContaining("checksum");
  }
}
