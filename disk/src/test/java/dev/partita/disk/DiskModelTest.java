package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Random requests to disks of all kinds, against an array of bytes.
class DiskModelTest {
  private static final int SIZE = 24 << 20;

  @TempDir Path folder;

  /// Requests at random places and of random lengths, some over many segments.
  private static void exercise(VirtualDisk disk, byte[] model, Random random, int count)
      throws IOException {
    int sector = disk.logicalSectorSize();
    try (var arena = Arena.ofConfined()) {
      for (int i = 0; i < count; i++) {
        int length = sector * (1 + random.nextInt(random.nextInt(10) == 0 ? 6000 : 40) % 2000);
        int offset = random.nextInt(model.length - length) & -sector;
        switch (random.nextInt(10)) {
          case 0, 1, 2, 3 -> {
            var bytes = new byte[length];
            random.nextBytes(bytes);
            System.arraycopy(bytes, 0, model, offset, length);
            disk.write(offset, scattered(bytes, arena, random));
          }
          case 4 -> {
            Arrays.fill(model, offset, offset + length, (byte) 0);
            disk.writeZeroes(offset, length);
          }
          case 5 -> {
            int block = offset & -(1 << 20);
            int bytes = Math.min(2 << 20, model.length - block);
            disk.writeZeroes(block, bytes);
            Arrays.fill(model, block, block + bytes, (byte) 0);
          }
          case 6 -> {
            // What a trimmed range reads as is not said: it is written afterwards.
            disk.trim(offset, length);
            disk.write(
                offset, MemorySegment.ofArray(Arrays.copyOfRange(model, offset, offset + length)));
          }
          case 7 -> disk.flush();
          default ->
              assertThat(Contents.read(disk, offset, length))
                  .isEqualTo(Arrays.copyOfRange(model, offset, offset + length));
        }
      }
    }
    assertContent(disk, model);
  }

  private static List<MemorySegment> scattered(byte[] bytes, Arena arena, Random random) {
    var list = new ArrayList<MemorySegment>();
    for (int at = 0; at < bytes.length; ) {
      int piece = Math.min(bytes.length - at, random.nextInt(20_000));
      var heap = MemorySegment.ofArray(bytes).asSlice(at, piece);
      if (random.nextBoolean()) {
        list.add(heap);
      } else {
        list.add(arena.allocate(piece).copyFrom(heap));
      }
      at += piece;
    }
    return list;
  }

  private static void assertContent(VirtualDisk disk, byte[] model) throws IOException {
    assertThat(disk.size()).isEqualTo(model.length);
    assertThat(Contents.read(disk, 0, model.length)).isEqualTo(model);
    for (long at = 0; at < disk.size(); ) {
      var extent = disk.extent(at);
      assertThat(extent.offset()).isEqualTo(at);
      assertThat(extent.length()).isPositive();
      assertThat(extent.kind()).isNotEqualTo(Extent.Kind.PARENT);
      if (extent.kind() == Extent.Kind.ZERO) {
        assertThat(Zeroes.fill(MemorySegment.ofArray(model).asSlice(at, extent.length())))
            .as("extent at %#x", at)
            .isTrue();
      }
      at = extent.end();
    }
  }

