package dev.partita.disk;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// Reads the log of a VHDX file that was not closed, and finds what is to be replayed ([MS-VHDX]
/// 2.3.2, 2.3.3).
///
/// The content is hostile. The work is bounded by the log's size: an entry's structure is verified
/// sector by sector before its checksum, and no sector that can begin an entry can be inside
/// another's structure, so each sector is summed once.
final class VhdxReplay {
  private static final int SECTOR = VhdxLayout.LOG_SECTOR;

  /// Larger logs have not been seen: writers make one of 1 MiB.
  private static final long LARGEST_LOG = 64 << 20;

  /// Zero ranges that a read-only opening holds in memory.
  private static final long MOST_OVERLAID = 64 << 20;

  /// A whole entry.
  private record Entry(
      int offset, int length, int tail, long sequence, int descriptors, long flushed, long last) {}

  private final DiskFile file;
  private final byte[] log;
  private final UUID guid;
  private final List<Entry> sequence;

  private VhdxReplay(DiskFile file, byte[] log, UUID guid, List<Entry> sequence) {
    this.file = file;
    this.log = log;
    this.guid = guid;
    this.sequence = sequence;
  }

  /// Checks where the header places the log.
  static void checkPlace(DiskFile file, VhdxHeaders.Header header) throws IOException {
    VhdxRegions.checkPlace(
        file.name(), "the log", header.logOffset(), header.logLength(), file.size());
    if (header.logLength() > LARGEST_LOG) {
      throw new DiskException(
          "%s: a log of %d bytes; the largest that is known is %d"
              .formatted(file.name(), header.logLength(), LARGEST_LOG));
    }
  }

  /// Finds what is to be replayed; null when the header names no log.
  static @Nullable VhdxReplay find(DiskFile file, VhdxHeaders.Header header) throws IOException {
    if (!header.logged()) {
      return null;
    }
    var log = file.bytes(header.logOffset(), (int) header.logLength());
    var replay = new VhdxReplay(file, log, header.log(), new ArrayList<>());
    replay.search();
    var newest = replay.sequence.getLast();
    if (file.size() < newest.flushed) {
      throw new DiskException(
          "%s: the file was cut off: its log knows of %#x bytes, file %#x"
              .formatted(file.name(), newest.flushed, file.size()));
    }
    replay.verifyPlaces(header);
    return replay;
  }

  private void search() throws DiskException {
    var entries = new HashMap<Integer, Entry>();
    for (int offset = 0; offset < log.length; offset += SECTOR) {
      var entry = entryAt(offset);
      if (entry != null) {
        entries.put(offset, entry);
      }
    }
    var heads = new ArrayList<>(entries.values());
    heads.sort(Comparator.comparingLong(Entry::sequence).reversed());
    for (var newest : heads) {
      if (chain(entries, newest)) {
        return;
      }
    }
    throw new DiskException(
        file.name() + ": the header names a log, but the log has no whole sequence of entries");
  }

  /// Whether the entries from an entry's tail up to it are there without a gap.
  private boolean chain(Map<Integer, Entry> entries, Entry newest) {
    sequence.clear();
    var entry = entries.get(newest.tail);
    while (entry != null && sequence.size() < entries.size()) {
      sequence.add(entry);
      if (entry == newest) {
        return true;
      }
      var next = entries.get((entry.offset + entry.length) % log.length);
      entry = next != null && next.sequence == entry.sequence + 1 ? next : null;
    }
    return false;
  }

  private int at(int offset) {
    return offset % log.length;
  }

  private @Nullable Entry entryAt(int offset) {
    if (!Bytes.matches(log, offset, "loge") || !Bytes.guid(log, offset + 32).equals(guid)) {
      return null;
    }
    long length = Bytes.unsignedInt(log, offset + 8);
    long tail = Bytes.unsignedInt(log, offset + 12);
    long number = Bytes.int64(log, offset + 16);
    long descriptors = Bytes.unsignedInt(log, offset + 24);
    if (length == 0
        || length > log.length
        || length % SECTOR != 0
        || tail >= log.length
        || tail % SECTOR != 0
        || number == 0
        || descriptors > length / VhdxLayout.LOG_DESCRIPTOR) {
      return null;
    }
    long data = descriptorSectors(descriptors) * SECTOR;
    for (int i = 0; i < descriptors; i++) {
      int descriptor = descriptorAt(offset, i);
      if (Bytes.int64(log, descriptor + 24) != number) {
        return null;
      }
      if (Bytes.matches(log, descriptor, "desc")) {
        if (data + SECTOR > length || !isData(at(offset + (int) data), number)) {
          return null;
        }
        data += SECTOR;
      } else if (!Bytes.matches(log, descriptor, "zero")) {
        return null;
      }
    }
    if (data != length || checksum(offset, (int) length) != Bytes.int32(log, offset + 4)) {
      return null;
    }
    return new Entry(
        offset,
        (int) length,
        (int) tail,
        number,
        (int) descriptors,
        Bytes.int64(log, offset + 48),
        Bytes.int64(log, offset + 56));
  }

