package dev.partita.disk;

import java.io.IOException;
import java.time.Instant;
import java.util.Arrays;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// What a VHD file's structures say, read and verified.
///
/// @param footerAtEnd whether the footer at the file's end is whole; after a crash only the copy at
///     its beginning may be
/// @param copyWhole whether the copy at the beginning is as the footer
/// @param header null for a fixed disk
/// @param table the BAT, in sectors, -1 for none; empty for a fixed disk
/// @param end where a further block can go: the byte after what is used, or the footer's place
/// @param unused bytes before `end` that nothing points to
record VhdStructures(
    DiskFile file,
    VhdFooter footer,
    boolean footerAtEnd,
    boolean copyWhole,
    @Nullable VhdHeader header,
    int[] table,
    long end,
    long unused) {

  static final int UNUSED = -1;
  private static final int READ_PIECE = 1 << 20;
  private static final int DEFAULT_BLOCK = 2 << 20;

  static VhdStructures read(DiskFile file, Complaints complaints) throws IOException {
    var name = file.name();
    long size = file.size();
    if (size < VhdFooter.LENGTH) {
      throw new DiskException(name + ": too short for a VHD file");
    }
    var last = VhdFooter.decode(name, file.bytes(size - VhdFooter.LENGTH, VhdFooter.LENGTH));
    var first = last != null && last.type() == DiskType.FIXED ? null : copy(file);
    var footer = last != null ? last : first;
    if (footer == null) {
      throw new DiskException(
          name + ": not a VHD file, or damaged (no whole footer at its end or beginning)");
    }
    if (footer.type() == DiskType.FIXED) {
      if (last == null || footer.size() > size - VhdFooter.LENGTH) {
        throw new DiskException(
            "%s: the file is too short for a fixed disk of %d bytes (file %#x)"
                .formatted(name, footer.size(), size));
      }
      return new VhdStructures(
          file, footer, true, true, null, new int[0], size - VhdFooter.LENGTH, 0);
    }
    var header = VhdHeader.read(file, footer);
    boolean copyWhole = first != null && Arrays.equals(first.encode(), footer.encode());
    return readTable(file, footer, last != null, copyWhole, header, complaints);
  }

  private static @Nullable VhdFooter copy(DiskFile file) throws IOException {
    return VhdFooter.decode(file.name(), file.bytes(0, VhdFooter.LENGTH));
  }

  private static VhdStructures readTable(
      DiskFile file,
      VhdFooter footer,
      boolean footerAtEnd,
      boolean copyWhole,
      VhdHeader header,
      Complaints complaints)
      throws IOException {
    var name = file.name();
    int blocks = (int) ((footer.size() + header.blockSize() - 1) / header.blockSize());
    var table = new int[blocks];
    long limit = file.size() - (footerAtEnd ? VhdFooter.LENGTH : 0);
    long room = bitmapSize(header.blockSize()) + (long) header.blockSize();
    var places = new long[blocks];
    int used = 0;
    for (long at = 0; at < blocks * 4L; at += READ_PIECE) {
      var piece =
          file.bytes(header.tableOffset() + at, (int) Math.min(READ_PIECE, blocks * 4L - at));
      for (int i = 0; i < piece.length; i += 4) {
        int index = (int) ((at + i) / 4);
        int entry = Bytes.bigInt(piece, i);
        long place = Integer.toUnsignedLong(entry) * VhdFooter.SECTOR;
        if (entry != UNUSED && (place > limit || room > limit - place)) {
          complaints.add(
              "%s: BAT entry %d points past end of file (offset %#x, file %#x)"
                  .formatted(name, index, place, file.size()));
          entry = UNUSED;
        }
        table[index] = entry;
        if (entry != UNUSED) {
          places[used++] = place;
        }
      }
    }
    Arrays.sort(places, 0, used);
    var fixed = fixedPlaces(footer, header);
    long end = 0;
    long inUse = 0;
    for (var place : fixed) {
      end = Math.max(end, place[1]);
      inUse += place[1] - place[0];
    }
    for (int i = 0; i < used; i++) {
      if (i > 0 && places[i] < places[i - 1] + room) {
        complaints.add(
            "%s: two BAT entries point to the same room (offset %#x)".formatted(name, places[i]));
      }
      for (var place : fixed) {
        if (places[i] < place[1] && places[i] + room > place[0]) {
          complaints.add(
              "%s: a BAT entry points into the file's own structures (offset %#x)"
                  .formatted(name, places[i]));
        }
      }
      end = Math.max(end, places[i] + room);
      inUse += room;
    }
    end = (end + VhdFooter.SECTOR - 1) & -VhdFooter.SECTOR;
    if (footerAtEnd) {
      end = Math.max(end, limit & -VhdFooter.SECTOR);
    }
    return new VhdStructures(
        file, footer, footerAtEnd, copyWhole, header, table, end, Math.max(0, end - inUse));
  }

  private static long[][] fixedPlaces(VhdFooter footer, VhdHeader header) {
    var locators = header.locatorPlaces();
    var places = Arrays.copyOf(locators, locators.length + 3);
    places[locators.length] = new long[] {0, VhdFooter.LENGTH};
    places[locators.length + 1] =
        new long[] {footer.dataOffset(), footer.dataOffset() + VhdHeader.LENGTH};
    places[locators.length + 2] =
        new long[] {header.tableOffset(), header.tableOffset() + tableRoom(header.tableEntries())};
    return places;
  }

  /// Bytes of a BAT in the file.
  static long tableRoom(int entries) {
    return (entries * 4L + VhdFooter.SECTOR - 1) & -VhdFooter.SECTOR;
  }

  /// Bytes of the sector bitmap before a block's data: a bit for each sector, in whole sectors.
  static int bitmapSize(int blockSize) {
    int bytes = (blockSize / VhdFooter.SECTOR + 7) / 8;
    return (bytes + VhdFooter.SECTOR - 1) & -VhdFooter.SECTOR;
  }

  /// Lays out a new fixed disk.
  static void createFixed(DiskFile file, long size, boolean reserve, Instant now)
      throws IOException {
    file.resize(size);
    if (reserve) {
      file.reserve(0, size);
    }
    file.write(size, VhdFooter.create(DiskType.FIXED, size, now).encode());
    file.force();
  }

  /// What a new differencing disk says of its parent.
  record Parent(UUID id, int timestamp, ParentLocator locator) {}

  /// Lays out a new dynamic or differencing disk.
  ///
  /// @param blockSize 0 for the usual 2 MiB
  static void createSparse(
      DiskFile file, long size, int blockSize, @Nullable Parent parent, Instant now)
      throws IOException {
    int block = blockSize == 0 ? DEFAULT_BLOCK : blockSize;
    int entries = Math.toIntExact((size + block - 1) / block);
    var footer =
        VhdFooter.create(parent == null ? DiskType.DYNAMIC : DiskType.DIFFERENCING, size, now);
    long at = VhdFooter.LENGTH + VhdHeader.LENGTH;
    var raw = new byte[VhdHeader.LENGTH];
    var relative = parent == null ? null : parent.locator().relativePath();
    var absolute = parent == null ? null : parent.locator().absolutePath();
    long relativeAt = at;
    at += relative == null ? 0 : VhdHeader.locatorRoom(relative);
    long absoluteAt = at;
    at += absolute == null ? 0 : VhdHeader.locatorRoom(absolute);
    var name = absolute == null ? "" : absolute.substring(absolute.lastIndexOf('/') + 1);
    var header =
        new VhdHeader(
            at,
            entries,
            block,
            parent == null ? new UUID(0, 0) : parent.id(),
            parent == null ? 0 : parent.timestamp(),
            name,
            raw);
    int index = 0;
    if (relative != null) {
      header.putLocator(file, index++, true, relative, relativeAt);
    }
    if (absolute != null) {
      header.putLocator(file, index, false, absolute, absoluteAt);
    }
    var table = new byte[(int) Math.min(READ_PIECE, tableRoom(entries))];
    Arrays.fill(table, (byte) 0xFF);
    long tableEnd = at + tableRoom(entries);
    for (long piece = at; piece < tableEnd; piece += table.length) {
      file.write(
          piece,
          java.lang.foreign.MemorySegment.ofArray(table)
              .asSlice(0, Math.min(table.length, tableEnd - piece)));
    }
    file.write(VhdFooter.LENGTH, header.encode());
    file.write(tableEnd, footer.encode());
    file.write(0, footer.encode());
    file.force();
  }
}
