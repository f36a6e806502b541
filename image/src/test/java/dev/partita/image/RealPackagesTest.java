package dev.partita.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.partita.image.archive.ArchiveLimits;
import dev.partita.image.archive.DebReader;
import dev.partita.image.archive.TarEntry;
import dev.partita.image.kernel.BusyBox;
import dev.partita.image.kernel.ModuleInfo;
import dev.partita.image.kernel.ModuleSet;
import dev.partita.image.kernel.PackageContents;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// With the packages of this machine's distribution, compared with the programs of others. The
/// packages stay under `target`, so that they are downloaded once.
class RealPackagesTest {
  private static GuestFiles guest;
  private static List<Path> packages;

  @TempDir Path directory;

  @BeforeAll
  static void fetch() throws IOException {
    HostPrograms.require("apt-get");
    try {
      guest = Images.debian(Path.of("target", "real-packages"), Progress.NONE);
    } catch (ImageException e) {
      abort("no packages on this machine: " + e.getMessage());
    }
    Path folder = guest.kernel().resolve("../../../packages").normalize();
    try (Stream<Path> files = Files.list(folder)) {
      packages = files.sorted().toList();
    }
  }

  @Test
  void theCacheGivesWhatTheBuilderBuilds() throws IOException {
    RamDisk.Built built =
        RamDisk.build(
            packages, directory.resolve("vmlinuz"), directory.resolve("initrd.img"), Progress.NONE);

    assertThat(directory.resolve("initrd.img")).hasSameBinaryContentAs(guest.initrd());
    assertThat(directory.resolve("vmlinuz")).hasSameBinaryContentAs(guest.kernel());
    assertThat(built.kernelRelease()).isEqualTo(guest.kernelRelease());
    assertThat(built.modules()).isGreaterThan(20);
    assertThat(built.bytes()).isBetween(4L << 20, 64L << 20);
  }

  @Test
  void packagesAreReadAsDpkgDebUnpacksThem() throws Exception {
    HostPrograms.require("dpkg-deb");
    for (Path deb : packages) {
      Path theirs = directory.resolve(deb.getFileName());
      HostPrograms.run(directory, Optional.empty(), "dpkg-deb", "-x", deb.toAbsolutePath(), theirs);
      int[] entries = {0};
      try (InputStream in = new BufferedInputStream(Files.newInputStream(deb))) {
        DebReader.read(
            in,
            ArchiveLimits.PACKAGE,
            (entry, content) -> {
              entries[0]++;
              if (entry.type() == TarEntry.Type.REGULAR) {
                assertThat(theirs.resolve(entry.path())).hasBinaryContent(content.readAllBytes());
              }
            });
      }
      try (Stream<Path> all = Files.walk(theirs)) {
        assertThat(entries[0]).isEqualTo((int) all.count());
      }
    }
  }

  @Test
  void theIndexOfModulesIsDepmods() throws Exception {
    Path depmod = HostPrograms.require("depmod");
    String release = guest.kernelRelease();
    try (PackageContents contents =
        PackageContents.read(
            packages, directory.resolve("vmlinuz"), directory.resolve("scratch"), Progress.NONE)) {
      ModuleSet modules = new ModuleSet(contents.modules());
      Path root = directory.resolve("lib/modules").resolve(release);
      for (ModuleInfo module : modules.modules()) {
        Path file = root.resolve(module.path());
        Files.createDirectories(file.getParent());
        Files.write(file, contents.moduleBytes(module));
      }
      HostPrograms.run(directory, Optional.empty(), depmod, "-b", directory, release);

      assertThat(dependencies(modules.dependencyIndex()))
          .isEqualTo(dependencies(Files.readString(root.resolve("modules.dep"))));
      assertThat(lines(modules.aliasIndex()))
          .isEqualTo(lines(Files.readString(root.resolve("modules.alias"))));
      for (ModuleInfo module : modules.modules()) {
        Set<String> loaded = new TreeSet<>();
        for (ModuleInfo next : modules.loadOrder(module)) {
          assertThat(loaded).containsAll(next.depends());
          loaded.add(next.name());
        }
      }
    }
  }

  private static Map<String, Set<String>> dependencies(String index) {
    Map<String, Set<String>> all = new TreeMap<>();
    for (String line : index.split("\n")) {
      String[] parts = line.split(":\\s*", 2);
      all.put(parts[0], new TreeSet<>(Arrays.asList(parts[1].split("\\s+"))));
    }
    return all;
  }

  private static Set<String> lines(String text) {
    return text.lines()
        .filter(l -> l.startsWith("alias "))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @Test
  void theAppletsAreThoseThatBusyBoxLists() throws Exception {
    assumeTrue(System.getProperty("os.arch").equals("amd64"), "the program is for amd64");
    try (PackageContents contents =
        PackageContents.read(
            packages, directory.resolve("vmlinuz"), directory.resolve("scratch"), Progress.NONE)) {
      Path program = Files.write(directory.resolve("busybox"), contents.busyBox());
      assertThat(program.toFile().setExecutable(true)).isTrue();

      String listed = HostPrograms.run(directory, Optional.empty(), program, "--list");

      List<String> expected = new ArrayList<>(listed.lines().toList());
      expected.remove("busybox");
      assertThat(BusyBox.applets(contents.busyBox())).isEqualTo(expected);
    }
  }

  @Test
  void theGuestRunsAScriptAndPowersOffUnderAnotherMachine() throws Exception {
    Path qemu = HostPrograms.require("qemu-system-x86_64");
    String script =
        """
        echo "release $(uname -r) on $(tty)"
        modprobe xfs && grep -c ^xfs /proc/modules
        modprobe -D hv_storvsc | sed 's/.*[/]//'
        for d in /proc /sys /dev /dev/pts /run /tmp; do mountpoint() { grep -q " $1 " /proc/mounts; }; mountpoint $d || echo "no $d"; done
        exit 42
        """;

    String console =
        HostPrograms.run(
            directory,
            Optional.empty(),
            "timeout",
            "110",
            qemu,
            "-accel",
            "tcg",
            "-M",
            "pc",
            "-m",
            "512",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-monitor",
            "none",
            "-no-reboot",
            "-kernel",
            guest.kernel().toAbsolutePath(),
            "-initrd",
            guest.initrd().toAbsolutePath(),
            "-append",
            GuestScript.onCommandLine(guest.commandLine(), script));

    assertThat(GuestScript.exitStatus(console)).as(console).hasValue(42);
    assertThat(console)
        .contains("release " + guest.kernelRelease() + " on /dev/ttyS0")
        .containsPattern("scsi_mod.ko\\s+hv_vmbus.ko\\s+scsi_transport_fc.ko\\s+hv_storvsc.ko")
        .doesNotContain("no /");
  }
}
