package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The files of this module and those of qemu-img, each read by the other.
class QemuInteroperationTest {
  private static final long SIZE = 96 << 20;

  @TempDir Path folder;

  @BeforeEach
  void needQemu() {
    QemuImg.require();
  }

  @ParameterizedTest
  @CsvSource({
    "VHDX,DYNAMIC,0",
    "VHDX,DYNAMIC,1048576",
    "VHDX,FIXED,0",
    "VHD,DYNAMIC,0",
    "VHD,FIXED,0",
    "VHD,DYNAMIC,524288"
  })
  void qemuReadsWhatWasWrittenHere(DiskFormat format, DiskType type, int block) throws Exception {
    var raw = folder.resolve("model.raw");
    var path = folder.resolve("disk." + format.label());
    Disks.create(raw, CreateOptions.of(DiskFormat.RAW, DiskType.FIXED, SIZE));
    Disks.create(path, CreateOptions.of(format, type, SIZE).withBlockSize(block));
    try (var disk = Disks.open(path, true);
        var model = Disks.open(raw, true)) {
      var random = new Random(1);
      for (int i = 0; i < 60; i++) {
        var bytes = new byte[512 * (1 + random.nextInt(300))];
        random.nextBytes(bytes);
        long offset = (random.nextLong(SIZE - bytes.length) & -512);
        disk.write(offset, MemorySegment.ofArray(bytes));
        model.write(offset, MemorySegment.ofArray(bytes));
        if (i % 10 == 3) {
          long from = random.nextLong(SIZE / 2) & -(1 << 20);
          disk.writeZeroes(from, 3 << 20);
          model.writeZeroes(from, 3 << 20);
        }
        if (i % 20 == 7) {
          disk.flush();
        }
      }
    }
    assertThat(QemuImg.run("compare", "-f", QemuImg.format(format), "-F", "raw", path, raw))
        .contains("Images are identical");
    if (format == DiskFormat.VHDX) {
      QemuImg.run("check", "-f", "vhdx", path);
    }
    assertThat(DiskCheck.check(path, null, false).sound()).isTrue();
  }

  @ParameterizedTest
  @CsvSource({"VHDX,dynamic", "VHDX,fixed", "VHD,dynamic", "VHD,fixed"})
  void whatQemuWroteIsReadAndWrittenHere(DiskFormat format, String subformat) throws Exception {
    var source = folder.resolve("source.raw");
    var path = folder.resolve("disk." + format.label());
    Disks.create(source, CreateOptions.of(DiskFormat.RAW, DiskType.FIXED, SIZE));
    try (var disk = Disks.open(source, true)) {
      var random = new Random(2);
      for (int i = 0; i < 40; i++) {
        var bytes = new byte[512 * (1 + random.nextInt(500))];
        random.nextBytes(bytes);
        disk.write(random.nextLong(SIZE - bytes.length) & -512, MemorySegment.ofArray(bytes));
      }
    }
    QemuImg.run(
        "convert",
        "-f",
        "raw",
        "-O",
        QemuImg.format(format),
        "-o",
        "subformat=" + subformat + (format == DiskFormat.VHD ? ",force_size=on" : ""),
        source,
        path);
    assertThat(DiskCheck.check(path, null, false)).matches(CheckReport::sound);
    try (var disk = Disks.open(path, true);
        var model = Disks.open(source, true)) {
      assertThat(disk.size()).isEqualTo(SIZE);
      Contents.assertSame(disk, model);
      var bytes = new byte[1 << 20];
      new Random(3).nextBytes(bytes);
      for (long offset = 0; offset < SIZE; offset += 10 << 20) {
        disk.write(offset + 512, MemorySegment.ofArray(bytes));
        model.write(offset + 512, MemorySegment.ofArray(bytes));
      }
    }
    assertThat(QemuImg.run("compare", "-f", QemuImg.format(format), "-F", "raw", path, source))
        .contains("Images are identical");
  }

  @ParameterizedTest
  @CsvSource({"VHDX,DYNAMIC", "VHDX,FIXED", "VHD,DYNAMIC", "VHD,FIXED", "RAW,FIXED"})
  void conversionsAgree(DiskFormat format, DiskType type) throws Exception {
    var source = folder.resolve("source.raw");
    Disks.create(source, CreateOptions.of(DiskFormat.RAW, DiskType.FIXED, SIZE));
    try (var disk = Disks.open(source, true)) {
      var bytes = new byte[3 << 20];
      new Random(4).nextBytes(bytes);
      disk.write(5 << 20, MemorySegment.ofArray(bytes));
      disk.write(SIZE - bytes.length, MemorySegment.ofArray(bytes));
    }
    var path = folder.resolve("target." + format.label());
    DiskConversion.convert(source, null, path, CreateOptions.of(format, type, 0), Progress.SILENT);
    assertThat(QemuImg.run("compare", "-f", QemuImg.format(format), "-F", "raw", path, source))
        .contains("Images are identical");
    if (type == DiskType.DYNAMIC) {
      assertThat(java.nio.file.Files.size(path)).isLessThan(SIZE);
    }
  }

  @Test
  void qemuReplaysTheLogOfADiskThatWasNotClosed() throws Exception {
    var raw = folder.resolve("model.raw");
    var path = folder.resolve("disk.vhdx");
    Disks.create(raw, CreateOptions.of(DiskFormat.RAW, DiskType.FIXED, SIZE));
    Disks.create(
        path, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE).withBlockSize(1 << 20));
    var random = new Random(6);
    var disk = DiskChain.open(path, DiskFormat.VHDX, true);
    try (var model = Disks.open(raw, true)) {
      for (int i = 0; i < 90; i++) {
        var bytes = new byte[4096];
        random.nextBytes(bytes);
        long offset = random.nextLong(SIZE - 4096) & -4096;
        disk.write(offset, MemorySegment.ofArray(bytes));
        model.write(offset, MemorySegment.ofArray(bytes));
        disk.flush();
      }
    }
    disk.abandon();
    assertThat(Disks.info(path, null).unreplayed()).isPositive();
    QemuImg.run("check", "-f", "vhdx", "-r", "all", path);
    assertThat(Disks.info(path, null).unreplayed()).isZero();
    assertThat(QemuImg.run("compare", "-f", "vhdx", "-F", "raw", path, raw))
        .contains("Images are identical");
  }
}
