package dev.partita.disk;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// What a disk file is.
///
/// @param size bytes of the virtual disk
/// @param fileSize bytes of the file
/// @param allocated bytes of the disk that the file holds, whole blocks or sectors
/// @param blockSize 0 where there are none
/// @param id of the disk; null for a raw disk
/// @param contentId by which children know it: VHDX's data write GUID; null where there is none
/// @param creator the program that made it; empty when not known
/// @param parents where its parent may be; empty without one
/// @param parentId the parent's content id; null without one
/// @param unreplayed entries in its log: the disk was not closed
public record DiskInfo(
    Path path,
    DiskFormat format,
    DiskType type,
    long size,
    long fileSize,
    long allocated,
    int blockSize,
    int logicalSectorSize,
    int physicalSectorSize,
    @Nullable UUID id,
    @Nullable UUID contentId,
    String creator,
    List<Path> parents,
    @Nullable UUID parentId,
    int unreplayed) {

  /// Copies the list.
  public DiskInfo {
    parents = List.copyOf(parents);
  }

  static DiskInfo of(Path path, OpenDisk disk) throws IOException {
    int blockSize = 0;
    UUID id = null;
    UUID contentId = null;
    var creator = "";
    ParentLocator locator = null;
    int unreplayed = 0;
    switch (disk.image()) {
      case VhdxImage vhdx -> {
        var structures = vhdx.structures();
        blockSize = structures.metadata().blockSize();
        id = structures.metadata().id();
        contentId = vhdx.dataWrite();
        creator = structures.creator();
        locator = structures.metadata().parent();
        unreplayed = structures.replayed();
      }
      case VhdImage vhd -> {
        var header = vhd.structures().header();
        id = vhd.structures().footer().id();
        creator = vhd.structures().footer().creator().replaceAll("\\p{Cntrl}", "").trim();
        if (header != null) {
          blockSize = header.blockSize();
          locator = disk.type() == DiskType.DIFFERENCING ? header.locator(disk.file()) : null;
        }
      }
      case FlatImage _ -> id = disk.identity();
    }
    return new DiskInfo(
        path,
        disk.format(),
        disk.type(),
        disk.size(),
        disk.file().size(),
        allocated(disk),
        blockSize,
        disk.logicalSectorSize(),
        disk.physicalSectorSize(),
        id,
        contentId,
        creator,
        locator == null ? List.of() : DiskChain.candidates(path, locator),
        locator == null ? null : locator.identity(),
        unreplayed);
  }

  private static long allocated(OpenDisk disk) throws IOException {
    long sum = 0;
    for (long at = 0; at < disk.size(); ) {
      var extent = disk.ownExtent(at);
      sum += extent.kind() == Extent.Kind.DATA ? extent.length() : 0;
      at = extent.end();
    }
    return sum;
  }

  /// Lines for people: a name, a colon and what it is.
  public List<String> lines() {
    var lines = new ArrayList<String>();
    line(lines, "file", path);
    line(lines, "format", format.label() + ", " + type.label());
    line(lines, "size", bytes(size));
    line(lines, "in the file", bytes(allocated) + " of the disk; the file has " + bytes(fileSize));
    if (blockSize != 0) {
      line(lines, "block size", bytes(blockSize));
    }
    line(
        lines,
        "sector size",
        logicalSectorSize + " bytes, physical " + physicalSectorSize + " bytes");
    if (id != null) {
      line(lines, "id", id);
    }
    if (contentId != null) {
      line(lines, "content id", contentId);
    }
    if (!creator.isEmpty()) {
      line(lines, "made by", creator);
    }
    for (var parent : parents) {
      line(lines, "parent", parent);
    }
    if (parentId != null) {
      line(lines, "parent's id", parentId);
    }
    if (unreplayed > 0) {
      line(lines, "log", unreplayed + " entries to replay; the disk was not closed");
    }
    return lines;
  }

  private static void line(List<String> lines, String name, Object value) {
    lines.add("%-12s %s".formatted(name + ":", value));
  }

  /// A number of bytes for people, exactly and in a larger unit.
  public static String bytes(long count) {
    int unit = 0;
    double value = count;
    while (value >= 1024 && unit < 4) {
      value /= 1024;
      unit++;
    }
    return unit == 0
        ? count + " bytes"
        : String.format(
            java.util.Locale.ROOT,
            value == Math.rint(value) ? "%.0f %s (%d bytes)" : "%.1f %s (%d bytes)",
            value,
            List.of("bytes", "KiB", "MiB", "GiB", "TiB").get(unit),
            count);
  }
}
