package dev.partita.disk;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// The dynamic disk header of a VHD file: Virtual Hard Disk Image Format Specification 1.0,
/// "Dynamic Disk Header Format".
///
/// @param tableOffset where the BAT is
/// @param tableEntries entries that it has room for
/// @param blockSize bytes of a block's data
/// @param parentTimestamp when the parent was last modified, as the footer's timestamp
/// @param parentName the parent's file name
/// @param raw the header's own bytes, of which those unknown to this program are kept
record VhdHeader(
    long tableOffset,
    int tableEntries,
    int blockSize,
    UUID parentId,
    int parentTimestamp,
    String parentName,
    byte[] raw) {

  static final int LENGTH = 1024;
  private static final String COOKIE = "cxsparse";
  private static final int LOCATORS = 8;
  private static final int LOCATOR_TABLE = 576;
  private static final int LOCATOR_ENTRY = 24;
  private static final int PLATFORM_RELATIVE = 0x5732_7275; // "W2ru", UTF-16LE
  private static final int PLATFORM_ABSOLUTE = 0x5732_6B75; // "W2ku", UTF-16LE
  private static final int LONGEST_PATH = 64 << 10;

  /// Entries of the largest BAT served: 2040 GiB in blocks of 128 KiB. Blocks of 2 MiB are usual,
  /// of 512 KiB rare.
  private static final int MOST_ENTRIES = 1 << 24;

  static VhdHeader read(DiskFile file, VhdFooter footer) throws IOException {
    var name = file.name();
    long at = footer.dataOffset();
    if (at < VhdFooter.LENGTH || at > file.size() - LENGTH || at % VhdFooter.SECTOR != 0) {
      throw new DiskException(
          "%s: the footer points to a dynamic header outside of the file (offset %s, file %#x)"
              .formatted(name, "0x" + Long.toHexString(at), file.size()));
    }
    var bytes = file.bytes(at, LENGTH);
    if (!Bytes.matches(bytes, 0, COOKIE)
        || Bytes.bigInt(bytes, 36) != VhdFooter.checksum(bytes, 36)) {
      throw new DiskException(
          "%s: the dynamic header at %#x is damaged (cookie or checksum)".formatted(name, at));
    }
    long entries = Integer.toUnsignedLong(Bytes.bigInt(bytes, 28));
    long block = Integer.toUnsignedLong(Bytes.bigInt(bytes, 32));
    if (block < VhdFooter.SECTOR || block > 256 << 20 || Long.bitCount(block) != 1) {
      throw new DiskException(
          "%s: block size %d is not a power of two from 512 bytes to 256 MiB"
              .formatted(name, block));
    }
    long needed = (footer.size() + block - 1) / block;
    if (entries < needed || needed > MOST_ENTRIES) {
      throw new DiskException(
          "%s: a BAT of %d entries, where the disk's size needs %d (at most %d are served)"
              .formatted(name, entries, needed, MOST_ENTRIES));
    }
    long table = Bytes.bigLong(bytes, 16);
    if (table < VhdFooter.LENGTH
        || table % VhdFooter.SECTOR != 0
        || table > file.size()
        || entries * 4 > file.size() - table) {
      throw new DiskException(
          "%s: the BAT reaches past end of file (offset %s, %d entries, file %#x)"
              .formatted(name, "0x" + Long.toHexString(table), entries, file.size()));
    }
    var parent = new String(bytes, 64, 512, StandardCharsets.UTF_16BE);
    int end = parent.indexOf(0);
    return new VhdHeader(
        table,
        (int) entries,
        (int) block,
        Bytes.bigUuid(bytes, 40),
        Bytes.bigInt(bytes, 56),
        end < 0 ? parent : parent.substring(0, end),
        bytes);
  }

  VhdHeader withTable(long offset, int entries) {
    return new VhdHeader(offset, entries, blockSize, parentId, parentTimestamp, parentName, raw);
  }

  byte[] encode() {
    var bytes = raw.clone();
    Bytes.putAscii(bytes, 0, COOKIE);
    Bytes.putBigLong(bytes, 8, VhdFooter.NO_OFFSET);
    Bytes.putBigLong(bytes, 16, tableOffset);
    Bytes.putBigInt(bytes, 24, 0x0001_0000);
    Bytes.putBigInt(bytes, 28, tableEntries);
    Bytes.putBigInt(bytes, 32, blockSize);
    Bytes.putBigUuid(bytes, 40, parentId);
    Bytes.putBigInt(bytes, 56, parentTimestamp);
    var parent = parentName.getBytes(StandardCharsets.UTF_16BE);
    System.arraycopy(parent, 0, bytes, 64, Math.min(parent.length, 510));
    Bytes.putBigInt(bytes, 36, VhdFooter.checksum(bytes, 36));
    return bytes;
  }

  /// Bytes of a locator's text in the file, in whole sectors.
  static int locatorRoom(String path) {
    int bytes = path.length() * 2;
    return (bytes + VhdFooter.SECTOR - 1) & -VhdFooter.SECTOR;
  }

  /// Puts a locator into the header of a new file, and its text at its place in the file.
  ///
  /// @param index which of the eight
  void putLocator(DiskFile file, int index, boolean relative, String path, long offset)
      throws IOException {
    var text = ParentLocator.toWindows(path).getBytes(StandardCharsets.UTF_16LE);
    int at = LOCATOR_TABLE + index * LOCATOR_ENTRY;
    Bytes.putBigInt(raw, at, relative ? PLATFORM_RELATIVE : PLATFORM_ABSOLUTE);
    Bytes.putBigInt(raw, at + 4, locatorRoom(path) / VhdFooter.SECTOR);
    Bytes.putBigInt(raw, at + 8, text.length);
    Bytes.putBigLong(raw, at + 16, offset);
    file.write(offset, text);
  }

  /// How the header names the parent.
  ParentLocator locator(DiskFile file) throws IOException {
    String relative = null;
    String absolute = null;
    for (int i = 0; i < LOCATORS; i++) {
      int at = LOCATOR_TABLE + i * LOCATOR_ENTRY;
      switch (Bytes.bigInt(raw, at)) {
        case PLATFORM_RELATIVE -> relative = locatorText(file, at);
        case PLATFORM_ABSOLUTE -> absolute = locatorText(file, at);
        default -> {
          // None, or of a system that this host is not.
        }
      }
    }
    if (relative == null && absolute == null && !parentName.isEmpty()) {
      relative = ParentLocator.toHost(parentName);
    }
    return new ParentLocator(parentId, null, relative, absolute);
  }

  private @Nullable String locatorText(DiskFile file, int at) throws IOException {
    long length = Integer.toUnsignedLong(Bytes.bigInt(raw, at + 8));
    long offset = Bytes.bigLong(raw, at + 16);
    if (length == 0
        || length > LONGEST_PATH
        || offset < 0
        || offset > file.size()
        || length > file.size() - offset) {
      return null;
    }
    var text = new String(file.bytes(offset, (int) length), StandardCharsets.UTF_16LE);
    int end = text.indexOf(0);
    return ParentLocator.toHost(end < 0 ? text : text.substring(0, end));
  }

  /// The places of locator texts, which nothing else may use.
  long[][] locatorPlaces() {
    var places = new long[LOCATORS][];
    int count = 0;
    for (int i = 0; i < LOCATORS; i++) {
      int at = LOCATOR_TABLE + i * LOCATOR_ENTRY;
      long length = Integer.toUnsignedLong(Bytes.bigInt(raw, at + 8));
      long offset = Bytes.bigLong(raw, at + 16);
      if (Bytes.bigInt(raw, at) != 0
          && length > 0
          && length <= LONGEST_PATH
          && offset > 0
          && offset < 1L << 50) {
        places[count++] = new long[] {offset, offset + length};
      }
    }
    return java.util.Arrays.copyOf(places, count);
  }
}
