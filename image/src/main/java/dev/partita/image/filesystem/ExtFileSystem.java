package dev.partita.image.filesystem;

import static dev.partita.image.filesystem.ExtLayout.*;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// Reads ext2, ext3 and ext4. Checksums are not verified; a journal with something in it is read
/// as if it had been replayed, without writing to the disk.
public final class ExtFileSystem extends FileSystem {
  /// A directory of more bytes is taken for a defect: this one has some 400,000 files.
  private static final long LARGEST_DIRECTORY = 32 << 20;

  private final int blockSize;
  private final long blocks;
  private final long inodes;
  private final long inodesPerGroup;
  private final long blocksPerGroup;
  private final long firstDataBlock;
  private final int inodeSize;
  private final int descriptorSize;
  private final long firstMetaGroup;
  private final int incompat;
  private final int roCompat;
  private final int compat;
  private final String uuid;
  private final String label;
  private final String type;

  /// Empty while the journal itself is being read.
  private ExtJournal journal = ExtJournal.EMPTY;

  private ExtFileSystem(Volume volume, ByteBuffer s) throws IOException {
    super(volume);
    int log = s.getInt(S_LOG_BLOCK_SIZE);
    if (log < 0 || log > 6) {
      throw damaged("a block size of 2^%d KiB".formatted(log));
    }
    blockSize = 1024 << log;
    incompat = s.getInt(S_FEATURE_INCOMPAT);
    roCompat = s.getInt(S_FEATURE_RO_COMPAT);
    compat = s.getInt(S_FEATURE_COMPAT);
    int unknown = incompat & ~INCOMPAT_UNDERSTOOD;
    if (unknown != 0) {
      throw damaged("uses features that are not understood here (%#x)".formatted(unknown));
    }
    boolean wide = (incompat & INCOMPAT_64BIT) != 0;
    blocks =
        Integer.toUnsignedLong(s.getInt(S_BLOCKS_COUNT_LO))
            | (wide ? Integer.toUnsignedLong(s.getInt(S_BLOCKS_COUNT_HI)) << 32 : 0);
    if (blocks == 0 || blocks > volume.length() / blockSize) {
      throw damaged(
          "its %d blocks of %d bytes do not fit in %d bytes"
              .formatted(blocks, blockSize, volume.length()));
    }
    inodes = Integer.toUnsignedLong(s.getInt(S_INODES_COUNT));
    inodesPerGroup = Integer.toUnsignedLong(s.getInt(S_INODES_PER_GROUP));
    blocksPerGroup = Integer.toUnsignedLong(s.getInt(S_BLOCKS_PER_GROUP));
    firstDataBlock = Integer.toUnsignedLong(s.getInt(S_FIRST_DATA_BLOCK));
    firstMetaGroup = Integer.toUnsignedLong(s.getInt(S_FIRST_META_BG));
    inodeSize =
        s.getInt(S_REV_LEVEL) == 0 ? OLD_INODE_SIZE : Short.toUnsignedInt(s.getShort(S_INODE_SIZE));
    if (inodeSize < OLD_INODE_SIZE || inodeSize > blockSize || Integer.bitCount(inodeSize) != 1) {
      throw damaged("inodes of %d bytes".formatted(inodeSize));
    }
    int size = wide ? Short.toUnsignedInt(s.getShort(S_DESC_SIZE)) : DESCRIPTOR_32;
    descriptorSize = size == 0 ? DESCRIPTOR_32 : size;
    if (descriptorSize < DESCRIPTOR_32
        || descriptorSize > blockSize
        || Integer.bitCount(descriptorSize) != 1) {
      throw damaged("group descriptors of %d bytes".formatted(descriptorSize));
    }
    if (inodesPerGroup == 0 || blocksPerGroup == 0 || firstDataBlock > 1) {
      throw damaged("no inodes or blocks in a group");
    }
    byte[] id = new byte[16];
    s.get(S_UUID, id);
    String hex = HexFormat.of().formatHex(id);
    uuid =
        String.join(
            "-",
            hex.substring(0, 8),
            hex.substring(8, 12),
            hex.substring(12, 16),
            hex.substring(16, 20),
            hex.substring(20));
    byte[] name = new byte[16];
    s.get(S_VOLUME_NAME, name);
    label = new String(name, StandardCharsets.UTF_8).replaceAll("\0.*", "");
    type =
        (incompat & (INCOMPAT_EXTENTS | INCOMPAT_64BIT | INCOMPAT_FLEX_BG)) != 0
            ? "ext4"
            : (compat & COMPAT_HAS_JOURNAL) != 0 ? "ext3" : "ext2";
    journal = readJournal(Integer.toUnsignedLong(s.getInt(S_JOURNAL_INUM)));
  }

