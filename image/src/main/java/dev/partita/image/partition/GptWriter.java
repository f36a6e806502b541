package dev.partita.image.partition;

import dev.partita.disk.VirtualDisk;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;
import java.util.zip.CRC32;

/// Writes GUID partition tables (UEFI Specification 2.10, 5.3), with the protective MBR (5.2.3).
public final class GptWriter {
  static final int ENTRY_SIZE = 128;
  static final int ENTRIES = 128;
  static final int HEADER_SIZE = 92;
  static final long SIGNATURE = 0x5452415020494645L; // "EFI PART"
  static final int REVISION = 0x10000;

  private GptWriter() {}

  /// A partition to be.
  ///
  /// @param number from 1; where in the table its entry is
  /// @param type what it is for
  /// @param id its own
  /// @param offset in bytes
  /// @param length in bytes
  /// @param name at most 36 UTF-16 units
  public record Entry(int number, UUID type, UUID id, long offset, long length, String name) {}

  /// Bytes at the disk's end that the second table takes.
  public static long reservedAtEnd(VirtualDisk disk) {
    int sector = disk.logicalSectorSize();
    return (ENTRIES * ENTRY_SIZE + sector - 1) / sector * (long) sector + sector;
  }

  /// Writes both tables. The partitions must lie between them and not overlap.
  public static void write(VirtualDisk disk, UUID id, List<Entry> entries) throws IOException {
    int sector = disk.logicalSectorSize();
    long sectors = disk.size() / sector;
    int tableSectors = (ENTRIES * ENTRY_SIZE + sector - 1) / sector;
    byte[] table = table(entries, sector);

    byte[] head = new byte[(2 + tableSectors) * sector];
    System.arraycopy(protectiveMbr(sectors), 0, head, 0, 512);
    System.arraycopy(
        header(id, 1, sectors - 1, 2, sectors, tableSectors, table), 0, head, sector, HEADER_SIZE);
    System.arraycopy(table, 0, head, 2 * sector, table.length);
    disk.write(0, MemorySegment.ofArray(head));

    byte[] tail = new byte[(tableSectors + 1) * sector];
    System.arraycopy(table, 0, tail, 0, table.length);
    long tableAt = sectors - 1 - tableSectors;
    System.arraycopy(
        header(id, sectors - 1, 1, tableAt, sectors, tableSectors, table),
        0,
        tail,
        tableSectors * sector,
        HEADER_SIZE);
    disk.write(tableAt * sector, MemorySegment.ofArray(tail));
  }

  private static byte[] table(List<Entry> entries, int sector) {
    ByteBuffer table = ByteBuffer.allocate(ENTRIES * ENTRY_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    for (Entry entry : entries) {
      table.position((entry.number() - 1) * ENTRY_SIZE);
      put(table, entry.type());
      put(table, entry.id());
      table.putLong(entry.offset() / sector);
      table.putLong((entry.offset() + entry.length()) / sector - 1);
      table.putLong(0); // attributes
      table.put(entry.name().getBytes(StandardCharsets.UTF_16LE));
    }
    return table.array();
  }

  private static byte[] header(
      UUID id, long own, long other, long tableAt, long sectors, int tableSectors, byte[] table) {
    ByteBuffer header = ByteBuffer.allocate(HEADER_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    header.putLong(SIGNATURE).putInt(REVISION).putInt(HEADER_SIZE);
    header.putInt(0).putInt(0); // the checksum's place, and reserved
    header.putLong(own).putLong(other);
    header.putLong(2 + tableSectors).putLong(sectors - 2 - tableSectors); // first and last usable
    put(header, id);
    header.putLong(tableAt).putInt(ENTRIES).putInt(ENTRY_SIZE).putInt(crc(table));
    header.putInt(16, crc(header.array()));
    return header.array();
  }

  /// One partition of type EE hex over all of the disk, or as far as 32 bits reach.
  private static byte[] protectiveMbr(long sectors) {
    ByteBuffer mbr = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
    mbr.position(446);
    mbr.put((byte) 0).put(new byte[] {0, 2, 0}); // not active; CHS of sector 1
    mbr.put((byte) 0xee).put(new byte[] {(byte) 0xff, (byte) 0xff, (byte) 0xff});
    mbr.putInt(1).putInt((int) Math.min(sectors - 1, 0xffffffffL));
    mbr.put(510, (byte) 0x55).put(511, (byte) 0xaa);
    return mbr.array();
  }

  /// The first three fields of a GUID are little-endian (UEFI Specification, appendix A).
  private static void put(ByteBuffer to, UUID id) {
    long high = id.getMostSignificantBits();
    to.putInt((int) (high >>> 32)).putShort((short) (high >>> 16)).putShort((short) high);
    to.putLong(Long.reverseBytes(id.getLeastSignificantBits()));
  }

  static int crc(byte[] bytes) {
    CRC32 crc = new CRC32();
    crc.update(bytes);
    return (int) crc.getValue();
  }
}
