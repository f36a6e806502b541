package dev.partita.disk;

import java.util.UUID;
import java.util.zip.CRC32C;

/// Where things are in a VHDX file: [MS-VHDX] section 2.
final class VhdxLayout {
  static final long KIB = 1 << 10;
  static final long MIB = 1 << 20;
  static final UUID NO_GUID = new UUID(0, 0);

  // 2.2 Header section: the first mebibyte, each structure in its own 64 KiB.
  static final String FILE_SIGNATURE = "vhdxfile";
  static final int CREATOR_OFFSET = 8;
  static final int CREATOR_LENGTH = 512;
  static final long[] HEADER_OFFSETS = {64 * KIB, 128 * KIB};
  static final long[] REGION_TABLE_OFFSETS = {192 * KIB, 256 * KIB};
  static final int HEADER_SIZE = 4096;
  static final int REGION_TABLE_SIZE = 64 << 10;
  static final long HEADER_SECTION = MIB;

  // 2.2.3.2 Known regions.
  static final UUID BAT_REGION = UUID.fromString("2DC27766-F623-4200-9D64-115E9BFD4A08");
  static final UUID METADATA_REGION = UUID.fromString("8B7CA206-4790-4B9A-B8FE-575F050F886E");

  // 2.3 Log.
  static final int LOG_SECTOR = 4096;
  static final int LOG_ENTRY_HEADER = 64;
  static final int LOG_DESCRIPTOR = 32;

  // 2.5.1 BAT entries: state in bits 0 to 2, offset in mebibytes in bits 20 to 63.
  static final int NOT_PRESENT = 0;
  static final int UNDEFINED = 1;
  static final int ZERO = 2;
  static final int UNMAPPED = 3;
  static final int FULLY_PRESENT = 6;
  static final int PARTIALLY_PRESENT = 7;
  static final int BITMAP_PRESENT = 6;
  static final long STATE_MASK = 7;
  static final long RESERVED_MASK = 0xFFFF8;
  static final long OFFSET_MASK = -MIB;

  /// 2.4: sectors that one mebibyte of sector bitmap tells of.
  static final long SECTORS_PER_CHUNK = 1 << 23;

  // 2.6 Metadata.
  static final long METADATA_TABLE_SIZE = 64 * KIB;
  static final UUID FILE_PARAMETERS = UUID.fromString("CAA16737-FA36-4D43-B3B6-33F0AA44E76B");
  static final UUID VIRTUAL_DISK_SIZE = UUID.fromString("2FA54224-CD1B-4876-B211-5DBED83BF4B8");
  static final UUID VIRTUAL_DISK_ID = UUID.fromString("BECA12AB-B2E6-4523-93EF-C309E000C746");
  static final UUID LOGICAL_SECTOR_SIZE = UUID.fromString("8141BF1D-A96F-4709-BA47-F233A8FAAB5F");
  static final UUID PHYSICAL_SECTOR_SIZE = UUID.fromString("CDA348C7-445D-4471-9CC9-E9885251C556");
  static final UUID PARENT_LOCATOR = UUID.fromString("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C");
  static final UUID VHDX_LOCATOR_TYPE = UUID.fromString("B04AEFB7-D19E-4A81-B789-25B8E9445913");

  /// 2.6.2.2: the largest virtual disk, 64 TiB.
  static final long LARGEST_DISK = 64L << 40;

  private VhdxLayout() {}

  /// The CRC-32C of a structure whose four bytes at `field` count as zero (2.2.2, 2.2.3.1,
  /// 2.3.1.1).
  static int checksum(byte[] structure, int field) {
    var crc = new CRC32C();
    crc.update(structure, 0, field);
    crc.update(new byte[4]);
    crc.update(structure, field + 4, structure.length - field - 4);
    return (int) crc.getValue();
  }
}