  /// Whether a superblock is there.
  static boolean isPresent(Volume volume) throws IOException {
    return volume.length() >= SUPERBLOCK + SUPERBLOCK_SIZE
        && Short.toUnsignedInt(volume.structure(SUPERBLOCK, SUPERBLOCK_SIZE).getShort(S_MAGIC))
            == MAGIC
        // A journal on a device of its own has the same magic number.
        && (volume.structure(SUPERBLOCK, SUPERBLOCK_SIZE).getInt(S_FEATURE_INCOMPAT)
                & INCOMPAT_JOURNAL_DEV)
            == 0;
  }

  /// Opens what is there.
  public static ExtFileSystem open(Volume volume) throws IOException {
    if (!isPresent(volume)) {
      throw new MalformedFileSystemException(volume.name() + ": no ext4 file system");
    }
    return new ExtFileSystem(volume, volume.structure(SUPERBLOCK, SUPERBLOCK_SIZE));
  }

  private ExtJournal readJournal(long inode) throws IOException {
    if ((incompat & INCOMPAT_RECOVER) == 0 || (compat & COMPAT_HAS_JOURNAL) == 0) {
      return ExtJournal.EMPTY;
    }
    if (inode == 0) {
      return ExtJournal.unread("the journal is on another device");
    }
    Inode file = inode(inode, ExtJournal.EMPTY);
    return ExtJournal.read(
        blockSize, blocks, file.size() / blockSize, logical -> physical(file, logical), this::raw);
  }

  @Override
  public String type() {
    return type;
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
    return journal.remark();
  }

  @Override
  public Node root() throws IOException {
    return inode(ROOT_INODE, journal).node();
  }

  /// An inode as it is on the disk.
  private record Inode(long number, ByteBuffer raw) {
    int flags() {
      return raw.getInt(I_FLAGS);
    }

    long size() {
      return Integer.toUnsignedLong(raw.getInt(I_SIZE_LO)) | (long) raw.getInt(I_SIZE_HIGH) << 32;
    }

    boolean has(int flag) {
      return (flags() & flag) != 0;
    }

    Node node() {
      // The type is in the mode's upper four bits (inode(7)).
      Node.Kind kind =
          switch (raw.getShort(I_MODE) >> 12 & 0xf) {
            case 0x8 -> Node.Kind.FILE;
            case 0x4 -> Node.Kind.DIRECTORY;
            case 0xa -> Node.Kind.LINK;
            default -> Node.Kind.OTHER;
          };
      return new Node(number, kind, size());
    }
  }

  private Inode inode(long number) throws IOException {
    return inode(number, journal);
  }

  private Inode inode(long number, ExtJournal through) throws IOException {
    if (number < 1 || number > inodes) {
      throw damaged("names inode %d of %d".formatted(number, inodes));
    }
    long group = (number - 1) / inodesPerGroup;
    long index = (number - 1) % inodesPerGroup;
    ByteBuffer descriptor = descriptor(group, through);
    long table = Integer.toUnsignedLong(descriptor.getInt(BG_INODE_TABLE_LO));
    if (descriptorSize >= DESCRIPTOR_64) {
      table |= (long) descriptor.getInt(BG_INODE_TABLE_HI) << 32;
    }
    long at = index * inodeSize;
    ByteBuffer inode = part(table + at / blockSize, (int) (at % blockSize), inodeSize, through);
    Inode found = new Inode(number, inode);
    if (found.size() < 0) {
      throw damaged("inode %d has a negative size".formatted(number));
    }
    return found;
  }

