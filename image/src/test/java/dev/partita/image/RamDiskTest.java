package dev.partita.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.commons.compress.archivers.cpio.CpioArchiveEntry;
import org.apache.commons.compress.archivers.cpio.CpioArchiveInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RamDiskTest {
  @TempDir Path directory;

  private RamDisk.Built build(byte[]... packages) throws IOException {
    List<Path> files = new ArrayList<>();
    for (byte[] bytes : packages) {
      files.add(Files.write(directory.resolve(files.size() + ".deb"), bytes));
    }
    return RamDisk.build(
        files, directory.resolve("vmlinuz"), directory.resolve("initrd.img"), Progress.NONE);
  }

  private Map<String, String> contents() throws IOException {
    Map<String, String> files = new TreeMap<>();
    try (InputStream file = Files.newInputStream(directory.resolve("initrd.img"));
        CpioArchiveInputStream in = new CpioArchiveInputStream(file)) {
      for (CpioArchiveEntry e = in.getNextEntry(); e != null; e = in.getNextEntry()) {
        files.put(e.getName(), new String(in.readAllBytes(), StandardCharsets.ISO_8859_1));
      }
    }
    return files;
  }

  @Test
  void itHoldsTheShellAndTheWantedModulesWithTheirIndex() throws IOException {
    RamDisk.Built built = build(SamplePackages.kernel("v"), SamplePackages.busyBox());

    assertThat(built.kernelRelease()).isEqualTo(SamplePackages.RELEASE);
    assertThat(built.modules()).isEqualTo(3);
    assertThat(built.bytes()).isEqualTo(Files.size(directory.resolve("initrd.img")));
    assertThat(directory.resolve("vmlinuz")).hasBinaryContent(SamplePackages.bzImage("v"));
    assertThat(directory.resolve("initrd.img.modules")).doesNotExist();
    Map<String, String> files = contents();
    String modules = "lib/modules/" + SamplePackages.RELEASE + "/";
    assertThat(files)
        .containsEntry("bin/poweroff", "busybox")
        .containsEntry("sbin", "bin")
        .containsEntry("dev/console", "")
        .containsKeys("init", "etc/console", "etc/fstab", "bin/sh", "bin/busybox")
        .doesNotContainKey(modules + "kernel/drivers/gpu/unwanted.ko")
        .containsEntry(
            modules + "modules.dep",
            """
            kernel/drivers/scsi/hv_storvsc.ko: kernel/drivers/hv/hv_vmbus.ko kernel/drivers/scsi/scsi-mod.ko
            kernel/drivers/hv/hv_vmbus.ko:
            kernel/drivers/scsi/scsi-mod.ko:
            """)
        .containsEntry(modules + "modules.builtin", "kernel/fs/ext4/ext4.ko\n");
    assertThat(files.get(modules + "modules.alias")).contains("alias acpi*:VMBUS:* hv_vmbus\n");
  }

  @Test
  void theSamePackagesGiveTheSameBytes() throws IOException {
    build(SamplePackages.kernel("v"), SamplePackages.busyBox());
    byte[] first = Files.readAllBytes(directory.resolve("initrd.img"));

    build(SamplePackages.kernel("v"), SamplePackages.busyBox());

    assertThat(directory.resolve("initrd.img")).hasBinaryContent(first);
  }

  @Test
  void modulesThatThePackageCompressesAreUnpacked() throws IOException {
    byte[] module = SamplePackages.module("depends=\0");
    for (String compression : List.of("gz", "xz", "zst")) {
      String path = "usr/lib/modules/9/kernel/hv_vmbus.ko." + compression;
      byte[] kernel =
          SamplePackages.deb(
              Map.of(
                  path,
                  SamplePackages.compress(module, compression),
                  "usr/lib/modules/9/vmlinuz",
                  SamplePackages.bzImage("9")),
              "xz",
              "Package: k\n");

      build(kernel, SamplePackages.busyBox());

      assertThat(contents())
          .containsEntry(
              "lib/modules/9/kernel/hv_vmbus.ko", new String(module, StandardCharsets.ISO_8859_1));
    }
  }

  @Test
  void theDaemonsForHyperVAreThereWithWhatTheyNeed() throws IOException {
    byte[] daemons =
        SamplePackages.deb(
            Map.of(
                "./usr/sbin/hv_kvp_daemon", SamplePackages.ascii("kvp"),
                "./usr/lib/linux-tools-6.8.0-45/hv_vss_daemon", SamplePackages.ascii("vss"),
                "./usr/share/doc/hv_fcopy_daemon", SamplePackages.ascii("no program")),
            "xz",
            "Package: d\n");
    build(SamplePackages.kernel("v"), SamplePackages.busyBox(), daemons);
    assertThat(contents()).as("no library").doesNotContainKey("bin/hv_kvp_daemon");
    for (var names :
        List.of(
            List.of(
                "./lib/x86_64-linux-gnu/libc.so.6", "./lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
            List.of("./usr/lib/x86_64-linux-gnu/libc.so.6", "./usr/lib64/ld-linux-x86-64.so.2"),
            List.of("./lib/x86_64-linux-gnu/libc-2.31.so", "./lib/x86_64-linux-gnu/ld-2.31.so"))) {
      byte[] library =
          SamplePackages.deb(
              Map.of(
                  names.get(0),
                  SamplePackages.ascii("library"),
                  names.get(1),
                  SamplePackages.ascii("loader"),
                  "./lib/x86_64-linux-gnu/libcrypt.so.1",
                  SamplePackages.ascii("another")),
              "xz",
              "Package: l\n");
      build(SamplePackages.kernel("v"), SamplePackages.busyBox(), daemons, library);
      assertThat(contents())
          .containsEntry("bin/hv_kvp_daemon", "kvp")
          .containsEntry("bin/hv_vss_daemon", "vss")
          .doesNotContainKey("bin/hv_fcopy_daemon")
          .containsEntry("lib/x86_64-linux-gnu/libc.so.6", "library")
          .containsEntry("lib64/ld-linux-x86-64.so.2", "loader");
    }
  }

  @Test
  void whatIsMissingOrBrokenIsSaid() throws IOException {
    byte[] kernel = SamplePackages.kernel("v");
    assertThatThrownBy(() -> build(kernel)).hasMessage("no BusyBox in the packages");
    assertThatThrownBy(() -> build(SamplePackages.busyBox()))
        .hasMessage("no kernel (boot/vmlinuz-*) in the packages");
    assertThatThrownBy(() -> build(new byte[100]))
        .isInstanceOf(ImageException.class)
        .hasMessageStartingWith("0.deb: not an ar archive");
    byte[] noKernel = SamplePackages.deb(Map.of("boot/vmlinuz-1", new byte[5]), "", "Package: k\n");
    assertThatThrownBy(() -> build(noKernel)).hasMessageContaining("is no Linux kernel for x86");
    byte[] other = SamplePackages.deb(Map.of("boot/vmlinuz-2", new byte[5]), "", "Package: k\n");
    assertThatThrownBy(() -> build(kernel, other)).hasMessageContaining("of two kernels");
  }

  @Test
  void aBusyBoxWithAnUnknownTableMakesItsLinksInTheGuest() throws IOException {
    byte[] busyBox = SamplePackages.deb(Map.of("bin/busybox", new byte[64]), "gz", "Package: b\n");

    build(SamplePackages.kernel("v"), busyBox);

    assertThat(contents()).containsKeys("bin/sh", "bin/mount").doesNotContainKey("bin/ls");
  }

  @ParameterizedTest
  @ValueSource(strings = {"init", "console", "network", "profile"})
  void theScriptsAreGoodShell(String name) throws Exception {
    Path script = directory.resolve(name);
    try (InputStream in = RamDisk.class.getResourceAsStream(name)) {
      Files.write(script, in.readAllBytes());
    }

    assertThat(HostPrograms.run(directory, Optional.empty(), "sh", "-n", script)).isEmpty();
  }
}
