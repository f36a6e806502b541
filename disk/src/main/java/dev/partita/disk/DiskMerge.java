package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Objects;
import java.util.TreeMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// Writes what a differencing disk holds into its parent, which then has the child's content.
///
/// A merge that is cut short can be begun again: the child names its parent by the content id that
/// the parent had and by the one that it gets ([MS-VHDX] 2.6.2.6.3, parent_linkage2), so it fits
/// the parent at every moment, and writing the same sectors once more changes nothing.
public final class DiskMerge {
  private static final long BUFFER = 4 << 20;

  private DiskMerge() {}

  /// Merges a disk into its parent. Neither may be open elsewhere. Afterwards the child still reads
  /// as before, and is no longer needed; other children of the parent no longer fit it.
  ///
  /// @param format null when the name tells it
  /// @return the parent's file
  public static Path merge(Path child, @Nullable DiskFormat format, Progress progress)
      throws IOException {
    var actual = format == null ? Disks.formatOf(child) : format;
    Path parentPath;
    UUID parentIdentity;
    long childSize;
    long parentSize;
    try (var whole = DiskChain.open(child, actual, false)) {
      var parent = whole.parent();
      if (parent == null || !(parent.file() instanceof HostFile file)) {
        throw new DiskException(child + ": has no parent to merge into");
      }
      parentPath = file.path();
      parentIdentity = Objects.requireNonNull(parent.identity());
      childSize = whole.size();
      parentSize = parent.size();
    }
    var next = UUID.randomUUID();
    if (actual == DiskFormat.VHDX) {
      announce(child, parentIdentity, next);
    }
    if (childSize > parentSize) {
      DiskResize.resize(parentPath, actual, childSize, false, next);
    }
    try (var own = DiskChain.openAlone(child, actual, false);
        var parent = DiskChain.open(parentPath, actual, true)) {
      if (parent.image() instanceof VhdxImage vhdx) {
        vhdx.tables().chooseDataWrite(next);
      }
      copy(own, parent, progress);
      parent.flush();
    }
    return parentPath;
  }

  private static void copy(OpenDisk own, OpenDisk parent, Progress progress) throws IOException {
    long total = own.size();
    try (var arena = Arena.ofConfined()) {
      var buffer = arena.allocate(BUFFER, 4096);
      for (long at = 0; at < total; ) {
        progress.update(at, total);
        var extent = own.ownExtent(at);
        long length = extent.length();
        switch (extent.kind()) {
          case PARENT -> {
            // It is there already.
          }
          case ZERO -> parent.writeZeroes(at, length);
          case DATA -> {
            length = Math.min(BUFFER, length);
            own.read(at, buffer.asSlice(0, length));
            parent.write(at, buffer.asSlice(0, length));
          }
        }
        at += length;
      }
      progress.update(total, total);
    }
  }

  /// Writes into the child's parent locator the content id that the parent will have.
  private static void announce(Path child, UUID now, UUID next) throws IOException {
    try (var disk = DiskChain.openAlone(child, DiskFormat.VHDX, true)) {
      var image = (VhdxImage) disk.image();
      var structures = image.structures();
      var old = Objects.requireNonNull(structures.metadata().parent());
      var locator =
          VhdxMetadata.encodeLocator(
              new ParentLocator(now, next, old.relativePath(), old.absolutePath()));
      var region = structures.regions().find(disk.name(), VhdxLayout.METADATA_REGION, "metadata");
      long place = placeFor(disk.name(), structures.metadata(), region, locator.length);
      var table = disk.file().bytes(region.offset(), (int) VhdxLayout.METADATA_TABLE_SIZE);
      int entry = VhdxMetadata.entryOf(table, VhdxLayout.PARENT_LOCATOR);
      if (entry < 0) {
        throw new DiskException(disk.name() + ": a differencing disk without a parent locator");
      }
      var offsetAndLength = new byte[8];
      Bytes.putInt(offsetAndLength, 0, (int) (place - region.offset()));
      Bytes.putInt(offsetAndLength, 4, locator.length);
      var pages = new TreeMap<Long, byte[]>();
      DiskResize.patch(disk.file(), pages, region.offset() + entry + 16, offsetAndLength);
      DiskResize.patch(disk.file(), pages, place, locator);
      var tables = image.tables();
      // Its content stays as it is, and its own children fit it as before.
      tables.chooseDataWrite(image.dataWrite());
      tables.beginWriting();
      tables.changeMetadata(DiskResize.pages(pages));
    }
  }

  /// Where a locator of a length can be: where it is, or after all items.
  private static long placeFor(
      String name, VhdxMetadata metadata, VhdxRegions.Region region, int length)
      throws DiskException {
    var items = metadata.items();
    var item = Objects.requireNonNull(items.get(VhdxLayout.PARENT_LOCATOR));
    long here = item.offset();
    long limit = region.end();
    long last = region.offset() + VhdxLayout.METADATA_TABLE_SIZE;
    for (var other : items.entrySet()) {
      if (!other.getKey().equals(VhdxLayout.PARENT_LOCATOR)) {
        long offset = other.getValue().offset();
        last = Math.max(last, offset + other.getValue().length());
        if (offset >= here) {
          limit = Math.min(limit, offset);
        }
      }
    }
    if (length <= limit - here) {
      return here;
    }
    if (length <= region.end() - last) {
      return last;
    }
    throw new DiskException(name + ": its metadata region has no room for a parent locator");
  }
}