  private ByteBuffer descriptor(long group, ExtJournal through) throws IOException {
    int perBlock = blockSize / descriptorSize;
    long meta = group / perBlock;
    // The superblock's own block; with clusters and blocks of 1 KiB it is not the first data block.
    long superblock = SUPERBLOCK / blockSize;
    long block;
    if ((incompat & INCOMPAT_META_BG) != 0 && meta >= firstMetaGroup) {
      // Each meta group has its descriptors in its first group, behind a superblock if there is
      // one.
      long first = meta * perBlock;
      block =
          first == 0
              ? superblock + 1
              : firstDataBlock + first * blocksPerGroup + (hasSuperblock(first) ? 1 : 0);
    } else {
      block = superblock + 1 + meta;
    }
    return part(block, (int) (group % perBlock) * descriptorSize, descriptorSize, through);
  }

  private boolean hasSuperblock(long group) {
    if (group == 0) {
      return true;
    }
    if ((compat & COMPAT_SPARSE_SUPER2) != 0) {
      return false; // the two groups it names are never a meta group's first but for group 1
    }
    if ((roCompat & RO_COMPAT_SPARSE_SUPER) == 0 || group == 1) {
      return true;
    }
    for (int base : new int[] {3, 5, 7}) {
      long power = base;
      while (power < group) {
        power *= base;
      }
      if (power == group) {
        return true;
      }
    }
    return false;
  }

  private ByteBuffer block(long number, ExtJournal through) throws IOException {
    return through.block(number, this::raw);
  }

  /// A part of a block.
  private ByteBuffer part(long number, int at, int count, ExtJournal through) throws IOException {
    if (!through.isEmpty()) {
      return block(number, through).slice(at, count).order(ByteOrder.LITTLE_ENDIAN);
    }
    if (number < 0 || number >= blocks) {
      throw damaged("names block %d of %d".formatted(number, blocks));
    }
    return volume().structure(number * blockSize + at, count);
  }

  private ByteBuffer raw(long number) throws IOException {
    if (number < 0 || number >= blocks) {
      throw damaged("names block %d of %d".formatted(number, blocks));
    }
    return volume().structure(number * blockSize, blockSize);
  }

  @Override
  public SortedMap<String, Node> list(Node directory) throws IOException {
    SortedMap<String, Node> nodes = new TreeMap<>();
    for (var entry : inodes(directory).entrySet()) {
      nodes.put(entry.getKey(), inode(entry.getValue()).node());
    }
    return nodes;
  }

  @Override
  protected @Nullable Node child(Node directory, String name) throws IOException {
    Long number = inodes(directory).get(name);
    return number == null ? null : inode(number).node();
  }

  /// A directory's entries: names and the numbers of their inodes.
  private Map<String, Long> inodes(Node directory) throws IOException {
    Inode inode = inode(directory.id());
    if (inode.node().kind() != Node.Kind.DIRECTORY) {
      throw damaged("inode %d is no directory".formatted(directory.id()));
    }
    if (inode.size() > LARGEST_DIRECTORY) {
      throw damaged("a directory of %d bytes".formatted(inode.size()));
    }
    Map<String, Long> entries = new HashMap<>();
    if (inode.has(FLAG_INLINE_DATA)) {
      ByteBuffer inline = inlineData(inode);
      // The first four bytes are the parent's inode; what is in the attribute is a block of its
      // own.
      int first = Math.min(I_BLOCK_SIZE, inline.limit());
      if (first > 4) {
        entries(inline.slice(4, first - 4), entries);
      }
      if (inline.limit() > first) {
        entries(inline.slice(first, inline.limit() - first), entries);
      }
      return entries;
    }
    // Index blocks of hashed directories look like entries without a file, for just this purpose.
    byte[] block = new byte[blockSize];
    for (long at = 0; at < inode.size(); at += blockSize) {
      if (readMapped(inode, at, block, (int) Math.min(blockSize, inode.size() - at))) {
        entries(ByteBuffer.wrap(block), entries);
      }
    }
    return entries;
  }

  /// Reads a run of entries: inode, length of the entry, length of the name, type, name.
  private void entries(ByteBuffer run, Map<String, Long> into) throws IOException {
    ByteBuffer entries = run.order(ByteOrder.LITTLE_ENDIAN);
    int at = 0;
    while (at + 8 <= entries.limit()) {
      long number = Integer.toUnsignedLong(entries.getInt(at));
      int length = Short.toUnsignedInt(entries.getShort(at + 4));
      // 64 KiB do not fit: blocks of that size have 0 or 65535 for a length to their end.
      if (blockSize == 1 << 16 && (length == 0 || length == 0xffff)) {
        length = entries.limit() - at;
      }
      int nameLength = Byte.toUnsignedInt(entries.get(at + 6));
      if (length < 8 || length > entries.limit() - at || nameLength > length - 8) {
        throw damaged(
            "a directory entry of %d bytes for a name of %d".formatted(length, nameLength));
      }
      if (number != 0 && nameLength > 0) {
        byte[] bytes = new byte[nameLength];
        entries.get(at + 8, bytes);
        String name = new String(bytes, StandardCharsets.UTF_8);
        if (!name.equals(".") && !name.equals("..")) {
          into.put(name, number);
        }
      }
      at += length;
    }
  }

