package dev.partita.disk;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// Opens a disk file with its parents.
final class DiskChain {
  /// A chain of parents that is longer is taken for one that goes round.
  static final int LONGEST = 64;

  private DiskChain() {}

  /// Opens the parent that a locator names, for reading; null to do without, when only the child's
  /// own content matters.
  @FunctionalInterface
  interface Parents {
    @Nullable OpenDisk open(DiskFormat format, ParentLocator locator) throws IOException;

    /// Does without.
    Parents NONE = (_, _) -> null;
  }

  /// Opens a file of the host with its parents. The file is closed when this throws.
  static OpenDisk open(Path path, DiskFormat format, boolean writable) throws IOException {
    return open(HostFile.open(path, writable), format, parentsOf(path, 0));
  }

  /// Opens a file without its parents: its own content and structures.
  static OpenDisk openAlone(Path path, DiskFormat format, boolean writable) throws IOException {
    return open(HostFile.open(path, writable), format, Parents.NONE);
  }

  /// Opens a disk on a file, which is closed when this throws.
  static OpenDisk open(DiskFile file, DiskFormat format, Parents parents) throws IOException {
    try {
      return switch (format) {
        case RAW -> new OpenDisk(FlatImage.raw(file), file, null, null);
        case VHD -> openVhd(file, parents);
        case VHDX -> openVhdx(file, parents);
      };
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  private static OpenDisk openVhd(DiskFile file, Parents parents) throws IOException {
    var structures = VhdStructures.read(file, Complaints.REFUSE);
    var footer = structures.footer();
    var header = structures.header();
    if (header == null) {
      return new OpenDisk(
          new FlatImage(DiskFormat.VHD, file, footer.size()), file, null, footer.id());
    }
    var parent =
        footer.type() == DiskType.DIFFERENCING
            ? parents.open(DiskFormat.VHD, header.locator(file))
            : null;
    return assemble(parent, file, footer.id(), above -> new VhdImage(structures, above));
  }

  private static OpenDisk openVhdx(DiskFile file, Parents parents) throws IOException {
    var structures = VhdxStructures.read(file, Complaints.REFUSE);
    var locator = structures.metadata().parent();
    var parent = locator == null ? null : parents.open(DiskFormat.VHDX, locator);
    if (parent != null && parent.logicalSectorSize() != structures.metadata().logicalSectorSize()) {
      parent.close();
      throw new DiskException(
          "%s: has sectors of %d bytes, its parent %s of %d"
              .formatted(
                  file.name(),
                  structures.metadata().logicalSectorSize(),
                  parent.name(),
                  parent.logicalSectorSize()));
    }
    return assemble(
        parent,
        file,
        structures.headers().current().dataWrite(),
        above -> new VhdxImage(structures, above));
  }

  @FunctionalInterface
  private interface Assembly {
    DiskImage over(@Nullable DiskImage parent) throws IOException;
  }

  private static OpenDisk assemble(
      @Nullable OpenDisk parent, DiskFile file, UUID identity, Assembly assembly)
      throws IOException {
    try {
      return new OpenDisk(
          assembly.over(parent == null ? null : parent.image()), file, parent, identity);
    } catch (IOException | RuntimeException e) {
      if (parent != null) {
        parent.close();
      }
      throw e;
    }
  }

  /// Parents of a child of the host, looked for first by the relative path, then by the absolute.
  static Parents parentsOf(Path child, int depth) {
    return (format, locator) -> openParent(child, format, locator, depth);
  }

  private static OpenDisk openParent(
      Path child, DiskFormat format, ParentLocator locator, int depth) throws IOException {
    if (depth >= LONGEST) {
      throw new DiskException(
          "%s: a chain of more than %d parents, or one that goes round".formatted(child, LONGEST));
    }
    var candidates = candidates(child, locator);
    var refusals = new ArrayList<String>();
    for (var candidate : candidates) {
      if (Files.isRegularFile(candidate)) {
        var parent = open(HostFile.open(candidate, false), format, parentsOf(candidate, depth + 1));
        var identity = Objects.requireNonNull(parent.identity());
        if (locator.accepts(identity)) {
          return parent;
        }
        parent.close();
        refusals.add(
            "%s is not the parent as it was (it is %s, the child wants %s)"
                .formatted(candidate, identity, locator.identity()));
      }
    }
    throw new DiskException(
        refusals.isEmpty()
            ? "%s: its parent is not there; looked for %s".formatted(child, candidates)
            : "%s: %s".formatted(child, String.join("; ", refusals)));
  }

  /// Where a locator's parent may be.
  static List<Path> candidates(Path child, ParentLocator locator) {
    var found = new LinkedHashSet<Path>();
    var folder = child.toAbsolutePath().getParent();
    try {
      if (locator.relativePath() != null && folder != null) {
        found.add(folder.resolve(locator.relativePath()).normalize());
      }
      if (locator.absolutePath() != null) {
        var absolute = Path.of(locator.absolutePath());
        if (absolute.isAbsolute()) {
          found.add(absolute.normalize());
        }
      }
    } catch (InvalidPathException e) {
      // A hostile or foreign path: it names nothing here.
    }
    return List.copyOf(found);
  }

  /// The paths by which a child names its parent.
  static ParentLocator locate(Path child, Path parent, UUID identity) throws IOException {
    var absolute = parent.toRealPath();
    var folder = child.toAbsolutePath().getParent();
    String relative = null;
    if (folder != null) {
      relative = folder.toRealPath().relativize(absolute).toString();
      if (!relative.startsWith("..")) {
        relative = "./" + relative;
      }
    }
    return new ParentLocator(identity, null, relative, absolute.toString());
  }
}
