package dev.partita.image;

import dev.partita.disk.CreateOptions;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.Disks;
import dev.partita.image.debian.DebianDisk;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// A person's own disk of a system that this project makes: a differencing disk over an image that
/// is made once and only read.
///
/// In the data directory, for Debian:
///
/// | path | what |
/// |---|---|
/// | `debian/base-<key>.vhdx` | the image; the key follows from how it is made |
/// | `debian/disk.vhdx` | what the guest has written; kept from run to run |
/// | `debian/temporary-<process>.vhdx` | the same of a guest that keeps nothing |
/// | `debian/lock` | held by the process that makes any of these |
///
/// Thread-safe.
public final class SystemDisk implements AutoCloseable {
  /// What becomes of what the guest writes.
  public enum Use {
    /// It is kept, and there at the next run.
    KEPT,
    /// What earlier runs wrote is deleted first; what this one writes is kept.
    FRESH,
    /// It is deleted at the end, and earlier runs' is not touched.
    TEMPORARY
  }

  /// After this time a new disk gets a new image, with the packages of the day.
  private static final Duration LASTS = Duration.ofDays(30);

  private static final String TEMPORARY = "temporary-";

  private final Path file;
  private final boolean temporary;

  private SystemDisk(Path file, boolean temporary) {
    this.file = file;
    this.temporary = temporary;
  }

  /// The disk of the Debian guest, made if it is not there.
  ///
  /// @param data where it is kept; {@link Images#defaultData} is the usual place
  /// @param cache where packages are kept; {@link Images#defaultCache} is the usual place
  /// @throws ImageException when it cannot be had; its message is for the person who asked
  public static SystemDisk debian(Path data, Path cache, Use use, Progress progress)
      throws IOException {
    Path directory = Files.createDirectories(data.toAbsolutePath().resolve("debian"));
    try (FileChannel lock =
        FileChannel.open(
            directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      if (lock.tryLock() == null) {
        progress.update("Waiting for another process that makes the same guest", 0, 0);
        lock.lock();
      }
      deleteOrphans(directory);
      Path own = directory.resolve("disk.vhdx");
      if (use != Use.TEMPORARY && Files.exists(own)) {
        requireUnused(own);
        if (use == Use.FRESH) {
          Files.delete(own);
        }
      }
      Path disk =
          use == Use.TEMPORARY
              ? directory.resolve("%s%d.vhdx".formatted(TEMPORARY, ProcessHandle.current().pid()))
              : own;
      if (Files.notExists(disk)) {
        Path base = base(directory, cache, progress);
        Disks.create(disk, CreateOptions.differencing(DiskFormat.VHDX, base));
        if (use != Use.TEMPORARY) {
          deleteOtherBases(directory, base);
        }
      }
      return new SystemDisk(disk, use == Use.TEMPORARY);
    }
  }

  /// A guest that runs holds a lock on its disk; its process is not this one.
  private static void requireUnused(Path disk) throws IOException {
    try (FileChannel file =
        FileChannel.open(disk, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      if (file.tryLock() == null) {
        throw new ImageException(
            "a Debian guest with this disk runs already (%s): partita list names it, and partita"
                    .formatted(disk)
                + " attach takes its console; --temporary starts another one beside it");
      }
    }
  }

  private static Path base(Path directory, Path cache, Progress progress) throws IOException {
    DebianDiskRequest request =
        new DebianDiskRequest(
            "12", List.of(), 16L << 30, "partita", null, List.of(), "debian", null);
    Path base = directory.resolve("base-%s.vhdx".formatted(DebianDisk.recipe()));
    boolean there = Files.exists(base);
    if (there && Files.getLastModifiedTime(base).toInstant().isAfter(Instant.now().minus(LASTS))) {
      return base;
    }
    // Under another name, since running guests may have the old one.
    Path made = there ? directory.resolve(newName(base)) : base;
    try {
      DebianDisk.make(cache, request, made, false, progress);
      Files.setPosixFilePermissions(made, PosixFilePermissions.fromString("r--r--r--"));
      return made;
    } catch (ImageException e) {
      Optional<Path> old = there ? Optional.of(base) : newestBase(directory);
      if (old.isEmpty()) {
        throw e;
      }
      progress.update("Going on with the image at hand: " + e.getMessage(), 0, 0);
      return old.get();
    }
  }

  private static String newName(Path base) {
    return String.valueOf(base.getFileName())
        .replace(".vhdx", "-%d.vhdx".formatted(Instant.now().getEpochSecond()));
  }

  private static Optional<Path> newestBase(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .filter(SystemDisk::isBase)
          .max((a, b) -> Long.compare(a.toFile().lastModified(), b.toFile().lastModified()));
    }
  }

  private static boolean isBase(Path file) {
    return file.getFileName().toString().matches("base-.*\\.vhdx");
  }

  /// Images that the kept disk does not need. Guests that run on one have it open and go on.
  private static void deleteOtherBases(Path directory, Path base) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.filter(SystemDisk::isBase).toList()) {
        if (!file.equals(base)) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  /// What processes left that were killed.
  private static void deleteOrphans(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        if (name.matches(TEMPORARY + "[0-9]{1,10}\\.vhdx")) {
          long process = Long.parseLong(name.substring(TEMPORARY.length(), name.length() - 5));
          if (process == ProcessHandle.current().pid() || ProcessHandle.of(process).isEmpty()) {
            Files.deleteIfExists(file);
          }
        }
      }
    }
  }

  /// The disk's file.
  public Path file() {
    return file;
  }

  /// Deletes a temporary disk.
  @Override
  public void close() throws IOException {
    if (temporary) {
      Files.deleteIfExists(file);
    }
  }
}
