package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.TreeMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// Makes a disk larger or smaller. What is added reads as zeroes; what is cut off is lost.
public final class DiskResize {
  private DiskResize() {}

  /// Resizes a disk that nobody else has open. Its children no longer fit it.
  ///
  /// @param format null when the name tells it
  /// @param size bytes, whole sectors
  /// @param shrink whether it may become smaller
  /// @throws DiskException when it would become smaller and may not, or its format cannot
  public static void resize(Path path, @Nullable DiskFormat format, long size, boolean shrink)
      throws IOException {
    resize(path, format == null ? Disks.formatOf(path) : format, size, shrink, null);
  }

  /// @param dataWrite what children will know a VHDX by afterwards; null for a new GUID
  static void resize(
      Path path, DiskFormat format, long size, boolean shrink, @Nullable UUID dataWrite)
      throws IOException {
    try (var disk = DiskChain.openAlone(path, format, true)) {
      resize(disk, size, shrink, dataWrite);
    }
    if (format == DiskFormat.VHDX) {
      // Opened again it knows its new blocks; those of a fixed disk get their room.
      try (var disk = DiskChain.openAlone(path, format, true)) {
        if (disk.type() == DiskType.FIXED) {
          var image = (VhdxImage) disk.image();
          image.tables().chooseDataWrite(image.dataWrite());
          image.allocateAll();
        }
      }
    }
  }

  private static void resize(OpenDisk disk, long size, boolean shrink, @Nullable UUID dataWrite)
      throws IOException {
    var file = disk.file();
    Disks.checkSize(
        file,
        size,
        disk.logicalSectorSize(),
        disk.format() == DiskFormat.VHD ? VhdFooter.LARGEST_DISK : VhdxLayout.LARGEST_DISK,
        disk.format() == DiskFormat.VHD ? "2040 GiB" : "64 TiB");
    if (size < disk.size() && !shrink) {
      throw new DiskException(
          "%s: has %d bytes now; making it smaller loses what is beyond, and must be asked for (--shrink)"
              .formatted(disk.name(), disk.size()));
    }
    if (size == disk.size()) {
      return;
    }
    if (disk.type() == DiskType.DIFFERENCING
        && (size < disk.size() || disk.format() == DiskFormat.VHD)) {
      throw new DiskException(
          disk.name()
              + (disk.format() == DiskFormat.VHD
                  ? ": a differencing VHD has its parent's size"
                  : ": a differencing disk cannot become smaller"));
    }
    switch (disk.image()) {
      case FlatImage _ when disk.format() == DiskFormat.RAW -> {
        file.resize(size);
        file.force();
      }
      case FlatImage _ -> resizeFixedVhd(disk, size);
      case VhdImage vhd -> resizeDynamicVhd(file, vhd, size);
      case VhdxImage vhdx -> resizeVhdx(file, vhdx, size, dataWrite);
    }
  }

  /// The new footer is on the medium before the old one goes.
  private static void resizeFixedVhd(OpenDisk disk, long size) throws IOException {
    var file = disk.file();
    var footer = VhdStructures.read(file, Complaints.REFUSE).footer();
    long oldEnd = file.size() - VhdFooter.LENGTH;
    file.write(size, footer.withSize(size).encode());
    file.force();
    if (size < oldEnd) {
      file.resize(size + VhdFooter.LENGTH);
    } else {
      file.zero(oldEnd, Math.min(VhdFooter.LENGTH, size - oldEnd));
    }
    file.force();
  }

  private static void resizeDynamicVhd(DiskFile file, VhdImage image, long size)
      throws IOException {
    var structures = image.structures();
    var header = Objects.requireNonNull(structures.header());
    var footer = structures.footer().withSize(size);
    int block = header.blockSize();
    int blocks = Math.toIntExact((size + block - 1) / block);
    int kept = Math.min(blocks, structures.table().length);
    if (size < structures.footer().size() && size % block != 0) {
      long tail = Math.min(block - size % block, structures.footer().size() - size);
      image.writeZeroes(size, tail);
      image.flush();
    }
    long end = file.size() - VhdFooter.LENGTH;
    var table = new byte[Math.toIntExact(VhdStructures.tableRoom(blocks))];
    java.util.Arrays.fill(table, (byte) 0xFF);
    for (int i = 0; i < kept; i++) {
      Bytes.putBigInt(table, i * 4, structures.table()[i]);
    }
    long place = header.tableOffset();
    if (blocks > header.tableEntries()) {
      // The table moves to the end; until the header names its new place the old one serves.
      place = end;
      end += table.length;
      file.write(place, table);
      file.write(end, footer.encode());
      file.force();
      // All that changes is within the header's first sector.
      file.write(structures.footer().dataOffset(), header.withTable(place, blocks).encode());
    } else if (blocks < structures.table().length) {
      // First the size, so that no block of the disk loses its entry before.
      writeFooters(file, footer, end);
      file.write(place, table);
    }
    file.force();
    writeFooters(file, footer, end);
  }