  private static long descriptorSectors(long descriptors) {
    return (VhdxLayout.LOG_ENTRY_HEADER + descriptors * VhdxLayout.LOG_DESCRIPTOR + SECTOR - 1)
        / SECTOR;
  }

  private int descriptorAt(int entry, int index) {
    // 32 divides 4096: a descriptor does not cross the ring's end.
    return at(entry + VhdxLayout.LOG_ENTRY_HEADER + index * VhdxLayout.LOG_DESCRIPTOR);
  }

  private boolean isData(int sector, long number) {
    return Bytes.matches(log, sector, "data")
        && Bytes.int32(log, sector + 4) == (int) (number >>> 32)
        && Bytes.int32(log, sector + SECTOR - 4) == (int) number;
  }

  private int checksum(int offset, int length) {
    var entry = new byte[length];
    int toEnd = Math.min(length, log.length - offset);
    System.arraycopy(log, offset, entry, 0, toEnd);
    System.arraycopy(log, 0, entry, toEnd, length - toEnd);
    return VhdxLayout.checksum(entry, 4);
  }

  /// Takes one change that the log holds.
  private interface Change {
    void page(long offset, byte[] bytes) throws IOException;

    void zero(long offset, long length) throws IOException;
  }

  private void each(Change change) throws IOException {
    for (var entry : sequence) {
      long data = descriptorSectors(entry.descriptors) * SECTOR;
      for (int i = 0; i < entry.descriptors; i++) {
        int descriptor = descriptorAt(entry.offset, i);
        long place = Bytes.int64(log, descriptor + 16);
        if (Bytes.matches(log, descriptor, "desc")) {
          var page = new byte[SECTOR];
          int from = at(entry.offset + (int) data);
          System.arraycopy(log, descriptor + 8, page, 0, 8);
          System.arraycopy(log, from + 8, page, 8, SECTOR - 12);
          System.arraycopy(log, descriptor + 4, page, SECTOR - 4, 4);
          change.page(place, page);
          data += SECTOR;
        } else {
          change.zero(place, Bytes.int64(log, descriptor + 8));
        }
      }
    }
  }

  /// Entries may change what is after the header section and outside of the log, within the file as
  /// it will be.
  private void verifyPlaces(VhdxHeaders.Header header) throws IOException {
    long end = Math.max(file.size(), sequence.getLast().last);
    if (end < 0 || end > 2 * VhdxLayout.LARGEST_DISK) {
      throw new DiskException(
          "%s: the log says that the file has %s bytes"
              .formatted(file.name(), Long.toUnsignedString(end)));
    }
    each(
        new Change() {
          @Override
          public void page(long offset, byte[] bytes) throws DiskException {
            zero(offset, SECTOR);
          }

          @Override
          public void zero(long offset, long length) throws DiskException {
            if (((offset | length) & (SECTOR - 1)) != 0
                || offset < VhdxLayout.HEADER_SECTION
                || length < 0
                || offset > end
                || length > end - offset
                || offset < header.logOffset() + header.logLength()
                    && offset + length > header.logOffset()) {
              throw new DiskException(
                  "%s: the log changes what it may not (offset %s, length %s)"
                      .formatted(
                          file.name(),
                          "0x" + Long.toHexString(offset),
                          "0x" + Long.toHexString(length)));
            }
          }
        });
  }

  /// Replays onto the medium. The header must still name the log until this has returned.
  void apply() throws IOException {
    if (file.size() < sequence.getLast().last) {
      file.resize(sequence.getLast().last);
    }
    each(
        new Change() {
          @Override
          public void page(long offset, byte[] bytes) throws IOException {
            file.write(offset, bytes);
          }

          @Override
          public void zero(long offset, long length) throws IOException {
            file.zero(offset, length);
          }
        });
    file.force();
  }

  /// The file as it will be after replay, for reading.
  DiskFile overlay() throws IOException {
    var pages = new HashMap<Long, byte[]>();
    each(
        new Change() {
          @Override
          public void page(long offset, byte[] bytes) {
            pages.put(offset, bytes);
          }

          @Override
          public void zero(long offset, long length) throws DiskException {
            if (length > MOST_OVERLAID || (long) pages.size() * SECTOR > MOST_OVERLAID) {
              throw new DiskException(
                  file.name() + ": its log must be replayed: open it for writing once");
            }
            for (long at = 0; at < length; at += SECTOR) {
              pages.put(offset + at, new byte[SECTOR]);
            }
          }
        });
    return new OverlaidFile(file, Math.max(file.size(), sequence.getLast().last), pages);
  }

  int entries() {
    return sequence.size();
  }
}
