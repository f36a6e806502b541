package dev.partita.image.boot;

import dev.partita.image.ImageException;
import dev.partita.image.filesystem.FileSystem;
import dev.partita.image.filesystem.Node;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// The kernel that a disk would boot, found in its own file system. Of use while the disk is open.
public final class InstalledKernel {
  private static final long LARGEST_KERNEL = 512L << 20;
  private static final long LARGEST_INITRD = 2L << 30;

  private final FileSystem fileSystem;
  private final Node kernel;
  private final List<Node> initrds;
  private final String commandLine;
  private final String where;
  private final String why;
  private final List<String> remarks;

  InstalledKernel(
      FileSystem fileSystem,
      Node kernel,
      List<Node> initrds,
      String commandLine,
      String where,
      String why,
      List<String> remarks) {
    this.fileSystem = fileSystem;
    this.kernel = kernel;
    this.initrds = List.copyOf(initrds);
    this.commandLine = commandLine;
    this.where = where;
    this.why = why;
    this.remarks = List.copyOf(remarks);
  }

  /// What the kernel is told: the disk's own words, with the root and the console in any case.
  public String commandLine() {
    return commandLine;
  }

  /// Path and partition, for a person.
  public String where() {
    return where;
  }

  /// How it was chosen, for a person.
  public String why() {
    return why;
  }

  /// What else a person should know, such as a partition that could not be read.
  public List<String> remarks() {
    return remarks;
  }

  /// Whether there is a RAM disk.
  public boolean hasInitrd() {
    return !initrds.isEmpty();
  }

  /// Copies the kernel into a file.
  public void copyKernel(Path to) throws IOException {
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(to))) {
      copyKernelTo(out);
    }
  }

  void copyKernelTo(OutputStream out) throws IOException {
    fileSystem.copy(kernel, out, LARGEST_KERNEL);
  }

  /// Copies the RAM disk into a file; several ones follow each other, each from a multiple of four
  /// bytes on, as the kernel looks for them (Linux: Documentation/driver-api/early-userspace).
  public void copyInitrd(Path to) throws IOException {
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(to))) {
      copyInitrdTo(out);
    }
  }

  void copyInitrdTo(OutputStream out) throws IOException {
    long total = 0;
    for (Node initrd : initrds) {
      total += initrd.size();
      if (total > LARGEST_INITRD) {
        throw new ImageException("RAM disks of more than 2 GiB");
      }
      fileSystem.copy(initrd, out, LARGEST_INITRD);
      out.write(new byte[(int) (-initrd.size() & 3)]);
    }
  }
}