  @Override
  void read(Node node, long at, byte[] to, int count) throws IOException {
    Inode inode = inode(node.id());
    if (inode.has(FLAG_ENCRYPTED)) {
      throw damaged("inode %d is encrypted".formatted(node.id()));
    }
    if (inode.has(FLAG_INLINE_DATA)) {
      ByteBuffer inline = inlineData(inode);
      if (at + count > inline.limit()) {
        throw damaged("inode %d has less data than it says".formatted(node.id()));
      }
      inline.get((int) at, to, 0, count);
    } else if (node.kind() == Node.Kind.LINK
        && inode.size() < I_BLOCK_SIZE
        && !inode.has(FLAG_EXTENTS)) {
      inode.raw().get(I_BLOCK + (int) at, to, 0, count);
    } else {
      readMapped(inode, at, to, count);
    }
  }

  /// Reads what blocks hold; holes read as zeroes.
  ///
  /// @return whether anything but holes was there
  private boolean readMapped(Inode inode, long at, byte[] to, int count) throws IOException {
    if (inode.has(FLAG_COMPRESSED)) {
      throw damaged("inode %d is compressed".formatted(inode.number()));
    }
    boolean any = false;
    for (int done = 0; done < count; ) {
      long logical = (at + done) / blockSize;
      int within = (int) ((at + done) % blockSize);
      long physical = physical(inode, logical);
      // Blocks that follow each other are read at once.
      int part = Math.min(count - done, blockSize - within);
      while (part < count - done
          && physical != 0
          && journal.isEmpty()
          && physical(inode, logical + (within + part) / blockSize)
              == physical + (within + part) / blockSize) {
        part = Math.min(count - done, part + blockSize);
      }
      if (physical == 0) {
        Arrays.fill(to, done, done + part, (byte) 0);
      } else if (journal.isEmpty()) {
        if (physical >= blocks) {
          throw damaged("names block %d of %d".formatted(physical, blocks));
        }
        volume().content(physical * blockSize + within, to, done, part);
        any = true;
      } else {
        block(physical, journal).get(within, to, done, part);
        any = true;
      }
      done += part;
    }
    return any;
  }

  /// Where a block of a file is; 0 for a hole.
  private long physical(Inode inode, long logical) throws IOException {
    long found =
        inode.has(FLAG_EXTENTS) ? throughExtents(inode, logical) : throughMap(inode, logical);
    if (found < 0 || found >= blocks) {
      throw damaged("inode %d has block %d of %d".formatted(inode.number(), found, blocks));
    }
    return found;
  }

