package dev.partita.benchmarks;

import dev.partita.disk.CreateOptions;
import dev.partita.disk.DiskConversion;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import dev.partita.disk.Disks;
import dev.partita.image.DebianDiskRequest;
import dev.partita.image.Images;
import dev.partita.image.boot.KernelFinder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// A folder with what a guest with disks boots from, the same for Partita and for QEMU: a Debian's
/// disk as VHDX and as a raw file, and the kernel found on it. Deleted on closing.
///
/// @param folder for more files of the benchmark's own
/// @param commandLine of the kernel, as the disk's boot loader has it
record BenchmarkDisk(Path folder, Path vhdx, Path raw, Path kernel, Path initrd, String commandLine)
    implements AutoCloseable {
  private static final int SECTOR = 512;

  private static final long SIZE = 4L << 30;

  /// Folders' names, with the process after it.
  private static final String RUN = "run-";

  /// Makes a Debian with further packages, or takes the one made before.
  ///
  /// @param name of the disk in the cache
  static BenchmarkDisk prepare(String name, List<String> packages) throws IOException {
    var kept = Files.createDirectories(Images.defaultCache().resolve("bench"));
    var image = kept.resolve(name + ".vhdx");
    if (!Files.exists(image)) {
      System.err.println("Making a Debian disk" + (packages.isEmpty() ? "" : " with " + packages));
      Images.buildDebian(
          Images.defaultCache(),
          new DebianDiskRequest("12", packages, SIZE, "partita", null, List.of(), "debian", null),
          image,
          false,
          (stage, done, _) -> {
            if (done == 0) {
              System.err.println(stage);
            }
          });
    }
    return of(kept, image);
  }

  private static BenchmarkDisk of(Path kept, Path image) throws IOException {
    deleteOrphans(kept);
    var folder = Files.createDirectories(kept.resolve(RUN + ProcessHandle.current().pid()));
    try (var disk = Disks.open(image, false)) {
      var found = KernelFinder.find(disk);
      var kernel = folder.resolve("vmlinuz");
      var initrd = folder.resolve("initrd.img");
      found.copyKernel(kernel);
      found.copyInitrd(initrd);
      return new BenchmarkDisk(
          folder, image, folder.resolve("root.raw"), kernel, initrd, found.commandLine());
    }
  }

  /// A raw disk that a shell can read as its script: lines, filled up with empty ones.
  Path script(String text) throws IOException {
    int size = (text.length() + SECTOR) / SECTOR * SECTOR;
    var file = folder.resolve("script-%d.raw".formatted(text.hashCode() & 0xffff_ffffL));
    Files.writeString(file, text + "\n".repeat(size - text.length()), StandardCharsets.US_ASCII);
    return file;
  }

  /// A file for what a program that uses the disk says on standard error.
  Path errors() {
    return folder.resolve("errors.txt");
  }

  /// A disk of nothing.
  Path empty(String name, DiskFormat format, DiskType type, long size) throws IOException {
    var file = folder.resolve(name);
    Files.deleteIfExists(file);
    Disks.create(file, CreateOptions.of(format, type, size));
    return file;
  }

  /// A disk that begins as another, and takes what is written.
  Path child(String name, Path parent) throws IOException {
    var file = folder.resolve(name);
    Files.deleteIfExists(file);
    Disks.create(file, CreateOptions.differencing(DiskFormat.VHDX, parent));
    return file;
  }

  /// The contents of a disk as a raw file, for QEMU.
  Path raw(Path disk) throws IOException {
    Files.deleteIfExists(raw);
    DiskConversion.convert(
        disk,
        Disks.formatOf(disk),
        raw,
        CreateOptions.of(DiskFormat.RAW, DiskType.FIXED, 0),
        (_, _) -> {});
    return raw;
  }

  /// Deletes what benchmarks left that were killed.
  private static void deleteOrphans(Path kept) throws IOException {
    try (Stream<Path> folders = Files.list(kept)) {
      for (var folder : folders.toList()) {
        var name = folder.getFileName().toString();
        if (name.matches(RUN + "[0-9]{1,10}")
            && ProcessHandle.of(Long.parseLong(name.substring(RUN.length()))).isEmpty()) {
          delete(folder);
        }
      }
    }
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (var file : files.toList()) {
        Files.deleteIfExists(file);
      }
    }
    Files.deleteIfExists(folder);
  }

  @Override
  public void close() throws IOException {
    delete(folder);
  }
}
