package dev.partita.image.debian;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.image.DebianDiskRequest;
import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What goes into the making of a disk; the making itself takes minutes and the network.
class DebianDiskPartsTest {
  @TempDir Path folder;

  private static DebianDiskRequest request(String user, String host, String extra, long size) {
    return new DebianDiskRequest("12", List.of(extra), size, user, null, List.of(), host, null);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"Alice", "a b", "", "-x", "a;id", "a\n", "very-long-name-of-somebody-or-other"})
  void namesThatUseraddRefusesAreRefused(String user) {
    assertThatThrownBy(() -> request(user, "h", "tree", 4L << 30).check())
        .isInstanceOf(ImageException.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--force-yes", "?essential", "a/b", "x-", "UPPER", "a b"})
  void whatIsNoPackageIsRefused(String name) {
    assertThatThrownBy(() -> request("me", "h", name, 4L << 30).check())
        .hasMessageContaining("name of a package");
  }

  @ParameterizedTest
  @ValueSource(strings = {"-a", "a-", "a_b", "a..b", "", "a b", "$(id)"})
  void whatIsNoHostNameIsRefused(String host) {
    assertThatThrownBy(() -> request("me", host, "tree", 4L << 30).check())
        .hasMessageContaining("host name");
  }

  @Test
  void ordinaryRequestsPass() throws ImageException {
    request("me", "web-1.example.org", "g++", 4L << 30).check();
    new DebianDiskRequest(
            "trixie",
            List.of(),
            1L << 30,
            "root",
            "p:w d\u00e9",
            List.of("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here"),
            "h",
            "https://user:secret@mirror.example.org:8080/debian/")
        .check();
    assertThatThrownBy(() -> request("me", "h", "tree", 1 << 20).check())
        .hasMessageContaining("1G");
  }

  @ParameterizedTest
  @CsvSource({"12,bookworm", "bookworm,bookworm", "Trixie,trixie", "13,trixie", "sid,sid"})
  void releasesHaveTwoNames(String name, String codename) throws ImageException {
    assertThat(DebianRelease.named(name).codename()).isEqualTo(codename);
  }

  @Test
  void unknownReleasesAreAnsweredWithTheKnownOnes() {
    assertThatThrownBy(() -> DebianRelease.named("11"))
        .hasMessageContaining("'11'")
        .hasMessageContaining("12 (bookworm)")
        .hasMessageContaining("sid");
  }

  @Test
  void theGuestsFilesAreWhole() {
    var files =
        GuestFile.parse(
            DebianDisk.resource("files"),
            Map.of("ROOT_ID", "1-2", "HOSTNAME", "h$1", "GREETING", "g\n", "KERNEL_OPTIONS", "k"));
    assertThat(files).extracting(GuestFile::path).contains("/etc/fstab", "/boot/grub/grub.cfg");
    assertThat(files).allSatisfy(file -> assertThat(file.content()).doesNotContain("==="));
    assertThat(files)
        .filteredOn(file -> file.path().equals("/etc/hostname"))
        .singleElement()
        .isEqualTo(new GuestFile("after", "rw-r--r--", "/etc/hostname", "h$1\n"));
    assertThat(files)
        .filteredOn(file -> file.path().endsWith("hooks/partita"))
        .singleElement()
        .satisfies(
            file -> {
              assertThat(file.permissions()).isEqualTo("rwxr-xr-x");
              assertThat(file.phase()).isEqualTo("before");
              assertThat(file.content()).startsWith("#!/bin/sh\n");
            });
  }

  /// An apt that answers from a script.
  private static final class Apt implements Commands {
    final List<List<String>> calls = new ArrayList<>();
    String out = "";
    String err = "";
    int exit;

    @Override
    public boolean has(String program) {
      return true;
    }

    @Override
    public Result run(List<String> command, Path directory, Runnable tick) {
      calls.add(command);
      return new Result(exit, out, err);
    }
  }

  private ReleaseArchive archive(Apt apt, String release) throws ImageException {
    return new ReleaseArchive(
        apt, folder, DebianRelease.named(release), Path.of("/keys.gpg"), false);
  }

  @Test
  void aptsPlanIsRead() throws ImageException {
    var apt = new Apt();
    apt.out =
        """
        Reading package lists...
        Inst gcc-12-base (12.2.0-14+deb12u1 Debian:12.12/oldstable [amd64])
        Inst libc6 (2.36-9+deb12u14 Debian:12.12/oldstable, Debian-Security:12 [amd64]) []
        Inst libcap2:amd64 (1:2.66-4+deb12u3 Debian:12.12/oldstable [amd64])
        Inst adduser [3.0] (3.134 Debian:12.12/oldstable [all])
        Conf libc6 (2.36-9+deb12u14 Debian:12.12/oldstable [amd64])
        """;
    assertThat(archive(apt, "12").plan(List.of("?essential")))
        .containsExactly(
            new ReleaseArchive.Planned("gcc-12-base", "gcc-12-base_12.2.0-14+deb12u1_amd64.deb"),
            new ReleaseArchive.Planned("libc6", "libc6_2.36-9+deb12u14_amd64.deb"),
            new ReleaseArchive.Planned("libcap2", "libcap2_1%3a2.66-4+deb12u3_amd64.deb"),
            new ReleaseArchive.Planned("adduser", "adduser_3.134_all.deb"));
    assertThat(apt.calls.getFirst()).contains("--simulate", "?essential");
  }

  @Test
  void whatAptRefusesIsSaidInItsWords() throws ImageException {
    var apt = new Apt();
    apt.exit = 100;
    apt.err = "N: note\nE: Unable to locate package nosuch\n";
    var archive = archive(apt, "12");
    assertThatThrownBy(() -> archive.plan(List.of("nosuch")))
        .hasMessage("Debian 12 cannot be put together: Unable to locate package nosuch");
    assertThatThrownBy(() -> archive.fetch(List.of("nosuch"), Progress.NONE))
        .isInstanceOf(IOException.class);
  }

  @Test
  void theMirrorIsTheHostsUnlessOneIsAsked() throws IOException {
    var apt = new Apt();
    apt.out =
        """
        Debian|Debian-Security|http://near.example.org/debian-security/
        Debian|Debian|http://near.example.org/debian/
        Other|Debian|http://other.example.org/
        """;
    assertThat(archive(apt, "12").update(Optional.empty(), Progress.NONE))
        .isEqualTo(
            """
            deb http://near.example.org/debian bookworm main
            deb http://near.example.org/debian bookworm-updates main
            deb http://near.example.org/debian-security bookworm-security main
            """);
    assertThat(Files.readString(folder.resolve("apt/sources.list")))
        .as("verified with Debian's keys alone")
        .contains("deb [signed-by=/keys.gpg] http://near.example.org/debian bookworm main");
    assertThat(archive(apt, "sid").update(Optional.of("http://m/debian"), Progress.NONE))
        .isEqualTo("deb http://m/debian sid main\n");
    assertThat(archive(apt, "13").update(Optional.of("http://m/deb"), Progress.NONE))
        .contains("deb http://deb.debian.org/debian-security trixie-security main");
  }

  @Test
  void treesAreDeletedWhateverTheirModes() throws IOException {
    Path tree = Files.createDirectories(folder.resolve("tree/closed/below"));
    Files.writeString(tree.resolve("file"), "");
    Files.createSymbolicLink(folder.resolve("tree/link"), folder.resolve("outside"));
    Files.createDirectory(folder.resolve("outside"));
    Path closed = folder.resolve("tree/closed");
    Files.setPosixFilePermissions(
        tree, java.nio.file.attribute.PosixFilePermissions.fromString("r-x------"));
    Files.setPosixFilePermissions(
        closed, java.nio.file.attribute.PosixFilePermissions.fromString("---------"));
    Trees.delete(folder.resolve("tree"));
    assertThat(folder.resolve("tree")).doesNotExist();
    assertThat(folder.resolve("outside")).exists();
    Trees.delete(folder.resolve("tree"));
  }
}
