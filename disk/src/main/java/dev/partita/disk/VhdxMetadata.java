package dev.partita.disk;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// The metadata region of a VHDX file ([MS-VHDX] 2.6).
///
/// @param blockSize bytes of a payload block, a power of two from 1 MiB to 256 MiB
/// @param leaveAllocated whether blocks are never given back: a fixed disk
/// @param hasParent whether it is a differencing disk
/// @param size bytes of the virtual disk
/// @param id of the virtual disk, the same in each file of a chain
/// @param parent where the parent is; null without one
/// @param items where each item is in the file
record VhdxMetadata(
    int blockSize,
    boolean leaveAllocated,
    boolean hasParent,
    long size,
    UUID id,
    int logicalSectorSize,
    int physicalSectorSize,
    @Nullable ParentLocator parent,
    Map<UUID, Item> items) {

  private static final String SIGNATURE = "metadata";
  private static final int ENTRY = 32;
  private static final int MOST_ENTRIES = 2047;
  private static final int FLAG_VIRTUAL_DISK = 2;
  private static final int FLAG_REQUIRED = 4;

  /// Items come after the table: the small ones first, the locator in sectors of its own, so that
  /// one log entry can replace it.
  private static final int SMALL_ITEMS = 64 << 10;

  private static final int LOCATOR_ITEM = 68 << 10;

  /// Room for a locator; two paths of the longest that Linux has fit.
  static final int LOCATOR_ROOM = 64 << 10;

  private static final int LARGEST_LOCATOR = 1 << 20;

  /// Where an item is.
  ///
  /// @param offset in the file
  record Item(long offset, int length) {}

  VhdxMetadata {
    items = Map.copyOf(items);
  }

  DiskType type() {
    return hasParent ? DiskType.DIFFERENCING : leaveAllocated ? DiskType.FIXED : DiskType.DYNAMIC;
  }

  long chunkRatio() {
    return VhdxLayout.SECTORS_PER_CHUNK * logicalSectorSize / blockSize;
  }

  /// Payload blocks of the disk (2.5).
  int payloadBlocks() {
    return Math.toIntExact((size + blockSize - 1) / blockSize);
  }

  /// Entries that the BAT must have (2.5).
  int batEntries() {
    int blocks = payloadBlocks();
    if (hasParent) {
      long chunks = (blocks + chunkRatio() - 1) / chunkRatio();
      return Math.toIntExact(chunks * (chunkRatio() + 1));
    }
    return Math.toIntExact(blocks + (blocks - 1) / chunkRatio());
  }

  VhdxMetadata withSize(long newSize) {
    return new VhdxMetadata(
        blockSize,
        leaveAllocated,
        hasParent,
        newSize,
        id,
        logicalSectorSize,
        physicalSectorSize,
        parent,
        items);
  }

  static VhdxMetadata read(DiskFile file, VhdxRegions.Region region) throws IOException {
    var name = file.name();
    var items = readTable(file, region);
    var parameters = item(file, items, VhdxLayout.FILE_PARAMETERS, 8, "file parameters");
    long blockSize = Bytes.unsignedInt(parameters, 0);
    if (blockSize < VhdxLayout.MIB
        || blockSize > 256 * VhdxLayout.MIB
        || Long.bitCount(blockSize) != 1) {
      throw new DiskException(
          "%s: block size %d is not a power of two from 1 MiB to 256 MiB"
              .formatted(name, blockSize));
    }
    boolean hasParent = (parameters[4] & 2) != 0;
    int logical = sectorSize(file, items, VhdxLayout.LOGICAL_SECTOR_SIZE, "logical sector size");
    int physical = sectorSize(file, items, VhdxLayout.PHYSICAL_SECTOR_SIZE, "physical sector size");
    long size =
        Bytes.int64(item(file, items, VhdxLayout.VIRTUAL_DISK_SIZE, 8, "virtual disk size"), 0);
    if (size <= 0 || size > VhdxLayout.LARGEST_DISK || size % logical != 0) {
      throw new DiskException(
          "%s: virtual disk size %s is not of whole sectors of %d bytes, up to 64 TiB"
              .formatted(name, Long.toUnsignedString(size), logical));
    }
    var id = Bytes.guid(item(file, items, VhdxLayout.VIRTUAL_DISK_ID, 16, "virtual disk id"), 0);
    return new VhdxMetadata(
        (int) blockSize,
        (parameters[4] & 1) != 0 && !hasParent,
        hasParent,
        size,
        id,
        logical,
        physical,
        hasParent ? readLocator(file, items) : null,
        items);
  }

  private static Map<UUID, Item> readTable(DiskFile file, VhdxRegions.Region region)
      throws IOException {
    var name = file.name();
    var table = file.bytes(region.offset(), (int) VhdxLayout.METADATA_TABLE_SIZE);
    if (!Bytes.matches(table, 0, SIGNATURE)) {
      throw new DiskException("%s: no metadata table at %#x".formatted(name, region.offset()));
    }
    int count = Bytes.unsignedShort(table, 10);
    if (count > MOST_ENTRIES) {
      throw new DiskException("%s: metadata table of %d entries".formatted(name, count));
    }
    var items = new HashMap<UUID, Item>();
    for (int i = 0; i < count; i++) {
      int at = ENTRY + i * ENTRY;
      var guid = Bytes.guid(table, at);
      long offset = Bytes.unsignedInt(table, at + 16);
      long length = Bytes.unsignedInt(table, at + 20);
      int flags = Bytes.int32(table, at + 24);
      boolean user = (flags & 1) != 0;
      if (user) {
        continue;
      }
      if (length != 0
          && (offset < VhdxLayout.METADATA_TABLE_SIZE
              || offset > region.length()
              || length > region.length() - offset
              || length > LARGEST_LOCATOR)) {
        throw new DiskException(
            "%s: metadata item %s reaches past its region (offset %#x, length %#x, region %#x)"
                .formatted(name, guid, offset, length, region.length()));
      }
      if ((flags & FLAG_REQUIRED) != 0 && !isKnown(guid)) {
        throw new DiskException(
            "%s: metadata item %s is required but unknown".formatted(name, guid));
      }
      if (items.put(guid, new Item(region.offset() + offset, (int) length)) != null) {
        throw new DiskException("%s: metadata item %s is there twice".formatted(name, guid));
      }
    }
    return items;
  }

  private static boolean isKnown(UUID guid) {
    return guid.equals(VhdxLayout.FILE_PARAMETERS)
        || guid.equals(VhdxLayout.VIRTUAL_DISK_SIZE)
        || guid.equals(VhdxLayout.VIRTUAL_DISK_ID)
        || guid.equals(VhdxLayout.LOGICAL_SECTOR_SIZE)
        || guid.equals(VhdxLayout.PHYSICAL_SECTOR_SIZE)
        || guid.equals(VhdxLayout.PARENT_LOCATOR);
  }

  private static byte[] item(
      DiskFile file, Map<UUID, Item> items, UUID guid, int length, String what) throws IOException {
    var item = items.get(guid);
    if (item == null || item.length != length) {
      throw new DiskException(
          "%s: metadata item %s is %s"
              .formatted(
                  file.name(), what, item == null ? "missing" : "of " + item.length + " bytes"));
    }
    return file.bytes(item.offset, length);
  }

  private static int sectorSize(DiskFile file, Map<UUID, Item> items, UUID guid, String what)
      throws IOException {
    int size = Bytes.int32(item(file, items, guid, 4, what), 0);
    if (size != 512 && size != 4096) {
      throw new DiskException(
          "%s: %s %d is neither 512 nor 4096".formatted(file.name(), what, size));
    }
    return size;
  }

  private static ParentLocator readLocator(DiskFile file, Map<UUID, Item> items)
      throws IOException {
    var name = file.name();
    var item = items.get(VhdxLayout.PARENT_LOCATOR);
    if (item == null || item.length < 20) {
      throw new DiskException(name + ": a differencing disk without a parent locator");
    }
    var bytes = file.bytes(item.offset, item.length);
    var type = Bytes.guid(bytes, 0);
    if (!type.equals(VhdxLayout.VHDX_LOCATOR_TYPE)) {
      throw new DiskException("%s: parent locator of unknown type %s".formatted(name, type));
    }
    var values = new HashMap<String, String>();
    int count = Bytes.unsignedShort(bytes, 18);
    for (int i = 0; i < count; i++) {
      int at = 20 + 12 * i;
      if (at + 12 > bytes.length) {
        throw new DiskException(
            "%s: parent locator of %d entries in %d bytes".formatted(name, count, bytes.length));
      }
      values.put(
          text(name, bytes, Bytes.unsignedInt(bytes, at), Bytes.unsignedShort(bytes, at + 8)),
          text(name, bytes, Bytes.unsignedInt(bytes, at + 4), Bytes.unsignedShort(bytes, at + 10)));
    }
    var identity = guid(name, values.get("parent_linkage"));
    if (identity == null) {
      throw new DiskException(name + ": the parent locator has no parent_linkage");
    }
    var relative = values.get("relative_path");
    var absolute = values.get("absolute_win32_path");
    return new ParentLocator(
        identity,
        guid(name, values.get("parent_linkage2")),
        relative == null ? null : ParentLocator.toHost(relative),
        absolute == null ? null : ParentLocator.toHost(absolute));
  }

  private static String text(String name, byte[] bytes, long offset, int length)
      throws DiskException {
    if (offset > bytes.length || length > bytes.length - offset) {
      throw new DiskException(
          "%s: parent locator points past its end (offset %#x, length %d, locator %d)"
              .formatted(name, offset, length, bytes.length));
    }
    return new String(bytes, (int) offset, length, StandardCharsets.UTF_16LE);
  }

  private static @Nullable UUID guid(String name, @Nullable String text) throws DiskException {
    if (text == null) {
      return null;
    }
    try {
      return UUID.fromString(text.replaceAll("[{}]", ""));
    } catch (IllegalArgumentException e) {
      throw new DiskException("%s: '%s' is no GUID".formatted(name, text), e);
    }
  }

  /// The bytes of a locator (2.6.2.6).
  static byte[] encodeLocator(ParentLocator locator) throws DiskException {
    var values = new LinkedHashMap<String, String>();
    values.put("parent_linkage", "{" + locator.identity() + "}");
    if (locator.secondIdentity() != null) {
      values.put("parent_linkage2", "{" + locator.secondIdentity() + "}");
    }
    if (locator.relativePath() != null) {
      values.put("relative_path", ParentLocator.toWindows(locator.relativePath()));
    }
    if (locator.absolutePath() != null) {
      values.put("absolute_win32_path", ParentLocator.toWindows(locator.absolutePath()));
    }
    int length = 20 + 12 * values.size();
    for (var value : values.entrySet()) {
      length += 2 * (value.getKey().length() + value.getValue().length());
    }
    if (length > LOCATOR_ROOM) {
      throw new DiskException("the parent's path is too long for a parent locator");
    }
    var bytes = new byte[length];
    Bytes.putGuid(bytes, 0, VhdxLayout.VHDX_LOCATOR_TYPE);
    Bytes.putShort(bytes, 18, values.size());
    int entry = 20;
    int at = 20 + 12 * values.size();
    for (var value : values.entrySet()) {
      var key = value.getKey().getBytes(StandardCharsets.UTF_16LE);
      var content = value.getValue().getBytes(StandardCharsets.UTF_16LE);
      Bytes.putInt(bytes, entry, at);
      Bytes.putInt(bytes, entry + 4, at + key.length);
      Bytes.putShort(bytes, entry + 8, key.length);
      Bytes.putShort(bytes, entry + 10, content.length);
      System.arraycopy(key, 0, bytes, at, key.length);
      System.arraycopy(content, 0, bytes, at + key.length, content.length);
      at += key.length + content.length;
      entry += 12;
    }
    return bytes;
  }

  /// Where the table's entry of an item is, in bytes from the region's beginning; -1 without one.
  static int entryOf(byte[] table, UUID guid) {
    int count = Math.min(MOST_ENTRIES, Bytes.unsignedShort(table, 10));
    for (int i = 0; i < count; i++) {
      int at = ENTRY + i * ENTRY;
      if (Bytes.guid(table, at).equals(guid)) {
        return at;
      }
    }
    return -1;
  }

  /// The region's first 136 KiB for a new file, which hold all items.
  byte[] encode() throws DiskException {
    var bytes = new byte[LOCATOR_ITEM + LOCATOR_ROOM];
    Bytes.putAscii(bytes, 0, SIGNATURE);
    var values = new LinkedHashMap<UUID, byte[]>();
    var parameters = new byte[8];
    Bytes.putInt(parameters, 0, blockSize);
    Bytes.putInt(parameters, 4, (leaveAllocated ? 1 : 0) | (hasParent ? 2 : 0));
    values.put(VhdxLayout.FILE_PARAMETERS, parameters);
    var sizeBytes = new byte[8];
    Bytes.putLong(sizeBytes, 0, size);
    values.put(VhdxLayout.VIRTUAL_DISK_SIZE, sizeBytes);
    var idBytes = new byte[16];
    Bytes.putGuid(idBytes, 0, id);
    values.put(VhdxLayout.VIRTUAL_DISK_ID, idBytes);
    var logical = new byte[4];
    Bytes.putInt(logical, 0, logicalSectorSize);
    values.put(VhdxLayout.LOGICAL_SECTOR_SIZE, logical);
    var physical = new byte[4];
    Bytes.putInt(physical, 0, physicalSectorSize);
    values.put(VhdxLayout.PHYSICAL_SECTOR_SIZE, physical);
    if (parent != null) {
      values.put(VhdxLayout.PARENT_LOCATOR, encodeLocator(parent));
    }
    Bytes.putShort(bytes, 10, values.size());
    int entry = ENTRY;
    int small = SMALL_ITEMS;
    for (var value : values.entrySet()) {
      boolean locator = value.getKey().equals(VhdxLayout.PARENT_LOCATOR);
      boolean ofFile = locator || value.getKey().equals(VhdxLayout.FILE_PARAMETERS);
      int at = locator ? LOCATOR_ITEM : small;
      var content = value.getValue();
      System.arraycopy(content, 0, bytes, at, content.length);
      Bytes.putGuid(bytes, entry, value.getKey());
      Bytes.putInt(bytes, entry + 16, at);
      Bytes.putInt(bytes, entry + 20, content.length);
      Bytes.putInt(bytes, entry + 24, FLAG_REQUIRED | (ofFile ? 0 : FLAG_VIRTUAL_DISK));
      entry += ENTRY;
      if (!locator) {
        small += content.length;
      }
    }
    return bytes;
  }
}