  private long throughExtents(Inode inode, long logical) throws IOException {
    if (logical > 0xffffffffL) {
      return 0;
    }
    ByteBuffer node = inode.raw().slice(I_BLOCK, I_BLOCK_SIZE).order(ByteOrder.LITTLE_ENDIAN);
    int above = EXTENT_DEPTH + 1;
    while (true) {
      int entries = Short.toUnsignedInt(node.getShort(2));
      int depth = Short.toUnsignedInt(node.getShort(6));
      if (Short.toUnsignedInt(node.getShort(0)) != EXTENT_MAGIC
          || depth >= above
          || (above <= EXTENT_DEPTH && depth != above - 1)
          || EXTENT_SIZE * (1 + entries) > node.limit()) {
        throw damaged("inode %d has a broken extent tree".formatted(inode.number()));
      }
      // The last entry that begins at the block or before it.
      int low = 0;
      int high = entries;
      while (low < high) {
        int middle = (low + high) >>> 1;
        if (Integer.toUnsignedLong(node.getInt(EXTENT_SIZE * (1 + middle))) <= logical) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      if (low == 0) {
        return 0;
      }
      int at = EXTENT_SIZE * low; // of entry low - 1, behind the header
      long first = Integer.toUnsignedLong(node.getInt(at));
      if (depth == 0) {
        int length = Short.toUnsignedInt(node.getShort(at + 4));
        boolean unwritten = length > EXTENT_UNWRITTEN;
        long within = logical - first;
        if (within >= (unwritten ? length - EXTENT_UNWRITTEN : length) || unwritten) {
          return 0;
        }
        return (Integer.toUnsignedLong(node.getInt(at + 8))
                | (long) Short.toUnsignedInt(node.getShort(at + 6)) << 32)
            + within;
      }
      long child =
          Integer.toUnsignedLong(node.getInt(at + 4))
              | (long) Short.toUnsignedInt(node.getShort(at + 8)) << 32;
      node = block(child, journal);
      above = depth;
    }
  }

  /// Twelve blocks direct, then through one, two and three levels of blocks of numbers.
  private long throughMap(Inode inode, long logical) throws IOException {
    long perBlock = blockSize / 4;
    long left = logical;
    if (left < 12) {
      return Integer.toUnsignedLong(inode.raw().getInt(I_BLOCK + (int) left * 4));
    }
    left -= 12;
    long span = 1;
    for (int level = 1; level <= 3; level++) {
      span *= perBlock;
      if (left < span) {
        long at = Integer.toUnsignedLong(inode.raw().getInt(I_BLOCK + (11 + level) * 4));
        for (long below = span / perBlock; below >= 1 && at != 0; below /= perBlock) {
          at =
              Integer.toUnsignedLong(
                  block(at, journal).getInt((int) (left / below % perBlock) * 4));
        }
        return at;
      }
      left -= span;
    }
    return 0;
  }

  /// What an inode holds in itself: the place of its block numbers, then the attribute
  /// `system.data` behind its fields.
  private ByteBuffer inlineData(Inode inode) throws IOException {
    long size = inode.size();
    if (size > inodeSize) {
      throw damaged("inode %d has %d bytes in itself".formatted(inode.number(), size));
    }
    byte[] data = new byte[(int) size];
    ByteBuffer raw = inode.raw();
    int first = (int) Math.min(size, I_BLOCK_SIZE);
    raw.get(I_BLOCK, data, 0, first);
    if (size > first) {
      ByteBuffer rest = systemData(inode);
      if (rest.limit() < size - first) {
        throw damaged("inode %d has less data than it says".formatted(inode.number()));
      }
      rest.get(0, data, first, (int) size - first);
    }
    return ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
  }

  private ByteBuffer systemData(Inode inode) throws IOException {
    ByteBuffer raw = inode.raw();
    if (inodeSize > OLD_INODE_SIZE + 4) {
      int start = OLD_INODE_SIZE + Short.toUnsignedInt(raw.getShort(I_EXTRA_ISIZE));
      if (start + 4 <= inodeSize && raw.getInt(start) == XATTR_MAGIC) {
        int base = start + 4;
        // Entries until four zero bytes: length and kind of the name, where the value is, its size.
        for (int at = base; at + XATTR_ENTRY_SIZE <= inodeSize && raw.getInt(at) != 0; ) {
          int nameLength = Byte.toUnsignedInt(raw.get(at));
          int index = Byte.toUnsignedInt(raw.get(at + 1));
          int offset = Short.toUnsignedInt(raw.getShort(at + 2));
          long length = Integer.toUnsignedLong(raw.getInt(at + 8));
          if (at + XATTR_ENTRY_SIZE + nameLength > inodeSize) {
            break;
          }
          byte[] name = new byte[nameLength];
          raw.get(at + XATTR_ENTRY_SIZE, name);
          if (index == XATTR_INDEX_SYSTEM
              && new String(name, StandardCharsets.UTF_8).equals("data")
              && raw.getInt(at + 4) == 0
              && offset + length <= inodeSize - base) {
            return raw.slice(base + offset, (int) length);
          }
          at += XATTR_ENTRY_SIZE + (nameLength + 3 & ~3);
        }
      }
    }
    throw damaged("inode %d lacks the rest of its data".formatted(inode.number()));
  }

  private MalformedFileSystemException damaged(String what) {
    return new MalformedFileSystemException("%s: ext4: %s".formatted(volume().name(), what));
  }
}
