package dev.partita.image.filesystem;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/// Reads FAT12, FAT16 and FAT32 with long names (Microsoft: FAT32 File System Specification 1.03;
/// ECMA-107), as EFI system partitions have them.
public final class FatFileSystem extends FileSystem {
  private static final int ENTRY = 32;
  private static final int ATTRIBUTE_VOLUME = 0x08;
  private static final int ATTRIBUTE_DIRECTORY = 0x10;
  private static final int ATTRIBUTE_LONG_NAME = 0x0f;

  /// The specification: a directory has 65,536 entries at most.
  private static final int LARGEST_DIRECTORY = 65536 * ENTRY;

  /// The top directory's id: no cluster has this number.
  private static final long ROOT = 0;

  private final int clusterSize;
  private final long fatAt;
  private final long rootAt;
  private final int rootEntries;
  private final long dataAt;
  private final long clusters;
  private final int bits;
  private final long rootCluster;
  private final String uuid;
  private final String label;

  /// First clusters and sizes of the nodes handed out, by their id: an empty file has no cluster.
  private final Map<Long, Long> firstClusters = new HashMap<>();

  private long nextId = 1;

  private FatFileSystem(Volume volume, ByteBuffer boot) throws IOException {
    super(volume);
    int sector = Short.toUnsignedInt(boot.getShort(11));
    clusterSize = Byte.toUnsignedInt(boot.get(13)) * sector;
    int reserved = Short.toUnsignedInt(boot.getShort(14));
    int fats = Byte.toUnsignedInt(boot.get(16));
    rootEntries = Short.toUnsignedInt(boot.getShort(17));
    long total = Short.toUnsignedInt(boot.getShort(19));
    total = total != 0 ? total : Integer.toUnsignedLong(boot.getInt(32));
    long fatSectors = Short.toUnsignedInt(boot.getShort(22));
    boolean wide = fatSectors == 0;
    fatSectors = wide ? Integer.toUnsignedLong(boot.getInt(36)) : fatSectors;
    fatAt = (long) reserved * sector;
    rootAt = fatAt + fats * fatSectors * sector;
    long rootSectors = ((long) rootEntries * ENTRY + sector - 1) / sector;
    dataAt = rootAt + rootSectors * sector;
    clusters = (total * sector - dataAt) / Math.max(1, clusterSize);
    if (fats == 0 || reserved == 0 || clusters < 1 || total * sector > volume.length()) {
      throw damaged("its boot sector contradicts itself");
    }
    // The number of clusters alone tells (specification, "FAT Type Determination").
    bits = clusters < 4085 ? 12 : clusters < 65525 ? 16 : 32;
    if ((clusters + 2) * bits / 8 > fatSectors * sector) {
      throw damaged("its table is too short for %d clusters".formatted(clusters));
    }
    rootCluster = wide ? Integer.toUnsignedLong(boot.getInt(44)) : 0;
    int serial = boot.getInt(wide ? 67 : 39);
    uuid = "%04X-%04X".formatted(serial >>> 16, serial & 0xffff);
    byte[] name = new byte[11];
    boot.get(wide ? 71 : 43, name);
    String text = new String(name, StandardCharsets.ISO_8859_1).strip();
    label = text.equals("NO NAME") ? "" : text;
  }

  /// Whether a boot sector is there.
  static boolean isPresent(Volume volume) throws IOException {
    if (volume.length() < 512) {
      return false;
    }
    ByteBuffer boot = volume.structure(0, 512);
    int jump = Byte.toUnsignedInt(boot.get(0));
    int sector = Short.toUnsignedInt(boot.getShort(11));
    int perCluster = Byte.toUnsignedInt(boot.get(13));
    return Short.toUnsignedInt(boot.getShort(510)) == 0xaa55
        && (jump == 0xeb || jump == 0xe9)
        && sector >= 512
        && sector <= 4096
        && Integer.bitCount(sector) == 1
        && Integer.bitCount(perCluster) == 1
        && Byte.toUnsignedInt(boot.get(16)) <= 2
        && Byte.toUnsignedInt(boot.get(16)) >= 1
        // NTFS and exFAT have the same jump and signature, and nothing of FAT's fields.
        && boot.getShort(14) != 0;
  }

  /// Opens what is there.
  public static FatFileSystem open(Volume volume) throws IOException {
    if (!isPresent(volume)) {
      throw new MalformedFileSystemException(volume.name() + ": no FAT file system");
    }
    return new FatFileSystem(volume, volume.structure(0, 512));
  }

  @Override
  public String type() {
    return "vfat";
  }

  @Override
  public String uuid() {
    return uuid;
  }

  @Override
  public String label() {
    return label;
  }

  @Override
  public String remark() {
    return "";
  }

  @Override
  protected boolean ignoresCase() {
    return true;
  }

  @Override
  public Node root() {
    return new Node(ROOT, Node.Kind.DIRECTORY, 0);
  }

  @Override
  public SortedMap<String, Node> list(Node directory) throws IOException {
    SortedMap<String, Node> entries = new TreeMap<>();
    StringBuilder longName = new StringBuilder();
    if (directory.id() == ROOT && rootCluster == 0) {
      entries(volume().structure(rootAt, rootEntries * ENTRY), longName, entries);
      return entries;
    }
    long cluster = directory.id() == ROOT ? rootCluster : first(directory);
    for (long read = 0; isData(cluster); read += clusterSize) {
      if (read >= LARGEST_DIRECTORY) {
        throw damaged("a directory of more than %d bytes".formatted(LARGEST_DIRECTORY));
      }
      if (!entries(volume().structure(place(cluster), clusterSize), longName, entries)) {
        break;
      }
      cluster = next(cluster);
    }
    return entries;
  }

