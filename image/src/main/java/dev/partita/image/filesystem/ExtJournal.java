package dev.partita.image.filesystem;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/// The newer blocks that the journal of an ext3 or ext4 file system holds when it was not
/// unmounted: what the next mount would write to their places (Linux:
/// Documentation/filesystems/ext4, "Journal (jbd2)"). All numbers in it are big-endian.
///
/// Only transactions with their commit block count, up to the first that lacks it or, where the
/// journal has checksums, whose commit block's is wrong. A block that was revoked in the same or
/// a later transaction is not taken from the journal.
final class ExtJournal {
  private static final int MAGIC = 0xc03b3998;
  private static final int DESCRIPTOR = 1;
  private static final int COMMIT = 2;
  private static final int SUPERBLOCK_V1 = 3;
  private static final int SUPERBLOCK_V2 = 4;
  private static final int REVOKE = 5;

  // The superblock's fields, behind the header of magic number, type and sequence number.
  private static final int S_BLOCKSIZE = 12;
  private static final int S_MAXLEN = 16;
  private static final int S_FIRST = 20;
  private static final int S_SEQUENCE = 24;
  private static final int S_START = 28;
  private static final int S_INCOMPAT = 40;
  private static final int S_UUID = 48;

  private static final int INCOMPAT_REVOKE = 0x1;
  private static final int INCOMPAT_64BIT = 0x2;
  private static final int INCOMPAT_ASYNC_COMMIT = 0x4;
  private static final int INCOMPAT_CSUM_V2 = 0x8;
  private static final int INCOMPAT_CSUM_V3 = 0x10;
  private static final int INCOMPAT_FAST_COMMIT = 0x20;
  private static final int INCOMPAT_UNDERSTOOD =
      INCOMPAT_REVOKE
          | INCOMPAT_64BIT
          | INCOMPAT_ASYNC_COMMIT
          | INCOMPAT_CSUM_V2
          | INCOMPAT_CSUM_V3
          | INCOMPAT_FAST_COMMIT;

  private static final int TAG_ESCAPED = 1;
  private static final int TAG_SAME_UUID = 2;
  private static final int TAG_LAST = 8;

  private static final int COMMIT_CHECKSUM = 16;

  /// A journal of more blocks is not read: mke2fs makes them of 262,144 at most.
  private static final long MOST_BLOCKS = 1 << 20;

  /// Nothing in it.
  static final ExtJournal EMPTY = new ExtJournal(Map.of(), "");

  private final Map<Long, Copy> copies;
  private final String remark;

  private ExtJournal(Map<Long, Copy> copies, String remark) {
    this.copies = copies;
    this.remark = remark;
  }

  /// Where the newer content of a block is.
  ///
  /// @param place block of the file system
  /// @param escaped whether its first four bytes are the journal's magic number, with zeroes in
  ///     their place
  private record Copy(long place, boolean escaped) {}

  /// A block of a transaction.
  private record Logged(long block, long sequence, Copy copy) {}

  /// Reads blocks of the file system.
  @FunctionalInterface
  interface Blocks {
    ByteBuffer read(long number) throws IOException;
  }

  /// Finds where a block of the journal is; 0 for nowhere.
  @FunctionalInterface
  interface Mapping {
    long place(long logical) throws IOException;
  }

  /// A journal that cannot be read: the file system is taken as it is.
  static ExtJournal unread(String why) {
    return new ExtJournal(
        Map.of(), "it was not unmounted, and is read as it is: %s".formatted(why));
  }

  boolean isEmpty() {
    return copies.isEmpty();
  }

  String remark() {
    return remark;
  }

  /// A block, from the journal when it is there.
  ByteBuffer block(long number, Blocks blocks) throws IOException {
    Copy copy = copies.get(number);
    if (copy == null) {
      return blocks.read(number);
    }
    ByteBuffer block = blocks.read(copy.place());
    if (copy.escaped()) {
      block.order(ByteOrder.BIG_ENDIAN).putInt(0, MAGIC).order(ByteOrder.LITTLE_ENDIAN);
    }
    return block;
  }

  /// Reads a journal.
  ///
  /// @param blockSize of the file system
  /// @param fileSystemBlocks how many there are
  /// @param journalBlocks of the journal's file
  static ExtJournal read(
      int blockSize, long fileSystemBlocks, long journalBlocks, Mapping mapping, Blocks blocks)
      throws IOException {
    if (journalBlocks < 2 || journalBlocks > MOST_BLOCKS) {
      return unread("its journal has %d blocks".formatted(journalBlocks));
    }
    ByteBuffer s = blocks.read(mapping.place(0)).order(ByteOrder.BIG_ENDIAN);
    int kind = s.getInt(4);
    if (s.getInt(0) != MAGIC || (kind != SUPERBLOCK_V1 && kind != SUPERBLOCK_V2)) {
      return unread("its journal has no superblock");
    }
    int incompat = kind == SUPERBLOCK_V1 ? 0 : s.getInt(S_INCOMPAT);
    long length = Integer.toUnsignedLong(s.getInt(S_MAXLEN));
    long first = Integer.toUnsignedLong(s.getInt(S_FIRST));
    long start = Integer.toUnsignedLong(s.getInt(S_START));
    if ((incompat & ~INCOMPAT_UNDERSTOOD) != 0) {
      return unread("its journal has features that are not understood here");
    }
    if (start == 0) {
      return EMPTY; // unmounted after all, or mounted without a change
    }
    if (s.getInt(S_BLOCKSIZE) != blockSize
        || first < 1
        || length > journalBlocks
        || start < first
        || start >= length) {
      return unread("its journal's superblock contradicts itself");
    }
    byte[] uuid = new byte[16];
    s.get(S_UUID, uuid);
    Reader reader = new Reader(incompat, uuid, first, length, mapping, blocks);
    reader.run(start, s.getInt(S_SEQUENCE));
    Map<Long, Copy> copies = new HashMap<>();
    for (Logged logged : reader.committed) {
      Long revoked = reader.revoked.get(logged.block());
      if ((revoked == null || revoked < logged.sequence())
          && logged.block() < fileSystemBlocks
          && logged.copy().place() != 0) {
        copies.put(logged.block(), logged.copy()); // a later transaction's replaces it
      }
    }
    String fast = (incompat & INCOMPAT_FAST_COMMIT) != 0 ? "; fast commits, if any, are not" : "";
    return new ExtJournal(
        copies,
        "it was not unmounted: %d blocks of %d transactions are read from its journal%s"
            .formatted(copies.size(), reader.transactions, fast));
  }

