package dev.partita.image.filesystem;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.partita.disk.DiskFormat;
import dev.partita.disk.Disks;
import dev.partita.image.filesystem.FileSystems.Found;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// File systems of many kinds, made by mke2fs from one folder, are read as that folder.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class Mke2fsTest {
  private static final int HOLE = 3 << 20;

  private Path folder = Path.of("");

  private final TreeMap<String, byte[]> files = new TreeMap<>();
  private final TreeMap<String, String> links = new TreeMap<>();
  private Path tree = Path.of("");

  @BeforeAll
  void makeTree(@TempDir Path temporary) throws IOException {
    assumeTrue(
        Stream.of("/usr/sbin/mke2fs", "/sbin/mke2fs").map(Path::of).anyMatch(Files::isExecutable),
        "mke2fs is not installed");
    folder = temporary;
    tree = Files.createDirectory(folder.resolve("tree"));
    var random = new Random(3);
    file("short", "a few bytes".getBytes(StandardCharsets.UTF_8));
    file("empty", new byte[0]);
    file("inline-100", bytes(random, 100));
    file("inline-140", bytes(random, 140));
    file("large", bytes(random, 5_000_001));
    for (int i = 0; i < 700; i++) {
      file("many/a-name-of-some-length-" + i, ("content " + i).getBytes(StandardCharsets.UTF_8));
    }
    file("deep/er/and/deeper/file", bytes(random, 5000));
    // Data, a hole, data: 3 MiB apart, so that maps of blocks go through two levels.
    byte[] sparse = new byte[2 * HOLE];
    System.arraycopy(bytes(random, 4096), 0, sparse, 0, 4096);
    System.arraycopy(bytes(random, 4096), 0, sparse, HOLE, 4096);
    sparse[sparse.length - 1] = 7;
    files.put("sparse", sparse);
    try (var channel =
        FileChannel.open(
            tree.resolve("sparse"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(sparse, 0, 4096), 0);
      channel.write(ByteBuffer.wrap(sparse, HOLE, 4096), HOLE);
      channel.write(ByteBuffer.wrap(sparse, sparse.length - 1, 1), sparse.length - 1);
    }
    link("link", "deep/er");
    link("long-link", "deep/../".repeat(20) + "short");
  }

  private static byte[] bytes(Random random, int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  private void file(String path, byte[] content) throws IOException {
    Files.createDirectories(tree.resolve(path).getParent());
    Files.write(tree.resolve(path), content);
    files.put(path, content);
  }

  private void link(String path, String target) throws IOException {
    Files.createSymbolicLink(tree.resolve(path), Path.of(target));
    links.put(path, target);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "-t ext2 -b 1024",
        "-t ext2 -b 4096 -I 128",
        "-t ext3 -b 1024",
        "-t ext3 -b 2048",
        "-t ext4 -b 1024",
        "-t ext4 -b 4096",
        "-t ext4 -b 4096 -I 128 -O ^metadata_csum",
        "-t ext4 -O 64bit,metadata_csum,metadata_csum_seed",
        "-t ext4 -O ^64bit,^flex_bg",
        "-t ext4 -b 1024 -O meta_bg,^resize_inode",
        "-t ext4 -b 1024 -O meta_bg,^resize_inode,^64bit,^sparse_super",
        "-t ext4 -O inline_data -I 256",
        "-t ext4 -b 1024 -O inline_data -I 512",
        "-t ext4 -O bigalloc -C 16384",
        "-t ext4 -O sparse_super2",
        "-t ext4 -O large_dir,casefold,encrypt,mmp",
        "-t ext4 -O ea_inode,project,quota",
        "-t ext4 -O ^extents,^64bit,^has_journal",
        "-t ext4 -b 1024 -g 1024",
        "-t ext4 -b 65536",
      })
  void whatMke2fsWroteIsRead(String options) throws Exception {
    Path image = folder.resolve("image.raw");
    Files.deleteIfExists(image);
    run("mke2fs -q -F " + options + " -d " + tree + " " + image + " 64M");
    check(image);
    // The same with hashed directories, which e2fsck makes of large ones.
    run("e2fsck -fyD " + image);
    check(image);
  }

  private static void run(String command) throws IOException, InterruptedException {
    var words = new ArrayList<>(List.of(command.split(" ")));
    for (String folder : List.of("/usr/sbin/", "/sbin/")) {
      if (Files.isExecutable(Path.of(folder + words.getFirst()))) {
        words.set(0, folder + words.getFirst());
      }
    }
    var process = new ProcessBuilder(words).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    // e2fsck says 1 when it changed something.
    assertThat(process.waitFor())
        .as("%s: %s", command, said)
        .isBetween(0, command.startsWith("e2fsck") ? 1 : 0);
  }

  private void check(Path image) throws IOException {
    try (var disk = Disks.open(image, DiskFormat.RAW, false)) {
      var fileSystem = ((Found.Readable) FileSystems.detect(Volume.whole(disk))).fileSystem();
      assertThat(fileSystem.remark()).isEmpty();
      for (var file : files.entrySet()) {
        Node node = fileSystem.find(file.getKey()).orElseThrow();
        assertThat(node.kind()).isEqualTo(Node.Kind.FILE);
        assertThat(fileSystem.content(node, 10 << 20)).as(file.getKey()).isEqualTo(file.getValue());
      }
      var top = fileSystem.list(fileSystem.root());
      for (var link : links.entrySet()) {
        Node node = java.util.Objects.requireNonNull(top.get(link.getKey()));
        assertThat(node.kind()).isEqualTo(Node.Kind.LINK);
        assertThat(new String(fileSystem.content(node, 4096), StandardCharsets.UTF_8))
            .isEqualTo(link.getValue());
      }
      assertThat(fileSystem.find("link/and/deeper/file")).isPresent();
      assertThat(fileSystem.find("long-link").orElseThrow().size()).isEqualTo(11);
      assertThat(names(top.keySet())).isEqualTo(names(tree));
      assertThat(names(fileSystem.list(fileSystem.find("many").orElseThrow()).keySet()))
          .isEqualTo(names(tree.resolve("many")));
      // A part from the middle of a file, over borders of blocks.
      byte[] part = new byte[70_000];
      fileSystem.read(fileSystem.find("large").orElseThrow(), 1_234_567, part, part.length);
      assertThat(part)
          .isEqualTo(
              java.util.Arrays.copyOfRange(files.get("large"), 1_234_567, 1_234_567 + part.length));
    }
  }

  private static List<String> names(Iterable<String> names) {
    List<String> sorted = new ArrayList<>();
    names.forEach(sorted::add);
    sorted.remove("lost+found");
    sorted.sort(null);
    return sorted;
  }

  private static List<String> names(Path directory) throws IOException {
    try (var children = Files.list(directory)) {
      return children
          .filter(child -> Files.exists(child, LinkOption.NOFOLLOW_LINKS))
          .map(child -> child.getFileName().toString())
          .sorted()
          .toList();
    }
  }
}
