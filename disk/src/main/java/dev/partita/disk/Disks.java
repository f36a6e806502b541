package dev.partita.disk;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// Opens and makes disk files.
public final class Disks {
  private static final int USUAL_BLOCK = 32 << 20;
  private static final int USUAL_DIFFERENCING_BLOCK = 2 << 20;

  private Disks() {}

  /// The format of a file by its name: `.vhdx` and `.avhdx`, `.vhd` and `.avhd`; `.raw`, `.img`,
  /// `.iso` and `.bin` raw. Never by its content: a guest writes a raw disk's content, and could
  /// make it a VHDX file that names any file of the host as its parent.
  ///
  /// @throws DiskException for another name
  public static DiskFormat formatOf(Path path) throws DiskException {
    var name = String.valueOf(path.getFileName()).toLowerCase(Locale.ROOT);
    return switch (name.substring(name.lastIndexOf('.') + 1)) {
      case "vhdx", "avhdx" -> DiskFormat.VHDX;
      case "vhd", "avhd" -> DiskFormat.VHD;
      case "raw", "img", "iso", "bin" -> DiskFormat.RAW;
      default ->
          throw new DiskException(
              path
                  + ": its name does not tell its format; give it with --format: raw, vhd or vhdx");
    };
  }

  /// Opens a disk whose format its name tells.
  ///
  /// @param writable for writing, as the only holder of the file; else for reading beside others.
  ///     Parents are opened for reading in either case.
  /// @throws DiskException when it is damaged, held by another, or lacks its parent
  public static VirtualDisk open(Path path, boolean writable) throws IOException {
    return open(path, formatOf(path), writable);
  }

  /// Opens a disk of a format.
  public static VirtualDisk open(Path path, DiskFormat format, boolean writable)
      throws IOException {
    return DiskChain.open(path, format, writable);
  }

  /// Makes a disk, which must not be there yet. It is on the medium when this returns; when it
  /// throws, nothing is left.
  public static void create(Path path, CreateOptions options) throws IOException {
    var file = HostFile.create(path);
    boolean done = false;
    try (file) {
      switch (options.format()) {
        case RAW -> createRaw(file, options);
        case VHD -> createVhd(path, file, options);
        case VHDX -> createVhdx(path, file, options);
      }
      done = true;
    } finally {
      if (!done) {
        Files.deleteIfExists(path);
      }
    }
  }

  private static void createRaw(DiskFile file, CreateOptions options) throws IOException {
    if (options.type() != DiskType.FIXED) {
      throw new DiskException(
          "%s: a raw disk cannot be %s".formatted(file.name(), options.type().label()));
    }
    checkSize(file, options.size(), 512, VhdxLayout.LARGEST_DISK, "64 TiB");
    file.resize(options.size());
    if (options.reserve()) {
      file.reserve(0, options.size());
    }
    file.force();
  }

  private static void createVhd(Path path, DiskFile file, CreateOptions options)
      throws IOException {
    if (options.logicalSectorSize() == 4096 || options.physicalSectorSize() == 4096) {
      throw new DiskException(file.name() + ": VHD has sectors of 512 bytes only");
    }
    var now = options.time().instant();
    if (options.type() == DiskType.DIFFERENCING) {
      var parentPath = requireParent(file, options);
      try (var parent = DiskChain.open(parentPath, DiskFormat.VHD, false)) {
        long size = options.size() == 0 ? parent.size() : options.size();
        if (size != parent.size()) {
          throw new DiskException(file.name() + ": a differencing VHD has its parent's size");
        }
        var identity = Objects.requireNonNull(parent.identity());
        VhdStructures.createSparse(
            file,
            size,
            block(file, options, 0, 512 << 10),
            new VhdStructures.Parent(
                identity,
                VhdFooter.timestamp(Files.getLastModifiedTime(parentPath).toInstant()),
                DiskChain.locate(path, parentPath, identity)),
            now);
      }
      return;
    }
    forbidParent(file, options);
    checkSize(file, options.size(), 512, VhdFooter.LARGEST_DISK, "2040 GiB");
    if (options.type() == DiskType.FIXED) {
      VhdStructures.createFixed(file, options.size(), options.reserve(), now);
    } else {
      VhdStructures.createSparse(
          file, options.size(), block(file, options, 0, 512 << 10), null, now);
    }
  }