  /// Goes through the log once.
  private static final class Reader {
    private final int incompat;
    private final byte[] uuid;
    private final long first;
    private final long length;
    private final Mapping mapping;
    private final Blocks blocks;
    private final List<Logged> committed = new ArrayList<>();
    private final Map<Long, Long> revoked = new HashMap<>();
    private int transactions;

    Reader(int incompat, byte[] uuid, long first, long length, Mapping mapping, Blocks blocks) {
      this.incompat = incompat;
      this.uuid = uuid.clone();
      this.first = first;
      this.length = length;
      this.mapping = mapping;
      this.blocks = blocks;
    }

    /// Reads transactions until one is not complete. Sequence numbers may wrap: they are counted on
    /// from the first, so that later is larger.
    void run(long start, int firstSequence) throws IOException {
      List<Logged> logged = new ArrayList<>();
      List<Long> revokes = new ArrayList<>();
      long sequence = 0;
      long at = start;
      for (long seen = 0; seen < length - first; ) {
        ByteBuffer block = log(at);
        if (block == null
            || block.getInt(0) != MAGIC
            || block.getInt(8) != firstSequence + (int) sequence) {
          return;
        }
        at = next(at);
        seen++;
        switch (block.getInt(4)) {
          case DESCRIPTOR -> {
            for (Tag tag : tags(block)) {
              long place = mapping.place(at);
              logged.add(new Logged(tag.block(), sequence, new Copy(place, tag.escaped())));
              at = next(at);
              seen++;
              if (seen > length - first) {
                return;
              }
            }
          }
          case REVOKE -> revokes(block, revokes);
          case COMMIT -> {
            if (!isSound(block)) {
              return;
            }
            committed.addAll(logged);
            for (long one : revokes) {
              revoked.merge(one, sequence, Math::max);
            }
            logged.clear();
            revokes.clear();
            transactions++;
            sequence++;
          }
          default -> {
            return;
          }
        }
      }
    }

    private long next(long at) {
      return at + 1 == length ? first : at + 1;
    }

    private @org.jspecify.annotations.Nullable ByteBuffer log(long at) throws IOException {
      long place = mapping.place(at);
      return place == 0 ? null : blocks.read(place).order(ByteOrder.BIG_ENDIAN);
    }

    /// A descriptor's word on one of the blocks that follow it.
    private record Tag(long block, boolean escaped) {}

    private List<Tag> tags(ByteBuffer block) {
      boolean wide = (incompat & INCOMPAT_64BIT) != 0;
      boolean v3 = (incompat & INCOMPAT_CSUM_V3) != 0;
      boolean v2 = (incompat & INCOMPAT_CSUM_V2) != 0;
      int size = v3 ? 16 : 8 + (v2 ? 2 : 0) + (wide ? 4 : 0);
      int end = block.limit() - (v2 || v3 ? 4 : 0);
      List<Tag> tags = new ArrayList<>();
      for (int at = 12; at + size <= end; ) {
        long number = Integer.toUnsignedLong(block.getInt(at));
        int flags = v3 ? block.getInt(at + 4) : Short.toUnsignedInt(block.getShort(at + 6));
        if (wide) {
          number |= (long) block.getInt(at + 8) << 32;
        }
        tags.add(new Tag(number & Long.MAX_VALUE, (flags & TAG_ESCAPED) != 0));
        at += size + ((flags & TAG_SAME_UUID) != 0 ? 0 : 16);
        if ((flags & TAG_LAST) != 0) {
          break;
        }
      }
      return tags;
    }

    private void revokes(ByteBuffer block, List<Long> into) {
      int size = (incompat & INCOMPAT_64BIT) != 0 ? 8 : 4;
      int end = Math.min(block.getInt(12), block.limit());
      for (int at = 16; at + size <= end; at += size) {
        into.add(size == 8 ? block.getLong(at) : Integer.toUnsignedLong(block.getInt(at)));
      }
    }

    /// Whether a commit block's checksum is right: CRC-32C of the journal's UUID and the block,
    /// with zeroes where the checksum is, and without the last inversion.
    private boolean isSound(ByteBuffer block) {
      if ((incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3)) == 0) {
        return true;
      }
      int told = block.getInt(COMMIT_CHECKSUM);
      byte[] bytes = new byte[block.limit()];
      block.get(0, bytes);
      ByteBuffer.wrap(bytes).putInt(COMMIT_CHECKSUM, 0);
      CRC32C crc = new CRC32C();
      crc.update(uuid);
      crc.update(bytes);
      return ~(int) crc.getValue() == told;
    }
  }
}