  /// @return whether more may follow
  private boolean entries(ByteBuffer run, StringBuilder longName, SortedMap<String, Node> into) {
    for (int at = 0; at + ENTRY <= run.limit(); at += ENTRY) {
      int first = Byte.toUnsignedInt(run.get(at));
      int attributes = Byte.toUnsignedInt(run.get(at + 11));
      if (first == 0) {
        return false;
      }
      if (first == 0xe5) { // deleted
        longName.setLength(0);
      } else if ((attributes & 0x3f) == ATTRIBUTE_LONG_NAME) {
        // Pieces of 13 characters come before the entry, the last one first.
        longName.insert(0, piece(run, at));
        if (longName.length() > 20 * 13) {
          longName.setLength(0);
        }
      } else {
        String name = longName.isEmpty() ? shortName(run, at) : longName.toString();
        longName.setLength(0);
        if ((attributes & ATTRIBUTE_VOLUME) == 0 && !name.equals(".") && !name.equals("..")) {
          boolean isDirectory = (attributes & ATTRIBUTE_DIRECTORY) != 0;
          long cluster =
              Short.toUnsignedInt(run.getShort(at + 26))
                  | (bits == 32 ? (long) Short.toUnsignedInt(run.getShort(at + 20)) << 16 : 0);
          long id = nextId++;
          firstClusters.put(id, cluster);
          into.put(
              name,
              new Node(
                  id,
                  isDirectory ? Node.Kind.DIRECTORY : Node.Kind.FILE,
                  isDirectory ? 0 : Integer.toUnsignedLong(run.getInt(at + 28))));
        }
      }
    }
    return true;
  }

  private static String piece(ByteBuffer run, int at) {
    StringBuilder piece = new StringBuilder();
    for (int i = 0; i < 13; i++) {
      int offset = i < 5 ? 1 + 2 * i : i < 11 ? 14 + 2 * (i - 5) : 28 + 2 * (i - 11);
      char c = (char) run.getShort(at + offset);
      if (c == 0) {
        break;
      }
      piece.append(c);
    }
    return piece.toString();
  }

  private static String shortName(ByteBuffer run, int at) {
    byte[] bytes = new byte[11];
    run.get(at, bytes);
    if (bytes[0] == 0x05) {
      bytes[0] = (byte) 0xe5;
    }
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    String base = text.substring(0, 8).strip();
    String extension = text.substring(8).strip();
    // Windows NT's bits for names that were in lower case.
    int lower = Byte.toUnsignedInt(run.get(at + 12));
    base = (lower & 0x08) != 0 ? base.toLowerCase(Locale.ROOT) : base;
    extension = (lower & 0x10) != 0 ? extension.toLowerCase(Locale.ROOT) : extension;
    return extension.isEmpty() ? base : base + "." + extension;
  }

  private long first(Node node) throws IOException {
    Long cluster = firstClusters.get(node.id());
    if (cluster == null) {
      throw damaged("a file of another file system was asked for");
    }
    return cluster;
  }

  @Override
  void read(Node node, long at, byte[] to, int count) throws IOException {
    long cluster = first(node);
    for (long skipped = 0; skipped + clusterSize <= at; skipped += clusterSize) {
      cluster = next(cluster);
    }
    int within = (int) (at % clusterSize);
    for (int done = 0; done < count; ) {
      if (!isData(cluster)) {
        throw damaged("a file of %d bytes ends before".formatted(node.size()));
      }
      int part = Math.min(count - done, clusterSize - within);
      long start = cluster;
      long last = cluster;
      cluster = next(cluster);
      while (part < count - done && cluster == last + 1 && isData(cluster)) {
        part = Math.min(count - done, part + clusterSize);
        last = cluster;
        cluster = next(cluster);
      }
      volume().content(place(start) + within, to, done, part);
      done += part;
      within = 0;
    }
  }

  private boolean isData(long cluster) {
    return cluster >= 2 && cluster < clusters + 2;
  }

  private long place(long cluster) {
    return dataAt + (cluster - 2) * clusterSize;
  }

  /// The table's word on what follows a cluster.
  private long next(long cluster) throws IOException {
    if (!isData(cluster)) {
      return 0;
    }
    return switch (bits) {
      case 12 -> {
        int pair =
            Short.toUnsignedInt(volume().structure(fatAt + cluster + cluster / 2, 2).getShort(0));
        yield (cluster & 1) == 0 ? pair & 0xfff : pair >> 4;
      }
      case 16 -> Short.toUnsignedInt(volume().structure(fatAt + cluster * 2, 2).getShort(0));
      default ->
          volume().structure(fatAt + cluster * 4, 4).order(ByteOrder.LITTLE_ENDIAN).getInt(0)
              & 0x0fffffffL;
    };
  }

  private MalformedFileSystemException damaged(String what) {
    return new MalformedFileSystemException("%s: FAT: %s".formatted(volume().name(), what));
  }
}
