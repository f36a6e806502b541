package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// One writer to a file, many readers, and many threads to a disk.
class DiskSharingTest {
  private static final int SIZE = 64 << 20;

  @TempDir Path folder;

  @Test
  void aSecondWriterIsRefusedAndReadersShare() throws Exception {
    var path = folder.resolve("disk.vhdx");
    Disks.create(path, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE));
    try (var first = Disks.open(path, true)) {
      assertThatThrownBy(() -> Disks.open(path, true))
          .isInstanceOf(DiskException.class)
          .hasMessageContaining("has it open for writing already");
      assertThatThrownBy(() -> Disks.open(path, false)).isInstanceOf(DiskException.class);
      first.write(0, MemorySegment.ofArray(new byte[512]));
    }
    try (var one = Disks.open(path, false);
        var two = Disks.open(path, false)) {
      assertThat(one.size()).isEqualTo(two.size());
      assertThatThrownBy(() -> Disks.open(path, true)).isInstanceOf(DiskException.class);
    }
    Disks.open(path, true).close();
  }

  @Test
  void aParentInUseIsNotWrittenTo() throws Exception {
    var base = folder.resolve("base.vhdx");
    var child = folder.resolve("child.vhdx");
    Disks.create(base, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE));
    Disks.create(child, CreateOptions.differencing(DiskFormat.VHDX, base));
    try (var disk = Disks.open(child, true)) {
      assertThat(disk.type()).isEqualTo(DiskType.DIFFERENCING);
      assertThatThrownBy(() -> Disks.open(base, true)).hasMessageContaining("as a parent");
    }
    Disks.open(base, true).close();
  }

  /// Holds a disk until its standard input ends.
  static final class Holder {
    private Holder() {}

    public static void main(String[] arguments) throws IOException {
      try (var disk = Disks.open(Path.of(arguments[0]), true)) {
        System.out.println("holding " + disk.size());
        System.in.read();
      }
    }
  }

  @Test
  void aDiskHeldByAnotherProcessIsRefusedWithItsNumber() throws Exception {
    var path = folder.resolve("disk.vhdx");
    Disks.create(path, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE));
    var holder =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-cp",
                System.getProperty("java.class.path"),
                "--enable-native-access=ALL-UNNAMED",
                Holder.class.getName(),
                path.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (var output = holder.inputReader()) {
      assertThat(output.readLine()).startsWith("holding");
      for (boolean writable : new boolean[] {true, false}) {
        assertThatThrownBy(() -> Disks.open(path, writable))
            .isInstanceOf(DiskException.class)
            .hasMessageContaining("process " + holder.pid() + " (java)");
      }
      holder.outputWriter().close();
      assertThat(holder.waitFor()).isZero();
    } finally {
      holder.destroyForcibly();
    }
    Disks.open(path, true).close();
  }

  @ParameterizedTest
  @CsvSource({"VHDX,DYNAMIC", "VHDX,DIFFERENCING", "VHD,DYNAMIC", "VHD,DIFFERENCING"})
  void threadsDoNotDisturbEachOther(DiskFormat format, DiskType type) throws Exception {
    var path = folder.resolve("disk." + format.label());
    if (type == DiskType.DIFFERENCING) {
      var base = folder.resolve("base." + format.label());
      Disks.create(base, CreateOptions.of(format, DiskType.DYNAMIC, SIZE));
      Disks.create(path, CreateOptions.differencing(format, base).withBlockSize(1 << 20));
    } else {
      Disks.create(path, CreateOptions.of(format, type, SIZE).withBlockSize(1 << 20));
    }
    int threads = 8;
    var finals = new long[threads][];
    try (var disk = Disks.open(path, true);
        var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      var jobs = new ArrayList<Future<?>>();
      for (int t = 0; t < threads; t++) {
        int number = t;
        jobs.add(executor.submit(job(disk, number, threads, finals)));
      }
      for (var job : jobs) {
        job.get();
      }
      verify(disk, finals, threads);
    }
    assertThat(DiskCheck.check(path, null, false).errors()).isEmpty();
    try (var disk = Disks.open(path, false)) {
      verify(disk, finals, threads);
    }
  }

  /// Each thread has its own pages, which lie between those of the others, in the same blocks.
  private static Callable<Void> job(VirtualDisk disk, int number, int threads, long[][] finals) {
    return () -> {
      var random = new Random(number);
      int pages = SIZE / 4096 / threads;
      var model = new long[pages];
      finals[number] = model;
      for (int i = 0; i < 1500; i++) {
        int page = random.nextInt(pages);
        long offset = 4096L * ((long) page * threads + number);
        int dice = random.nextInt(20);
        if (dice < 10) {
          long value = random.nextLong() | 1;
          disk.write(offset, MemorySegment.ofArray(page(value)));
          model[page] = value;
        } else if (dice < 12) {
          disk.writeZeroes(offset, 4096);
          model[page] = 0;
        } else if (dice == 12 && i % 5 == 0) {
          disk.flush();
        } else {
          assertThat(Contents.read(disk, offset, 4096)).isEqualTo(page(model[page]));
        }
      }
      return null;
    };
  }

  private static byte[] page(long value) {
    var bytes = ByteBuffer.allocate(4096);
    for (int at = 0; at < 4096; at += 8) {
      bytes.putLong(at, value);
    }
    return bytes.array();
  }

  private static void verify(VirtualDisk disk, long[][] finals, int threads) throws IOException {
    for (int number = 0; number < threads; number++) {
      for (int page = 0; page < finals[number].length; page++) {
        long offset = 4096L * ((long) page * threads + number);
        assertThat(ByteBuffer.wrap(Contents.read(disk, offset, 512)).getLong())
            .isEqualTo(finals[number][page]);
      }
    }
  }

  @Test
  void blocksThatMoveWhileOthersWriteLoseNothing() throws Exception {
    // One thread trims and fills blocks, so that their room goes from one to another; the others
    // write blocks of their own, and none may see what is not its own.
    var path = folder.resolve("disk.vhdx");
    Disks.create(
        path, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, SIZE).withBlockSize(1 << 20));
    try (var disk = Disks.open(path, true);
        var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      var jobs = new ArrayList<Future<?>>();
      for (int t = 0; t < 4; t++) {
        int number = t;
        jobs.add(
            executor.submit(
                () -> {
                  var random = new Random(number);
                  for (int i = 0; i < 300; i++) {
                    long block = (random.nextInt(16) * 4L + number) << 20;
                    long value = (long) number << 56 | i + 1;
                    disk.trim(block, 1 << 20);
                    disk.write(block + 8192, MemorySegment.ofArray(page(value)));
                    if (i % 7 == 0) {
                      disk.flush();
                    }
                    assertThat(Contents.read(disk, block + 8192, 4096)).isEqualTo(page(value));
                    assertThat(Contents.read(disk, block + 16384, 4096)).containsOnly(0);
                  }
                  return null;
                }));
      }
      for (var job : jobs) {
        job.get();
      }
    }
    assertThat(DiskCheck.check(path, null, false).errors()).isEmpty();
  }
}