  private static void assertSound(Path path) throws IOException {
    assertThat(DiskCheck.check(path, null, false).errors()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "RAW,FIXED,512,0",
    "VHD,FIXED,512,0",
    "VHD,DYNAMIC,512,0",
    "VHD,DYNAMIC,512,524288",
    "VHDX,FIXED,512,1048576",
    "VHDX,DYNAMIC,512,1048576",
    "VHDX,DYNAMIC,4096,2097152",
    "VHDX,DYNAMIC,512,0"
  })
  void holdsWhatIsWritten(DiskFormat format, DiskType type, int sector, int block)
      throws Exception {
    var path = folder.resolve("disk." + format.label());
    Disks.create(
        path,
        CreateOptions.of(format, type, SIZE)
            .withBlockSize(block)
            .withSectorSizes(format == DiskFormat.VHDX ? sector : 0, 0));
    var model = new byte[SIZE];
    var random = new Random(format.ordinal() * 31L + sector + block);
    for (int round = 0; round < 3; round++) {
      try (var disk = Disks.open(path, true)) {
        exercise(disk, model, random, 150);
        assertThat(disk.counters().writes()).isPositive();
        assertThat(disk.counters().errors()).isZero();
      }
      assertSound(path);
    }
    try (var disk = Disks.open(path, false)) {
      assertContent(disk, model);
      assertThatThrownBy(() -> disk.write(0, MemorySegment.ofArray(new byte[sector])))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  @ParameterizedTest
  @CsvSource({"VHDX,512", "VHDX,4096", "VHD,512"})
  void chainsOfThreeReadThroughAndMergeBack(DiskFormat format, int sector) throws Exception {
    var random = new Random(77 + sector);
    var base = folder.resolve("base." + format.label());
    Disks.create(
        base,
        CreateOptions.of(format, DiskType.DYNAMIC, SIZE)
            .withSectorSizes(format == DiskFormat.VHDX ? sector : 0, 0)
            .withBlockSize(1 << 20));
    var model = new byte[SIZE];
    try (var disk = Disks.open(base, true)) {
      exercise(disk, model, random, 100);
    }
    var chain = new ArrayList<>(List.of(base));
    var contents = new ArrayList<>(List.of(model.clone()));
    Files.createDirectories(folder.resolve("deep"));
    for (int depth = 1; depth <= 3; depth++) {
      var child =
          folder.resolve((depth == 2 ? "deep/" : "") + "child" + depth + "." + format.label());
      Disks.create(
          child,
          CreateOptions.differencing(format, chain.getLast())
              .withBlockSize(format == DiskFormat.VHD ? 512 << 10 : 1 << 20));
      chain.add(child);
      for (int round = 0; round < 2; round++) {
        try (var disk = Disks.open(child, true)) {
          exercise(disk, model, random, 60);
        }
      }
      contents.add(model.clone());
      assertSound(child);
    }
    // What is above a disk never changes it.
    for (int i = 0; i < chain.size(); i++) {
      try (var disk = Disks.open(chain.get(i), false)) {
        assertContent(disk, contents.get(i));
      }
    }
    var flat = folder.resolve("flat.raw");
    DiskConversion.convert(
        chain.getLast(),
        null,
        flat,
        CreateOptions.of(DiskFormat.RAW, DiskType.FIXED, 0),
        Progress.SILENT);
    assertThat(Files.readAllBytes(flat)).isEqualTo(model);
    for (int i = chain.size() - 1; i > 0; i--) {
      assertThat(DiskMerge.merge(chain.get(i), null, Progress.SILENT)).isEqualTo(chain.get(i - 1));
      try (var disk = Disks.open(chain.get(i), false)) {
        assertContent(disk, model);
      }
      // As if the first had been cut short.
      DiskMerge.merge(chain.get(i), null, Progress.SILENT);
      Files.delete(chain.get(i));
      try (var disk = Disks.open(chain.get(i - 1), false)) {
        assertContent(disk, model);
      }
      assertSound(chain.get(i - 1));
    }
  }

  @ParameterizedTest
  @CsvSource({"RAW,FIXED", "VHD,FIXED", "VHD,DYNAMIC", "VHDX,FIXED", "VHDX,DYNAMIC"})
  void resizedDisksKeepTheirContent(DiskFormat format, DiskType type) throws Exception {
    var path = folder.resolve("disk." + format.label());
    Disks.create(
        path,
        CreateOptions.of(format, type, SIZE).withBlockSize(type == DiskType.DYNAMIC ? 1 << 20 : 0));
    var model = new byte[SIZE];
    var random = new Random(9);
    for (int size : new int[] {SIZE + (5 << 20) + 512, SIZE / 2 + 1024, SIZE * 2}) {
      try (var disk = Disks.open(path, true)) {
        exercise(disk, model, random, 60);
      }
      if (size < model.length) {
        assertThatThrownBy(() -> DiskResize.resize(path, null, size, false))
            .isInstanceOf(DiskException.class)
            .hasMessageContaining("must be asked for");
      }
      DiskResize.resize(path, null, size, true);
      model = Arrays.copyOf(model, size);
      assertSound(path);
      try (var disk = Disks.open(path, true)) {
        assertContent(disk, model);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"VHD,500", "VHDX,500"})
  void tablesThatOutgrowTheirPlaceMove(DiskFormat format, long gibibytes) throws Exception {
    // 160 GiB in blocks of 1 MiB fill the BAT's first mebibyte, and more does not fit.
    var path = folder.resolve("disk." + format.label());
    long size = 1L << 30;
    Disks.create(path, CreateOptions.of(format, DiskType.DYNAMIC, size).withBlockSize(1 << 20));
    var bytes = new byte[4096];
    new Random(1).nextBytes(bytes);
    try (var disk = Disks.open(path, true)) {
      disk.write(size - 4096, MemorySegment.ofArray(bytes));
    }
    long grown = gibibytes << 30;
    DiskResize.resize(path, null, grown, false);
    assertSound(path);
    try (var disk = Disks.open(path, true)) {
      disk.write(grown - 4096, MemorySegment.ofArray(bytes));
      assertThat(Contents.read(disk, size - 4096, 4096)).isEqualTo(bytes);
    }
    assertSound(path);
    try (var disk = Disks.open(path, false)) {
      assertThat(disk.size()).isEqualTo(grown);
      assertThat(Contents.read(disk, grown - 4096, 4096)).isEqualTo(bytes);
      assertThat(Contents.read(disk, size, 4096)).containsOnly(0);
    }
  }

  @Test
  void roomOfTrimmedBlocksIsUsedAgain() throws Exception {
    var path = folder.resolve("disk.vhdx");
    Disks.create(
        path, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE).withBlockSize(1 << 20));
    var bytes = new byte[8 << 20];
    new Random(2).nextBytes(bytes);
    try (var disk = Disks.open(path, true)) {
      for (int round = 0; round < 6; round++) {
        disk.write((round % 2) * (8L << 20), MemorySegment.ofArray(bytes));
        disk.flush();
        disk.trim((round % 2) * (8L << 20), 8 << 20);
        disk.flush();
        assertThat(Contents.read(disk, (round % 2) * (8L << 20), 8 << 20)).containsOnly(0);
      }
      assertThat(Files.size(path)).isLessThan(14 << 20);
    }
    assertThat(Files.size(path)).isLessThan(5 << 20);
  }

  @Test
  void aParentThatWasWrittenToIsRefused() throws Exception {
    var base = folder.resolve("base.vhdx");
    var child = folder.resolve("child.vhdx");
    Disks.create(base, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE));
    Disks.create(child, CreateOptions.differencing(DiskFormat.VHDX, base));
    try (var disk = Disks.open(base, true)) {
      disk.write(0, MemorySegment.ofArray(new byte[512]));
    }
    assertThatThrownBy(() -> Disks.open(child, true))
        .isInstanceOf(DiskException.class)
        .hasMessageContaining("is not the parent as it was");
    assertThat(DiskCheck.check(child, null, false).errors()).hasSize(1);
    Files.delete(base);
    assertThatThrownBy(() -> Disks.open(child, false)).hasMessageContaining("is not there");
  }

  @Test
  void aMovedChainIsFoundByItsRelativePaths() throws Exception {
    var home = Files.createDirectories(folder.resolve("home/sub"));
    var base = folder.resolve("home/base.vhdx");
    Disks.create(base, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE));
    Disks.create(home.resolve("child.vhdx"), CreateOptions.differencing(DiskFormat.VHDX, base));
    Files.move(folder.resolve("home"), folder.resolve("moved"));
    Disks.open(folder.resolve("moved/sub/child.vhdx"), true).close();
    // And a child that moves alone by the absolute one.
    Files.move(folder.resolve("moved"), folder.resolve("home"));
    Files.move(folder.resolve("home/sub/child.vhdx"), folder.resolve("alone.vhdx"));
    Disks.open(folder.resolve("alone.vhdx"), true).close();
  }

  @Test
  void requestsOutsideOfTheDiskAreRefused() throws Exception {
    var path = folder.resolve("disk.vhdx");
    Disks.create(path, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE));
    try (var disk = Disks.open(path, true)) {
      var sector = MemorySegment.ofArray(new byte[512]);
      assertThatThrownBy(() -> disk.read(SIZE, sector))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> disk.read(-512, sector))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> disk.write(100, sector))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> disk.trim(512, Long.MAX_VALUE & -512))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
