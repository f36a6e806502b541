package dev.partita.cli;

import dev.partita.disk.Disks;
import dev.partita.disk.VirtualDisk;
import dev.partita.hypervisor.PartitionException;
import dev.partita.image.Images;
import dev.partita.image.boot.InstalledKernel;
import dev.partita.image.boot.KernelFinder;
import dev.partita.worker.DriveSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The kernel and the RAM disk that were found on a disk, as files for the worker. They are in a
/// folder of the cache named for this process, which is deleted at the end; the next run deletes
/// what a process left that was killed.
final class DiskBoot implements AutoCloseable {
  private final Path file;
  private final Path folder;
  private final Path kernel;
  private final Path initrd;
  private String commandLine = "";
  private boolean hasInitrd;

  private DiskBoot(Path file, Path folder) {
    this.file = file;
    this.folder = folder;
    kernel = folder.resolve("vmlinuz");
    initrd = folder.resolve("initrd.img");
  }

  /// Looks into a disk.
  ///
  /// @throws IOException when it has no kernel, or cannot be read
  static DiskBoot from(DriveSettings drive) throws IOException {
    var file = Objects.requireNonNull(drive.file());
    var format = drive.format();
    try (var disk = Disks.open(file, format == null ? Disks.formatOf(file) : format, false)) {
      var boots = Files.createDirectories(Images.defaultCache().resolve("boot"));
      deleteOrphans(boots);
      var boot =
          new DiskBoot(
              file,
              Files.createDirectories(boots.resolve(Long.toString(ProcessHandle.current().pid()))));
      try {
        boot.take(disk);
      } catch (IOException | RuntimeException e) {
        boot.close();
        throw e;
      }
      return boot;
    }
  }

  private void take(VirtualDisk disk) throws IOException {
    var found = KernelFinder.find(disk);
    found.copyKernel(kernel);
    hasInitrd = found.hasInitrd();
    if (hasInitrd) {
      found.copyInitrd(initrd);
    }
    commandLine = found.commandLine();
    say(disk, found);
  }

  private static void say(VirtualDisk disk, InstalledKernel found) {
    OperatorLog.say(
        "kernel from %s: %s; %s"
            .formatted(Path.of(disk.name()).getFileName(), found.where(), found.why()));
    found.remarks().forEach(remark -> OperatorLog.say("disk: " + remark));
  }

  /// Looks again, after a guest's reset: it may have got a new kernel. What was found before stays
  /// when there is none now.
  void again(VirtualDisk disk) {
    var before = commandLine;
    try {
      take(disk);
    } catch (IOException | PartitionException e) {
      OperatorLog.say(
          "the guest starts again with the kernel that it had: %s".formatted(e.getMessage()));
    }
    commandLine = before; // the worker has it
  }

  /// The disk's file.
  Path disk() {
    return file;
  }

  Path kernel() {
    return kernel;
  }

  @Nullable Path initrd() {
    return hasInitrd ? initrd : null;
  }

  String commandLine() {
    return commandLine;
  }

  private static void deleteOrphans(Path boots) throws IOException {
    try (Stream<Path> folders = Files.list(boots)) {
      for (var each : folders.toList()) {
        var name = each.getFileName().toString();
        if (name.matches("[0-9]{1,10}") && ProcessHandle.of(Long.parseLong(name)).isEmpty()) {
          new DiskBoot(each, each).close();
        }
      }
    }
  }

  @Override
  public void close() throws IOException {
    Files.deleteIfExists(kernel);
    Files.deleteIfExists(initrd);
    Files.deleteIfExists(folder);
  }
}
