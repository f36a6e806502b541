package dev.partita.image.partition;

import dev.partita.disk.VirtualDisk;
import dev.partita.image.filesystem.MalformedFileSystemException;
import dev.partita.image.filesystem.Volume;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// Reads partition tables: GUID partition tables (UEFI Specification 2.10, 5.3), the second one
/// when the first is damaged; and MBRs with logical partitions (5.2). What it says lies within the
/// disk.
public final class PartitionTable {
  private static final int MBR_ENTRIES = 446;
  private static final int MBR_GPT = 0xee;
  private static final List<Integer> MBR_EXTENDED = List.of(0x05, 0x0f, 0x85);

  /// Linux takes no more logical partitions than this either.
  private static final int MOST_LOGICAL = 252;

  /// Tables of up to 64 KiB of entries are read; the usual one has 16 KiB.
  private static final long LARGEST_GPT = 1 << 20;

  private final Volume disk;
  private final int sector;
  private final long sectors;

  private PartitionTable(VirtualDisk disk) {
    this.disk = Volume.whole(disk);
    this.sector = disk.logicalSectorSize();
    this.sectors = disk.size() / sector;
  }

  /// The disk's partitions, in the table's order; without a table one for the whole disk.
  public static List<Partition> read(VirtualDisk disk) throws IOException {
    return new PartitionTable(disk).read();
  }

  private List<Partition> read() throws IOException {
    if (sectors == 0) {
      return List.of();
    }
    ByteBuffer mbr = disk.structure(0, 512);
    boolean signed = Short.toUnsignedInt(mbr.getShort(510)) == 0xaa55;
    boolean protective = false;
    for (int i = 0; signed && i < 4; i++) {
      protective |= Byte.toUnsignedInt(mbr.get(MBR_ENTRIES + 16 * i + 4)) == MBR_GPT;
    }
    if (protective) {
      Optional<List<Partition>> gpt = gpt(1);
      if (gpt.isEmpty()) {
        gpt = gpt(sectors - 1);
      }
      return gpt.orElseThrow(
          () ->
              new MalformedFileSystemException(
                  disk.name() + ": both its GUID partition tables are damaged"));
    }
    if (signed && looksLikeTable(mbr)) {
      return mbr(mbr);
    }
    return List.of(new Partition(0, 0, disk.length(), "", ""));
  }

  /// A boot sector of FAT has the same signature: then the bytes are code, not a table.
  private boolean looksLikeTable(ByteBuffer mbr) {
    boolean any = false;
    for (int i = 0; i < 4; i++) {
      int at = MBR_ENTRIES + 16 * i;
      int status = Byte.toUnsignedInt(mbr.get(at));
      int type = Byte.toUnsignedInt(mbr.get(at + 4));
      long first = Integer.toUnsignedLong(mbr.getInt(at + 8));
      long count = Integer.toUnsignedLong(mbr.getInt(at + 12));
      if (status != 0 && status != 0x80) {
        return false;
      }
      if (type != 0) {
        if (first == 0 || count == 0 || first >= sectors) {
          return false;
        }
        any = true;
      }
    }
    return any;
  }

  private Optional<List<Partition>> gpt(long at) throws IOException {
    if (at < 1 || at >= sectors) {
      return Optional.empty();
    }
    ByteBuffer header = disk.structure(at * sector, 512);
    int headerSize = header.getInt(12);
    if (header.getLong(0) != GptWriter.SIGNATURE
        || headerSize < GptWriter.HEADER_SIZE
        || headerSize > 512) {
      return Optional.empty();
    }
    int told = header.getInt(16);
    byte[] checked = new byte[headerSize];
    header.putInt(16, 0).get(0, checked);
    long table = header.getLong(72);
    long entries = Integer.toUnsignedLong(header.getInt(80));
    long entrySize = Integer.toUnsignedLong(header.getInt(84));
    if (GptWriter.crc(checked) != told
        || header.getLong(24) != at
        || entrySize < GptWriter.ENTRY_SIZE
        || entrySize > 4096
        || entries * entrySize > LARGEST_GPT
        || table < 1
        || table >= sectors
        || entries * entrySize > (sectors - table) * sector) {
      return Optional.empty();
    }
    ByteBuffer all = disk.structure(table * sector, (int) (entries * entrySize));
    if (GptWriter.crc(all.array()) != header.getInt(88)) {
      return Optional.empty();
    }
    List<Partition> partitions = new ArrayList<>();
    for (int i = 0; i < entries; i++) {
      int from = (int) (i * entrySize);
      long first = all.getLong(from + 32);
      long last = all.getLong(from + 40);
      boolean used = all.getLong(from) != 0 || all.getLong(from + 8) != 0;
      if (used && first > 0 && first <= last && last < sectors) {
        byte[] name = new byte[72];
        all.get(from + 56, name);
        partitions.add(
            new Partition(
                i + 1,
                first * sector,
                (last - first + 1) * sector,
                guid(all, from + 16).toString(),
                new String(name, StandardCharsets.UTF_16LE).replaceAll("\0(?s:.*)", "")));
      }
    }
    return Optional.of(partitions);
  }

  private static UUID guid(ByteBuffer from, int at) {
    long high =
        Integer.toUnsignedLong(from.getInt(at)) << 32
            | (long) Short.toUnsignedInt(from.getShort(at + 4)) << 16
            | Short.toUnsignedInt(from.getShort(at + 6));
    return new UUID(high, Long.reverseBytes(from.getLong(at + 8)));
  }

  private List<Partition> mbr(ByteBuffer mbr) throws IOException {
    int disk32 = mbr.getInt(440);
    List<Partition> partitions = new ArrayList<>();
    long extended = 0;
    for (int i = 0; i < 4; i++) {
      int at = MBR_ENTRIES + 16 * i;
      int type = Byte.toUnsignedInt(mbr.get(at + 4));
      long first = Integer.toUnsignedLong(mbr.getInt(at + 8));
      if (MBR_EXTENDED.contains(type)) {
        extended = extended == 0 ? first : extended;
      } else if (type != 0) {
        add(partitions, i + 1, first, Integer.toUnsignedLong(mbr.getInt(at + 12)), disk32);
      }
    }
    // Each logical partition has a sector with a table of its own: itself, and where the next is.
    long at = extended;
    for (int number = 5; at != 0 && at < sectors && number < 5 + MOST_LOGICAL; number++) {
      ByteBuffer table = disk.structure(at * sector, 512);
      if (Short.toUnsignedInt(table.getShort(510)) != 0xaa55) {
        break;
      }
      if (table.get(MBR_ENTRIES + 4) != 0) {
        add(
            partitions,
            number,
            at + Integer.toUnsignedLong(table.getInt(MBR_ENTRIES + 8)),
            Integer.toUnsignedLong(table.getInt(MBR_ENTRIES + 12)),
            disk32);
      }
      long next = Integer.toUnsignedLong(table.getInt(MBR_ENTRIES + 16 + 8));
      at =
          MBR_EXTENDED.contains(Byte.toUnsignedInt(table.get(MBR_ENTRIES + 16 + 4)))
                  && extended + next > at
              ? extended + next
              : 0;
    }
    return partitions;
  }

  /// Adds what lies on the disk. Linux names partitions of an MBR by its 32-bit signature.
  private void add(List<Partition> to, int number, long first, long count, int disk32) {
    if (first > 0 && first < sectors && count > 0) {
      to.add(
          new Partition(
              number,
              first * sector,
              Math.min(count, sectors - first) * sector,
              "%08x-%02x".formatted(disk32, number),
              ""));
    }
  }
}
