package dev.partita.disk;

import java.io.IOException;
import java.util.BitSet;

/// The block allocation table of a VHDX file ([MS-VHDX] 2.5): an entry for each payload block, and
/// after those of each chunk one for its sector bitmap block.
///
/// Held in pages of a log sector; a page of zeroes is not held at all, so that the memory grows
/// with what the file really says. Changes and snapshots are made under the owner's lock. A payload
/// entry may be read without it by whoever holds the block's lock, under which alone it is changed.
final class VhdxBat {
  private static final int PAGE = VhdxLayout.LOG_SECTOR / 8;
  private static final int READ_PIECE = 1 << 20;

  private final long offset;
  private final int entries;
  private final int payloadBlocks;
  private final long chunkRatio;
  private final long[][] pages;
  private final BitSet dirty = new BitSet();

  VhdxBat(long offset, VhdxMetadata metadata) {
    this.offset = offset;
    this.entries = metadata.batEntries();
    this.payloadBlocks = metadata.payloadBlocks();
    this.chunkRatio = metadata.chunkRatio();
    this.pages = new long[(entries + PAGE - 1) / PAGE][];
  }

  /// Reads the table, and marks in `space` what it points to.
  static VhdxBat read(
      DiskFile file,
      VhdxRegions.Region region,
      VhdxMetadata metadata,
      VhdxSpace space,
      Complaints complaints)
      throws IOException {
    var bat = new VhdxBat(region.offset(), metadata);
    if (bat.entries * 8L > region.length()) {
      throw new DiskException(
          "%s: the BAT of %d entries does not fit its region of %d bytes"
              .formatted(file.name(), bat.entries, region.length()));
    }
    long size = file.size();
    for (long at = 0; at < bat.entries * 8L; at += READ_PIECE) {
      var piece = file.bytes(bat.offset + at, (int) Math.min(READ_PIECE, bat.entries * 8L - at));
      for (int i = 0; i < piece.length; i += 8) {
        long entry = Bytes.int64(piece, i);
        if (entry != 0) {
          int index = (int) ((at + i) / 8);
          bat.check(file.name(), index, entry, metadata, size, space, complaints);
          bat.put(index, entry);
        }
      }
    }
    if (metadata.hasParent()) {
      bat.checkBitmaps(file.name(), complaints);
    }
    return bat;
  }

  /// A partially present block needs its chunk's sector bitmap (2.5.1.2).
  private void checkBitmaps(String name, Complaints complaints) throws DiskException {
    for (int page = 0; page < pages.length; page++) {
      for (int i = 0; pages[page] != null && i < PAGE; i++) {
        int index = page * PAGE + i;
        if ((pages[page][i] & VhdxLayout.STATE_MASK) == VhdxLayout.PARTIALLY_PRESENT) {
          int bitmap = (int) (index / (chunkRatio + 1) * (chunkRatio + 1) + chunkRatio);
          if ((get(bitmap) & VhdxLayout.STATE_MASK) != VhdxLayout.BITMAP_PRESENT) {
            complaints.add(
                "%s: BAT entry %d is partially present, but entry %d has no sector bitmap"
                    .formatted(name, index, bitmap));
          }
        }
      }
    }
  }

  private void check(
      String name,
      int index,
      long entry,
      VhdxMetadata metadata,
      long size,
      VhdxSpace space,
      Complaints complaints)
      throws DiskException {
    int state = (int) (entry & VhdxLayout.STATE_MASK);
    long place = entry & VhdxLayout.OFFSET_MASK;
    boolean bitmap = index % (chunkRatio + 1) == chunkRatio;
    if ((entry & VhdxLayout.RESERVED_MASK) != 0) {
      complaints.add("%s: BAT entry %d has reserved bits set (%#x)".formatted(name, index, entry));
    }
    boolean allowed =
        bitmap
            ? state == 0 || state == VhdxLayout.BITMAP_PRESENT && metadata.hasParent()
            : state <= VhdxLayout.UNMAPPED
                || state == VhdxLayout.FULLY_PRESENT
                || state == VhdxLayout.PARTIALLY_PRESENT && metadata.hasParent();
    if (!allowed) {
      complaints.add(
          "%s: BAT entry %d has state %d, which a %s disk does not have"
              .formatted(name, index, state, metadata.type().label()));
      return;
    }
    boolean present = state >= VhdxLayout.FULLY_PRESENT;
    long length = bitmap ? VhdxLayout.MIB : metadata.blockSize();
    boolean within = place >= 0 && place <= size && length <= size - place;
    if (!present) {
      // An unmapped or undefined block may keep its room, for itself alone (2.5.1.1); other states
      // say nothing by their offset.
      if (place != 0 && within && (state == VhdxLayout.UNDEFINED || state == VhdxLayout.UNMAPPED)) {
        space.reserve(place, length);
      }
      return;
    }
    if (!within) {
      complaints.add(
          "%s: BAT entry %d points past end of file (offset %s, file %#x)"
              .formatted(name, index, "0x" + Long.toHexString(place), size));
    } else if (!space.reserve(place, length)) {
      complaints.add(
          "%s: BAT entry %d points to room that something else uses (offset %#x)"
              .formatted(name, index, place));
    }
  }

  int payloadBlocks() {
    return payloadBlocks;
  }

  /// The index of a payload block's entry.
  int payloadIndex(int block) {
    return (int) (block + block / chunkRatio);
  }

  /// The index of the sector bitmap's entry of the chunk that a payload block is in.
  int bitmapIndex(int block) {
    return (int) (block / chunkRatio * (chunkRatio + 1) + chunkRatio);
  }

  long get(int index) {
    var page = pages[index / PAGE];
    return page == null ? 0 : page[index % PAGE];
  }

  void set(int index, int state, long place) {
    put(index, place | state);
    dirty.set(index / PAGE);
  }

  private void put(int index, long entry) {
    var page = pages[index / PAGE];
    if (page == null) {
      if (entry == 0) {
        return;
      }
      page = new long[PAGE];
      pages[index / PAGE] = page;
    }
    page[index % PAGE] = entry;
  }

  int dirtyPages() {
    return dirty.cardinality();
  }

  /// Moves the changed pages into a list for the log, the last of the file first: the entry of a
  /// chunk's sector bitmap comes after the entries of its payload blocks, and must be on the medium
  /// no later than they.
  void takeDirty(java.util.List<VhdxLog.Page> to) {
    for (int page = dirty.length() - 1; page >= 0; page = dirty.previousSetBit(page - 1)) {
      if (dirty.get(page)) {
        to.add(new VhdxLog.Page(offset + (long) page * VhdxLayout.LOG_SECTOR, encode(page)));
      }
    }
    dirty.clear();
  }

  private byte[] encode(int page) {
    var bytes = new byte[VhdxLayout.LOG_SECTOR];
    var longs = pages[page];
    if (longs != null) {
      for (int i = 0; i < PAGE; i++) {
        Bytes.putLong(bytes, i * 8, longs[i]);
      }
    }
    return bytes;
  }

  /// Writes the whole table in place: a new file's, or one that moves.
  void writeTo(DiskFile file, long place) throws IOException {
    for (int page = 0; page < pages.length; page++) {
      if (pages[page] != null) {
        file.write(place + (long) page * VhdxLayout.LOG_SECTOR, encode(page));
      }
    }
    dirty.clear();
  }
}
