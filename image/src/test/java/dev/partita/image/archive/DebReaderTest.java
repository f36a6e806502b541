package dev.partita.image.archive;

import static dev.partita.image.SamplePackages.ascii;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.partita.image.HostPrograms;
import dev.partita.image.SamplePackages;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.ar.ArArchiveOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DebReaderTest {
  @TempDir Path directory;

  /// A tree as text: of each path its kind, mode and content or target.
  private static final class Listing implements DebReader.Visitor {
    final Map<String, String> entries = new TreeMap<>();
    String control = "";

    @Override
    public void control(String text) {
      control = text;
    }

    @Override
    public void entry(TarEntry entry, InputStream content) throws IOException {
      String what =
          switch (entry.type()) {
            case DIRECTORY -> "directory %o".formatted(entry.mode());
            case SYMBOLIC_LINK -> "link to " + entry.linkTarget();
            case HARD_LINK -> entries.get(entry.linkTarget());
            case REGULAR -> "file %o %s".formatted(entry.mode(), text(content.readAllBytes()));
            default -> throw new IOException("unexpected " + entry);
          };
      if (!entry.path().isEmpty()) {
        entries.put(entry.path(), what);
      }
    }
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  private static Listing list(byte[] deb) throws IOException {
    return list(new ByteArrayInputStream(deb), ArchiveLimits.PACKAGE);
  }

  private static Listing list(InputStream deb, ArchiveLimits limits) throws IOException {
    Listing listing = new Listing();
    DebReader.read(deb, limits, listing);
    return listing;
  }

  @ParameterizedTest
  @ValueSource(strings = {"gzip", "xz", "zstd", "none"})
  void readsWhatDpkgDebBuildsAsDpkgDebDoes(String compression) throws Exception {
    HostPrograms.require("dpkg-deb");
    Path tree = Files.createDirectories(directory.resolve("tree"));
    Files.createDirectories(tree.resolve("DEBIAN"));
    Files.writeString(
        tree.resolve("DEBIAN/control"),
        "Package: sample\nVersion: 1.0\nArchitecture: all\nMaintainer: none <none@example.org>\n"
            + "Description: a sample\n");
    Random random = new Random(1);
    byte[] noise = new byte[300_000];
    random.nextBytes(noise);
    Files.createDirectories(tree.resolve("usr/share/" + "long".repeat(30)));
    Files.write(tree.resolve("usr/share/noise"), noise);
    Files.writeString(tree.resolve("usr/share/zeros"), "\0".repeat(1_000_000));
    Files.writeString(
        tree.resolve("usr/share/" + "long".repeat(30) + "/" + "name".repeat(30)), "x");
    Files.writeString(tree.resolve("usr/share/empty"), "");
    Files.setPosixFilePermissions(
        tree.resolve("usr/share/empty"), PosixFilePermissions.fromString("r-x--x---"));
    Files.createSymbolicLink(tree.resolve("usr/link"), Path.of("/etc/passwd"));
    Files.createSymbolicLink(tree.resolve("usr/long-link"), Path.of("target".repeat(30)));
    Files.createLink(tree.resolve("usr/share/same"), tree.resolve("usr/share/noise"));
    Path deb = directory.resolve("sample.deb");
    try {
      HostPrograms.run(
          directory,
          Optional.empty(),
          "dpkg-deb",
          "--root-owner-group",
          "-Z" + compression,
          "-b",
          tree,
          deb);
    } catch (IOException e) {
      assumeTrue(compression.equals("none"), "this dpkg-deb cannot write " + compression);
      throw e;
    }

    Listing ours;
    try (InputStream in = Files.newInputStream(deb)) {
      ours = list(in, ArchiveLimits.PACKAGE);
    }
    Path theirs = directory.resolve("theirs");
    HostPrograms.run(directory, Optional.empty(), "dpkg-deb", "-x", deb, theirs);

    assertThat(ours.entries).isEqualTo(listTree(theirs));
    assertThat(ours.entries).hasSize(10);
    assertThat(ours.control).startsWith("Package: sample\n");
  }

  private static Map<String, String> listTree(Path root) throws IOException {
    Map<String, String> entries = new TreeMap<>();
    try (Stream<Path> all = Files.walk(root)) {
      for (Path path : all.filter(p -> !p.equals(root)).toList()) {
        Object mode = Files.getAttribute(path, "unix:mode", LinkOption.NOFOLLOW_LINKS);
        int bits = (int) mode & 07777;
        String what;
        if (Files.isSymbolicLink(path)) {
          what = "link to " + Files.readSymbolicLink(path);
        } else if (Files.isDirectory(path)) {
          what = "directory %o".formatted(bits);
        } else {
          what = "file %o %s".formatted(bits, text(Files.readAllBytes(path)));
        }
        entries.put(root.relativize(path).toString(), what);
      }
    }
    return entries;
  }

  @ParameterizedTest
  @ValueSource(strings = {"gz", "xz", "zst", ""})
  void readsPackagesOfOtherWriters(String compression) throws IOException {
    byte[] deb = SamplePackages.deb(Map.of("./a/b", ascii("content")), compression, "Package: x\n");

    Listing listing = list(deb);

    assertThat(listing.entries).containsExactly(Map.entry("a/b", "file 644 content"));
    assertThat(listing.control).isEqualTo("Package: x\n");
  }

  @Test
  void anyCutShortIsAnErrorOfOneKind() throws IOException {
    for (String compression : new String[] {"gz", "xz", "zst", ""}) {
      byte[] deb = SamplePackages.deb(Map.of("./f", new byte[700]), compression, "Package: x\n");
      int step = compression.isEmpty() ? 97 : 1;
      // What may be missing without harm: the padding behind the last member.
      for (int length = 0; length < deb.length - 1; length += step) {
        byte[] cut = Arrays.copyOf(deb, length);
        if (compression.isEmpty() && length > deb.length - 10 * 1024) {
          continue; // within the zero blocks at a tar archive's end
        }
        assertThatThrownBy(() -> list(cut))
            .as("%s, %d bytes", compression, length)
            .isInstanceOf(MalformedArchiveException.class);
      }
    }
  }

  @Test
  void aBombStopsAtTheLimit() throws IOException {
    byte[] deb = SamplePackages.deb(Map.of("./zeros", new byte[8 << 20]), "xz", "Package: x\n");
    assertThat(deb).hasSizeLessThan(10_000);
    ArchiveLimits limits = new ArchiveLimits(1 << 20, 1 << 30, 10, 100, 1 << 20);

    assertThatThrownBy(() -> list(new ByteArrayInputStream(deb), limits))
        .isInstanceOf(MalformedArchiveException.class)
        .hasMessageContaining("larger than 1048576 bytes after decompression");
  }

  @Test
  void aDecompressorThatWantsTooMuchMemoryIsRefused() throws IOException {
    byte[] deb = SamplePackages.deb(Map.of("./f", new byte[1]), "xz", "Package: x\n");
    ArchiveLimits limits = new ArchiveLimits(1 << 20, 1 << 20, 10, 100, 100);

    assertThatThrownBy(() -> list(new ByteArrayInputStream(deb), limits))
        .isInstanceOf(MalformedArchiveException.class);
  }

  @Test
  void aZstdFrameThatWantsTooMuchMemoryIsRefusedWhereverItIs() throws IOException {
    byte[] plain = "some text ".repeat(20_000).getBytes(StandardCharsets.US_ASCII);
    byte[] good = SamplePackages.compress(plain, "zst");
    // RFC 8878, 3.1.1.1.2: windows of 2^41, 2^31 and 2^29 bytes; then a single segment of 2^40
    byte[][] hostile = {
      {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd, 0x00, (byte) 0xf8, 1, 0, 0},
      {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd, 0x00, (byte) 0xa8, 1, 0, 0},
      {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd, 0x00, (byte) 0x98, 1, 0, 0},
      {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd, (byte) 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0},
    };

    assertThat(unpackZstd(good)).isEqualTo(plain);
    assertThat(unpackZstd(good, good)).hasSize(2 * plain.length);
    for (byte[] frame : hostile) {
      assertThatThrownBy(() -> unpackZstd(frame)).isInstanceOf(MalformedArchiveException.class);
      assertThatThrownBy(() -> unpackZstd(good, frame))
          .isInstanceOf(MalformedArchiveException.class)
          .hasMessageContaining("of memory");
    }
  }

  private static byte[] unpackZstd(byte[]... parts) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.write(part);
    }
    InputStream in = new ByteArrayInputStream(all.toByteArray());
    return Decompressor.open("x.zst", in, ArchiveLimits.PACKAGE).readAllBytes();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "control.tar,data.tar",
        "debian-binary,data.tar,control.tar",
        "debian-binary,control.tar,control.tar,data.tar",
        "debian-binary,control.tar",
        "debian-binary,control.tar,data.tar.bz2",
        "debian-binary",
      })
  void membersInAnotherOrderAreRefused(String names) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ArArchiveOutputStream ar = new ArArchiveOutputStream(out)) {
      for (String name : names.split(",")) {
        byte[] content =
            name.equals("debian-binary")
                ? ascii("2.0\n")
                : SamplePackages.tar(Map.of("./control", ascii("Package: x\n")));
        SamplePackages.member(ar, name, content);
      }
    }

    assertThatThrownBy(() -> list(out.toByteArray())).isInstanceOf(MalformedArchiveException.class);
  }

  /// Changes, cuts and doubles bytes of good packages: each outcome is a listing or the one kind
  /// of exception, in bounded memory and time.
  @ParameterizedTest
  @ValueSource(strings = {"gz", "xz", "zst", ""})
  void mutatedPackagesGiveAListingOrTheOneException(String compression) throws IOException {
    byte[] good =
        SamplePackages.deb(
            Map.of("./a", ascii("some content"), "./" + "long/".repeat(50) + "b", new byte[600]),
            compression,
            "Package: x\n");
    ArchiveLimits limits = new ArchiveLimits(1 << 20, 1 << 20, 1000, 4096, 16 << 10);
    Random random = new Random(20260101);
    int refused = 0;
    int rounds = 4000;
    for (int round = 0; round < rounds; round++) {
      byte[] bad = mutate(good, random);
      try {
        list(new ByteArrayInputStream(bad), limits);
      } catch (MalformedArchiveException e) {
        assertThat(e).message().isNotBlank();
        assertThat(e.getMessage()).doesNotContain("\n");
        refused++;
      } catch (NullPointerException e) {
        throw new AssertionError("round " + round, e);
      }
    }
    assertThat(refused).isBetween(rounds / 10, rounds);
  }

  private static byte[] mutate(byte[] good, Random random) {
    byte[] bad = good.clone();
    int changes = 1 + random.nextInt(4);
    for (int i = 0; i < changes; i++) {
      int at = random.nextInt(bad.length);
      switch (random.nextInt(5)) {
        case 0 -> bad[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bad[at] = (byte) random.nextInt(256);
        case 2 -> bad = Arrays.copyOf(bad, Math.max(1, at));
        case 3 -> {
          int length = Math.min(random.nextInt(64), bad.length - at);
          int from = random.nextInt(bad.length - length + 1);
          System.arraycopy(bad, from, bad, at, length);
        }
        default -> {
          int until = Math.min(bad.length, at + random.nextInt(16));
          Arrays.fill(bad, at, until, (byte) (random.nextBoolean() ? 0xff : 0));
        }
      }
    }
    return bad;
  }
}