  private static void writeFooters(DiskFile file, VhdFooter footer, long end) throws IOException {
    file.write(end, footer.encode());
    file.force();
    file.write(0, footer.encode());
    file.force();
  }

  private static void resizeVhdx(
      DiskFile file, VhdxImage image, long size, @Nullable UUID dataWrite) throws IOException {
    var structures = image.structures();
    var old = structures.metadata();
    var metadata = old.withSize(size);
    var tables = image.tables();
    tables.chooseDataWrite(dataWrite == null ? UUID.randomUUID() : dataWrite);
    tables.beginWriting();
    if (size < old.size()) {
      image.cutOff(size);
    }
    tables.commit();
    long length = (metadata.batEntries() * 8L + VhdxLayout.MIB - 1) & -VhdxLayout.MIB;
    var region = structures.regions().find(file.name(), VhdxLayout.BAT_REGION, "BAT");
    if (length > region.length()) {
      // Nothing is in the log when the table moves: its pages name their places.
      tables.changeMetadata(List.of());
      moveBat(file, structures, region, length);
    } else {
      refuseStaleEntries(file, region, old, metadata);
    }
    var bytes = new byte[8];
    Bytes.putLong(bytes, 0, size);
    var pages = new TreeMap<Long, byte[]>();
    patch(
        file,
        pages,
        Objects.requireNonNull(old.items().get(VhdxLayout.VIRTUAL_DISK_SIZE)).offset(),
        bytes);
    tables.changeMetadata(pages(pages));
  }

  private static void moveBat(
      DiskFile file, VhdxStructures structures, VhdxRegions.Region region, long length)
      throws IOException {
    var room = structures.space().allocate(length);
    file.zero(room.offset(), room.stale());
    structures.bat().writeTo(file, room.offset());
    file.force();
    var moved = new ArrayList<VhdxRegions.Region>();
    for (var each : structures.regions().list()) {
      moved.add(
          each == region ? new VhdxRegions.Region(each.guid(), room.offset(), length, true) : each);
    }
    new VhdxRegions(moved).write(file);
  }

  private static void refuseStaleEntries(
      DiskFile file, VhdxRegions.Region region, VhdxMetadata old, VhdxMetadata grown)
      throws IOException {
    long from = old.batEntries() * 8L;
    for (long at = from; at < grown.batEntries() * 8L; at += VhdxLayout.MIB) {
      var piece =
          file.bytes(
              region.offset() + at, (int) Math.min(VhdxLayout.MIB, grown.batEntries() * 8L - at));
      if (!Zeroes.fill(MemorySegment.ofArray(piece))) {
        throw new DiskException(
            "%s: the BAT holds something after its last entry (offset %#x)"
                .formatted(file.name(), region.offset() + at));
      }
    }
  }

  /// Puts bytes into copies of the file's log sectors that they are in.
  static void patch(DiskFile file, TreeMap<Long, byte[]> pages, long offset, byte[] bytes)
      throws IOException {
    for (int i = 0; i < bytes.length; i++) {
      long page = (offset + i) & -VhdxLayout.LOG_SECTOR;
      var content = pages.get(page);
      if (content == null) {
        content = file.bytes(page, VhdxLayout.LOG_SECTOR);
        pages.put(page, content);
      }
      content[(int) (offset + i - page)] = bytes[i];
    }
  }

  static List<VhdxLog.Page> pages(TreeMap<Long, byte[]> pages) {
    var list = new ArrayList<VhdxLog.Page>();
    pages.forEach((offset, bytes) -> list.add(new VhdxLog.Page(offset, bytes)));
    return list;
  }
}
