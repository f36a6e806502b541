package dev.partita.disk;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/// The region table of a VHDX file, of which there are two copies ([MS-VHDX] 2.2.3).
///
/// @param list all regions, unknown ones too
record VhdxRegions(List<Region> list) {
  private static final String SIGNATURE = "regi";
  private static final int HEADER = 16;
  private static final int ENTRY = 32;
  private static final int MOST_ENTRIES = 2047;

  /// A region: whole mebibytes of the file.
  record Region(UUID guid, long offset, long length, boolean required) {
    long end() {
      return offset + length;
    }
  }

  VhdxRegions {
    list = List.copyOf(list);
  }

  static VhdxRegions read(DiskFile file) throws IOException {
    var table = file.bytes(VhdxLayout.REGION_TABLE_OFFSETS[0], VhdxLayout.REGION_TABLE_SIZE);
    if (!valid(table)) {
      table = file.bytes(VhdxLayout.REGION_TABLE_OFFSETS[1], VhdxLayout.REGION_TABLE_SIZE);
      if (!valid(table)) {
        throw new DiskException(
            file.name() + ": both region tables are damaged (signature or checksum)");
      }
    }
    return decode(file, table);
  }

  /// Whether both copies are whole; for a check.
  static boolean bothValid(DiskFile file) throws IOException {
    return valid(file.bytes(VhdxLayout.REGION_TABLE_OFFSETS[0], VhdxLayout.REGION_TABLE_SIZE))
        && valid(file.bytes(VhdxLayout.REGION_TABLE_OFFSETS[1], VhdxLayout.REGION_TABLE_SIZE));
  }

  private static boolean valid(byte[] table) {
    return Bytes.matches(table, 0, SIGNATURE)
        && Bytes.int32(table, 4) == VhdxLayout.checksum(table, 4)
        && Bytes.unsignedInt(table, 8) <= MOST_ENTRIES;
  }

  private static VhdxRegions decode(DiskFile file, byte[] table) throws IOException {
    var name = file.name();
    long size = file.size();
    int count = Bytes.int32(table, 8);
    var regions = new ArrayList<Region>();
    for (int i = 0; i < count; i++) {
      int at = HEADER + i * ENTRY;
      var region =
          new Region(
              Bytes.guid(table, at),
              Bytes.int64(table, at + 16),
              Bytes.unsignedInt(table, at + 24),
              (table[at + 28] & 1) != 0);
      boolean known =
          region.guid.equals(VhdxLayout.BAT_REGION)
              || region.guid.equals(VhdxLayout.METADATA_REGION);
      if (region.required && !known) {
        throw new DiskException(
            "%s: region %s is required but unknown".formatted(name, region.guid));
      }
      checkPlace(name, "region " + region.guid, region.offset, region.length, size);
      regions.add(region);
    }
    return new VhdxRegions(regions);
  }

  /// Complains of a run that is not whole mebibytes after the header section within the file.
  static void checkPlace(String name, String what, long offset, long length, long size)
      throws DiskException {
    if (((offset | length) & (VhdxLayout.MIB - 1)) != 0 || length == 0) {
      throw new DiskException(
          "%s: %s is not of whole mebibytes (offset %#x, length %#x)"
              .formatted(name, what, offset, length));
    }
    if (offset < VhdxLayout.HEADER_SECTION) {
      throw new DiskException(
          "%s: %s is within the header section (offset %#x)".formatted(name, what, offset));
    }
    if (offset > size || length > size - offset) {
      throw new DiskException(
          "%s: %s reaches past end of file (offset %#x, length %#x, file %#x)"
              .formatted(name, what, offset, length, size));
    }
  }

  Region find(String name, UUID guid, String what) throws DiskException {
    Region found = null;
    for (var region : list) {
      if (region.guid.equals(guid)) {
        if (found != null) {
          throw new DiskException(name + ": the region table names two " + what + " regions");
        }
        found = region;
      }
    }
    if (found == null) {
      throw new DiskException(name + ": the region table names no " + what + " region");
    }
    return found;
  }

  byte[] encode() {
    var table = new byte[VhdxLayout.REGION_TABLE_SIZE];
    Bytes.putAscii(table, 0, SIGNATURE);
    Bytes.putInt(table, 8, list.size());
    int at = HEADER;
    for (var region : list) {
      Bytes.putGuid(table, at, region.guid);
      Bytes.putLong(table, at + 16, region.offset);
      Bytes.putInt(table, at + 24, (int) region.length);
      Bytes.putInt(table, at + 28, region.required ? 1 : 0);
      at += ENTRY;
    }
    Bytes.putInt(table, 4, VhdxLayout.checksum(table, 4));
    return table;
  }

  /// Writes both copies, the first on the medium before the second is touched.
  void write(DiskFile file) throws IOException {
    var table = encode();
    for (long offset : VhdxLayout.REGION_TABLE_OFFSETS) {
      file.write(offset, table);
      file.force();
    }
  }
}
