package dev.partita.image.filesystem;

import dev.partita.disk.VirtualDisk;
import dev.partita.image.ImageException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;

/// Writes small FAT12 file systems of a few files in the top directory (Microsoft: FAT32 File
/// System Specification 1.03; ECMA-107).
public final class FatWriter {
  /// Bytes of the file system, and of the disk that it is for.
  public static final int SIZE = 4 << 20;

  private static final int SECTOR = 512;
  private static final int CLUSTER = 4 * SECTOR;
  private static final int FATS = 2;
  private static final int FAT_SECTORS = 6; // 2,043 clusters and two more of 12 bits
  private static final int ROOT_ENTRIES = 64;
  private static final int ROOT = (1 + FATS * FAT_SECTORS) * SECTOR;
  private static final int DATA = ROOT + ROOT_ENTRIES * 32;
  private static final int CLUSTERS = (SIZE - DATA) / CLUSTER;
  private static final int MEDIA = 0xf8; // a fixed disk
  private static final int END = 0xfff;

  /// The characters of a long name's entry: where they are.
  private static final int[] NAME_PLACES = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};

  private final ByteBuffer disk = ByteBuffer.allocate(SIZE).order(ByteOrder.LITTLE_ENDIAN);
  private int entries;
  private int nextCluster = 2;

  private FatWriter() {}

  /// Makes the disk's content: this file system, without a partition table.
  ///
  /// @param serial the volume's number
  /// @param label at most 11 capital letters
  /// @param files by their names, which have at most 13 characters
  /// @throws ImageException when they do not fit
  public static void write(VirtualDisk to, int serial, String label, Map<String, byte[]> files)
      throws IOException {
    var writer = new FatWriter();
    writer.bootSector(serial, label);
    writer.fat(0, 0xf00 | MEDIA);
    writer.fat(1, END);
    writer.entry(label.getBytes(StandardCharsets.US_ASCII), 0x08, 0, 0);
    for (var file : files.entrySet()) {
      writer.file(file.getKey(), file.getValue());
    }
    to.write(0, MemorySegment.ofArray(writer.disk.array()));
    to.flush();
  }

  private void bootSector(int serial, String label) {
    disk.put(new byte[] {(byte) 0xeb, 0x3c, (byte) 0x90}).put(ascii("PARTITA", 8));
    disk.putShort((short) SECTOR).put((byte) (CLUSTER / SECTOR)).putShort((short) 1);
    disk.put((byte) FATS).putShort((short) ROOT_ENTRIES).putShort((short) (SIZE / SECTOR));
    disk.put((byte) MEDIA).putShort((short) FAT_SECTORS);
    disk.putShort((short) 63).putShort((short) 255).putInt(0).putInt(0); // geometry: of no use
    disk.put((byte) 0x80).put((byte) 0).put((byte) 0x29).putInt(serial);
    disk.put(ascii(label, 11)).put(ascii("FAT12", 8));
    disk.putShort(510, (short) 0xaa55);
  }

  private static byte[] ascii(String text, int length) {
    return "%-11s".formatted(text).substring(0, length).getBytes(StandardCharsets.US_ASCII);
  }

  /// Puts a cluster's successor in all tables.
  private void fat(int cluster, int next) {
    for (int table = 0; table < FATS; table++) {
      int at = (1 + table * FAT_SECTORS) * SECTOR + cluster + cluster / 2;
      int pair = Short.toUnsignedInt(disk.getShort(at));
      int merged = (cluster & 1) == 0 ? pair & 0xf000 | next : pair & 0xf | next << 4;
      disk.putShort(at, (short) merged);
    }
  }

  private void file(String name, byte[] content) throws ImageException {
    int count = (content.length + CLUSTER - 1) / CLUSTER;
    if (name.length() > NAME_PLACES.length
        || entries + 2 > ROOT_ENTRIES
        || nextCluster + count > CLUSTERS + 2) {
      throw new ImageException("%s does not fit in a disk of 4 MiB".formatted(name));
    }
    int first = count == 0 ? 0 : nextCluster;
    disk.put(DATA + (nextCluster - 2) * CLUSTER, content);
    for (int i = 0; i < count; i++, nextCluster++) {
      fat(nextCluster, i + 1 == count ? END : nextCluster + 1);
    }
    // A short name that none of the others has; the long one is what counts.
    String letters = name.toUpperCase(Locale.ROOT).replaceAll("[^A-Z0-9]", "") + "______";
    byte[] shortName =
        "%s~%d"
            .formatted(letters.substring(0, entries < 10 ? 6 : 5), entries)
            .concat("   ")
            .getBytes(StandardCharsets.US_ASCII);
    longName(name, shortName);
    entry(shortName, 0x20, first, content.length);
  }

  private void longName(String name, byte[] shortName) {
    int sum = 0;
    for (byte b : shortName) {
      sum = ((sum & 1) << 7) + (sum >> 1) + Byte.toUnsignedInt(b) & 0xff;
    }
    int at = ROOT + 32 * entries++;
    disk.put(at, (byte) 0x41).put(at + 11, (byte) 0x0f).put(at + 13, (byte) sum);
    for (int i = 0; i < NAME_PLACES.length; i++) {
      char c = i < name.length() ? name.charAt(i) : i == name.length() ? '\0' : '\uffff';
      disk.putChar(at + NAME_PLACES[i], c);
    }
  }

  private void entry(byte[] name, int attributes, int cluster, int size) {
    int at = ROOT + 32 * entries++;
    disk.put(at, ascii(new String(name, StandardCharsets.US_ASCII), 11));
    disk.put(at + 11, (byte) attributes);
    disk.putShort(at + 24, (short) 0x21); // 1 January 1980: there is no day 0
    disk.putShort(at + 26, (short) cluster).putInt(at + 28, size);
  }
}
