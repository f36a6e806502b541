package dev.partita.disk;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/// What a VHDX file's structures say, read and verified, its log replayed.
///
/// @param file the file; when it is read-only and its log was not empty, as it would be afterwards
/// @param replayed log entries that had to be replayed
record VhdxStructures(
    DiskFile file,
    VhdxHeaders headers,
    VhdxRegions regions,
    VhdxMetadata metadata,
    VhdxSpace space,
    VhdxBat bat,
    int replayed) {

  static VhdxStructures read(DiskFile opened, Complaints complaints) throws IOException {
    var file = opened;
    var name = file.name();
    var headers = VhdxHeaders.read(file, complaints);
    var header = headers.current();
    VhdxReplay.checkPlace(file, header);
    var replay = VhdxReplay.find(file, header);
    if (replay != null && file.readOnly()) {
      file = replay.overlay();
    } else if (replay != null) {
      replay.apply();
      headers.update(
          h -> h.withLog(VhdxLayout.NO_GUID).withWrites(UUID.randomUUID(), h.dataWrite()));
    }
    var regions = VhdxRegions.read(file);
    var space = new VhdxSpace(file);
    space.reserve(header.logOffset(), header.logLength());
    for (var region : regions.list()) {
      if (!space.reserve(region.offset(), region.length())) {
        throw new DiskException(
            "%s: region %s overlaps another or the log (offset %#x, length %#x)"
                .formatted(name, region.guid(), region.offset(), region.length()));
      }
    }
    var metadata =
        VhdxMetadata.read(file, regions.find(name, VhdxLayout.METADATA_REGION, "metadata"));
    var bat =
        VhdxBat.read(
            file, regions.find(name, VhdxLayout.BAT_REGION, "BAT"), metadata, space, complaints);
    return new VhdxStructures(
        file, headers, regions, metadata, space, bat, replay == null ? 0 : replay.entries());
  }

  /// The program that made the file, as it says itself.
  String creator() throws IOException {
    var bytes = file.bytes(VhdxLayout.CREATOR_OFFSET, VhdxLayout.CREATOR_LENGTH);
    var text = new String(bytes, StandardCharsets.UTF_16LE);
    int end = text.indexOf(0);
    return (end < 0 ? text : text.substring(0, end)).replaceAll("\\p{Cntrl}", "?");
  }

  /// Lays out a new, empty file: header section, log, metadata, BAT; for a fixed disk all its
  /// blocks too. Everything is on the medium when this returns, the file type identifier last, so
  /// that a file of which not all was written is not taken for a disk.
  static void create(DiskFile file, VhdxMetadata metadata, boolean reserve) throws IOException {
    long log = VhdxLayout.MIB;
    long metadataOffset = 2 * VhdxLayout.MIB;
    long batOffset = 3 * VhdxLayout.MIB;
    long batLength = (metadata.batEntries() * 8L + VhdxLayout.MIB - 1) & -VhdxLayout.MIB;
    long blocks = batOffset + batLength;
    long end =
        metadata.leaveAllocated()
            ? blocks + (long) metadata.payloadBlocks() * metadata.blockSize()
            : blocks;
    file.resize(end);
    if (reserve && metadata.leaveAllocated()) {
      file.reserve(0, end);
    }
    file.write(metadataOffset, metadata.encode());
    if (metadata.leaveAllocated()) {
      var bat = new VhdxBat(batOffset, metadata);
      for (int block = 0; block < metadata.payloadBlocks(); block++) {
        bat.set(
            bat.payloadIndex(block),
            VhdxLayout.FULLY_PRESENT,
            blocks + (long) block * metadata.blockSize());
      }
      bat.writeTo(file, batOffset);
    }
    new VhdxRegions(
            java.util.List.of(
                new VhdxRegions.Region(VhdxLayout.BAT_REGION, batOffset, batLength, true),
                new VhdxRegions.Region(
                    VhdxLayout.METADATA_REGION, metadataOffset, VhdxLayout.MIB, true)))
        .write(file);
    VhdxHeaders.create(file, null, log, VhdxLayout.MIB);
    file.force();
    var identifier = new byte[VhdxLayout.CREATOR_OFFSET + VhdxLayout.CREATOR_LENGTH];
    Bytes.putAscii(identifier, 0, VhdxLayout.FILE_SIGNATURE);
    var creator = "Partita".getBytes(StandardCharsets.UTF_16LE);
    System.arraycopy(creator, 0, identifier, VhdxLayout.CREATOR_OFFSET, creator.length);
    file.write(0, identifier);
    file.force();
  }
}