  private static void createVhdx(Path path, DiskFile file, CreateOptions options)
      throws IOException {
    int logical = sector(file, options.logicalSectorSize(), 512);
    int physical = sector(file, options.physicalSectorSize(), 4096);
    ParentLocator locator = null;
    long size = options.size();
    var id = UUID.randomUUID();
    boolean differencing = options.type() == DiskType.DIFFERENCING;
    if (differencing) {
      var parentPath = requireParent(file, options);
      try (var parent = DiskChain.open(parentPath, DiskFormat.VHDX, false)) {
        if (options.logicalSectorSize() != 0 && logical != parent.logicalSectorSize()) {
          throw new DiskException(
              "%s: sectors of %d bytes, but the parent has %d"
                  .formatted(file.name(), logical, parent.logicalSectorSize()));
        }
        logical = parent.logicalSectorSize();
        size = size == 0 ? parent.size() : size;
        if (size < parent.size()) {
          throw new DiskException(file.name() + ": smaller than its parent");
        }
        locator = DiskChain.locate(path, parentPath, Objects.requireNonNull(parent.identity()));
        id = ((VhdxImage) parent.image()).structures().metadata().id();
      }
    } else {
      forbidParent(file, options);
    }
    checkSize(file, size, logical, VhdxLayout.LARGEST_DISK, "64 TiB");
    int block =
        block(file, options, differencing ? USUAL_DIFFERENCING_BLOCK : USUAL_BLOCK, 1 << 20);
    VhdxStructures.create(
        file,
        new VhdxMetadata(
            block,
            options.type() == DiskType.FIXED,
            differencing,
            size,
            id,
            logical,
            physical,
            locator,
            java.util.Map.of()),
        options.reserve());
  }

  private static Path requireParent(DiskFile file, CreateOptions options) throws DiskException {
    if (options.parent() == null) {
      throw new DiskException(file.name() + ": a differencing disk needs a parent");
    }
    return options.parent();
  }

  private static void forbidParent(DiskFile file, CreateOptions options) throws DiskException {
    if (options.parent() != null) {
      throw new DiskException(
          "%s: a %s disk has no parent".formatted(file.name(), options.type().label()));
    }
  }

  static void checkSize(DiskFile file, long size, int sector, long most, String mostText)
      throws DiskException {
    if (size <= 0 || size > most || size % sector != 0) {
      throw new DiskException(
          "%s: a size of %d bytes is not of whole sectors of %d bytes, up to %s"
              .formatted(file.name(), size, sector, mostText));
    }
  }

  private static int sector(DiskFile file, int asked, int usual) throws DiskException {
    int size = asked == 0 ? usual : asked;
    if (size != 512 && size != 4096) {
      throw new DiskException(
          "%s: a sector size of %d is neither 512 nor 4096".formatted(file.name(), size));
    }
    return size;
  }

  private static int block(DiskFile file, CreateOptions options, int usual, int least)
      throws DiskException {
    int size = options.blockSize() == 0 ? usual : options.blockSize();
    if (size != 0 && (size < least || size > 256 << 20 || Integer.bitCount(size) != 1)) {
      throw new DiskException(
          "%s: a block size of %d is not a power of two from %d KiB to 256 MiB"
              .formatted(file.name(), size, least >> 10));
    }
    return size;
  }

  /// Tells what a disk file is, without opening its parents.
  ///
  /// @param format null when the name tells it
  public static DiskInfo info(Path path, @Nullable DiskFormat format) throws IOException {
    try (var disk = DiskChain.openAlone(path, format == null ? formatOf(path) : format, false)) {
      return DiskInfo.of(path, disk);
    }
  }
}
