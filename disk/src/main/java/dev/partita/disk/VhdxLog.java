package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.TreeMap;
import java.util.UUID;

/// Writes the log of a VHDX file ([MS-VHDX] 2.3), through which every change of the BAT, the sector
/// bitmaps and the metadata goes. Not thread-safe: its owner's commit lock guards it.
///
/// How a crash at any moment is survived:
///
/// The log is a ring of entries with rising sequence numbers. Each entry names its tail, the oldest
/// entry that must be replayed with it. Replay takes the newest whole entry whose chain back to its
/// tail is whole ({@link VhdxReplay}). So the chain of the newest entry on the medium must never be
/// overwritten, not even by an entry that would replace it, as that may be torn. Therefore:
///
/// 1. The chain fills at most half of the ring, and so does one entry: an entry always has room
///    beside the chain.
/// 2. When the chain would outgrow its half, all its pages are written in place and forced (a
///    checkpoint); only then comes an entry that is its own tail. Until that is on the medium the
///    old chain still counts, and replays to the same pages.
/// 3. Pages are written in place in a checkpoint alone, when the entries with them have been forced
///    and the header names this log: a torn page in place is always mended by replay.
/// 4. The header names the log's GUID only once the first entry is on the medium, for a header that
///    names a log without a valid entry means a damaged file. At rest the header names none.
final class VhdxLog {
  private static final int SECTOR = VhdxLayout.LOG_SECTOR;

  /// Descriptors that fit the sector of the entry's header; entries have one such sector.
  private static final int MOST_PAGES =
      (SECTOR - VhdxLayout.LOG_ENTRY_HEADER) / VhdxLayout.LOG_DESCRIPTOR;

  /// A sector of metadata as it shall be.
  ///
  /// @param offset in the file, a multiple of 4096
  /// @param bytes 4096
  record Page(long offset, byte[] bytes) {}

  private final DiskFile file;
  private final VhdxHeaders headers;
  private final long start;
  private final int sectors;
  private final TreeMap<Long, byte[]> live = new TreeMap<>();
  private UUID guid = VhdxLayout.NO_GUID;
  private long sequence;
  private int head;
  private int used;
  private boolean named;

  /// For a file whose header names no log.
  VhdxLog(DiskFile file, VhdxHeaders headers) {
    this.file = file;
    this.headers = headers;
    this.start = headers.current().logOffset();
    this.sectors = (int) (headers.current().logLength() / SECTOR);
  }

  /// Whether a page's newest content is in the log only.
  boolean holds(long offset) {
    return live.containsKey(offset);
  }

  /// Puts pages on the medium by way of the log. What they point to must be there already. Pages of
  /// one call that fit an entry come into force together; else those before no later than those
  /// after.
  ///
  /// @param flushed the file's size at the last flush
  /// @param last the end of what the file's structures use
  void append(List<Page> pages, long flushed, long last) throws IOException {
    int most = Math.min(MOST_PAGES, sectors / 2 - 1);
    for (int from = 0; from < pages.size(); from += most) {
      var piece = pages.subList(from, Math.min(pages.size(), from + most));
      int length = piece.size() + 1;
      if (used + length > sectors / 2) {
        checkpoint();
      }
      write(piece, length, flushed, last);
    }
    file.force();
    name();
  }

  private void write(List<Page> pages, int length, long flushed, long last) throws IOException {
    if (guid.equals(VhdxLayout.NO_GUID)) {
      guid = UUID.randomUUID();
      sequence = 0;
      head = 0;
      used = 0;
      named = false;
    }
    sequence++;
    int tail = Math.floorMod(head - used, sectors);
    var entry = encode(pages, length, tail, flushed, last);
    int toEnd = Math.min(length, sectors - head);
    var memory = MemorySegment.ofArray(entry);
    file.write(start + (long) head * SECTOR, memory.asSlice(0, (long) toEnd * SECTOR));
    if (toEnd < length) {
      file.write(start, memory.asSlice((long) toEnd * SECTOR));
    }
    head = (head + length) % sectors;
    used += length;
    pages.forEach(page -> live.put(page.offset(), page.bytes()));
  }

  private byte[] encode(List<Page> pages, int length, int tail, long flushed, long last) {
    var entry = new byte[length * SECTOR];
    Bytes.putAscii(entry, 0, "loge");
    Bytes.putInt(entry, 8, entry.length);
    Bytes.putInt(entry, 12, tail * SECTOR);
    Bytes.putLong(entry, 16, sequence);
    Bytes.putInt(entry, 24, pages.size());
    Bytes.putGuid(entry, 32, guid);
    Bytes.putLong(entry, 48, flushed & -VhdxLayout.MIB);
    Bytes.putLong(entry, 56, Math.max(last, flushed & -VhdxLayout.MIB));
    int descriptor = VhdxLayout.LOG_ENTRY_HEADER;
    int data = SECTOR;
    for (var page : pages) {
      // The first 8 and the last 4 bytes of the page are in the descriptor: in their place the data
      // sector has its signature and sequence number (2.3.1.3).
      Bytes.putAscii(entry, descriptor, "desc");
      System.arraycopy(page.bytes(), SECTOR - 4, entry, descriptor + 4, 4);
      System.arraycopy(page.bytes(), 0, entry, descriptor + 8, 8);
      Bytes.putLong(entry, descriptor + 16, page.offset());
      Bytes.putLong(entry, descriptor + 24, sequence);
      Bytes.putAscii(entry, data, "data");
      Bytes.putInt(entry, data + 4, (int) (sequence >>> 32));
      System.arraycopy(page.bytes(), 8, entry, data + 8, SECTOR - 12);
      Bytes.putInt(entry, data + SECTOR - 4, (int) sequence);
      descriptor += VhdxLayout.LOG_DESCRIPTOR;
      data += SECTOR;
    }
    Bytes.putInt(entry, 4, VhdxLayout.checksum(entry, 4));
    return entry;
  }

  private void name() throws IOException {
    if (!named) {
      headers.update(header -> header.withLog(guid));
      named = true;
    }
  }

  /// Writes all pages of the log in place. Afterwards the next entry is its own tail.
  private void checkpoint() throws IOException {
    if (live.isEmpty()) {
      return;
    }
    file.force();
    name();
    for (var page : live.entrySet()) {
      file.write(page.getKey(), page.getValue());
    }
    file.force();
    live.clear();
    used = 0;
  }

  /// Brings the file to rest: everything in place, no log named.
  void drain() throws IOException {
    if (!guid.equals(VhdxLayout.NO_GUID)) {
      checkpoint();
      headers.update(header -> header.withLog(VhdxLayout.NO_GUID));
      guid = VhdxLayout.NO_GUID;
    }
  }
}
