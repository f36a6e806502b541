package dev.partita.disk;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// The hard disk footer of a VHD file: Virtual Hard Disk Image Format Specification 1.0, "Hard Disk
/// Footer Format". All numbers are big-endian.
///
/// @param features bit 1 is always set
/// @param dataOffset where the dynamic header is; all ones for a fixed disk
/// @param timestamp seconds since 2000 began, UTC
/// @param creator the program that made it, four characters
/// @param size bytes of the disk
/// @param geometry cylinders, heads, sectors per track; kept as found, for readers that go by it
/// @param id of the disk; a child knows its parent by it
record VhdFooter(
    int features,
    long dataOffset,
    int timestamp,
    String creator,
    int creatorVersion,
    int creatorSystem,
    long originalSize,
    long size,
    int geometry,
    DiskType type,
    UUID id,
    byte savedState) {

  static final int LENGTH = 512;
  static final int SECTOR = 512;
  static final String COOKIE = "conectix";
  static final long NO_OFFSET = -1;

  /// Hyper-V's limit: a BAT entry is 32 bits of sectors.
  static final long LARGEST_DISK = 2040L << 30;

  /// 2000-01-01 00:00 UTC, in seconds since 1970.
  private static final long EPOCH = 946_684_800;

  private static final int VERSION = 0x0001_0000;
  private static final int SYSTEM_WINDOWS = 0x5769_326B; // "Wi2k"

  /// Readers of VHD compute the size of the disk from its geometry, which is coarse, unless they
  /// know the creator as one whose size field counts. Windows' own name is the one that all know.
  private static final String CREATOR = "win ";

  private static final int CREATOR_VERSION = 0x000A_0000;
  private static final int TYPE_FIXED = 2;
  private static final int TYPE_DYNAMIC = 3;
  private static final int TYPE_DIFFERENCING = 4;

  /// The footer of a new disk.
  static VhdFooter create(DiskType type, long size, Instant now) {
    return new VhdFooter(
        2,
        type == DiskType.FIXED ? NO_OFFSET : LENGTH,
        timestamp(now),
        CREATOR,
        CREATOR_VERSION,
        SYSTEM_WINDOWS,
        size,
        size,
        geometry(size / SECTOR),
        type,
        UUID.randomUUID(),
        (byte) 0);
  }

  static int timestamp(Instant time) {
    return (int) Math.clamp(time.getEpochSecond() - EPOCH, 0, 0xFFFF_FFFFL);
  }

  VhdFooter withSize(long newSize) {
    return new VhdFooter(
        features,
        dataOffset,
        timestamp,
        creator,
        creatorVersion,
        creatorSystem,
        originalSize,
        newSize,
        geometry(newSize / SECTOR),
        type,
        id,
        savedState);
  }

  /// Reads a footer; null when the bytes are none.
  ///
  /// @throws DiskException when it is one that cannot be served
  static @Nullable VhdFooter decode(String name, byte[] bytes) throws DiskException {
    if (!Bytes.matches(bytes, 0, COOKIE) || Bytes.bigInt(bytes, 64) != checksum(bytes, 64)) {
      return null;
    }
    int version = Bytes.bigInt(bytes, 12);
    if (version >>> 16 != 1) {
      throw new DiskException("%s: VHD version %#x is unknown".formatted(name, version));
    }
    int type = Bytes.bigInt(bytes, 60);
    long size = Bytes.bigLong(bytes, 48);
    if (size <= 0 || size > LARGEST_DISK || size % SECTOR != 0) {
      throw new DiskException(
          "%s: disk size %s is not of whole sectors, up to 2040 GiB"
              .formatted(name, Long.toUnsignedString(size)));
    }
    return new VhdFooter(
        Bytes.bigInt(bytes, 8),
        Bytes.bigLong(bytes, 16),
        Bytes.bigInt(bytes, 24),
        new String(bytes, 28, 4, StandardCharsets.ISO_8859_1),
        Bytes.bigInt(bytes, 32),
        Bytes.bigInt(bytes, 36),
        Bytes.bigLong(bytes, 40),
        size,
        Bytes.bigInt(bytes, 56),
        switch (type) {
          case TYPE_FIXED -> DiskType.FIXED;
          case TYPE_DYNAMIC -> DiskType.DYNAMIC;
          case TYPE_DIFFERENCING -> DiskType.DIFFERENCING;
          default -> throw new DiskException("%s: VHD of unknown type %d".formatted(name, type));
        },
        Bytes.bigUuid(bytes, 68),
        bytes[84]);
  }

  byte[] encode() {
    var bytes = new byte[LENGTH];
    Bytes.putAscii(bytes, 0, COOKIE);
    Bytes.putBigInt(bytes, 8, features | 2);
    Bytes.putBigInt(bytes, 12, VERSION);
    Bytes.putBigLong(bytes, 16, dataOffset);
    Bytes.putBigInt(bytes, 24, timestamp);
    Bytes.putAscii(bytes, 28, creator);
    Bytes.putBigInt(bytes, 32, creatorVersion);
    Bytes.putBigInt(bytes, 36, creatorSystem);
    Bytes.putBigLong(bytes, 40, originalSize);
    Bytes.putBigLong(bytes, 48, size);
    Bytes.putBigInt(bytes, 56, geometry);
    Bytes.putBigInt(
        bytes,
        60,
        switch (type) {
          case FIXED -> TYPE_FIXED;
          case DYNAMIC -> TYPE_DYNAMIC;
          case DIFFERENCING -> TYPE_DIFFERENCING;
        });
    Bytes.putBigUuid(bytes, 68, id);
    bytes[84] = savedState;
    Bytes.putBigInt(bytes, 64, checksum(bytes, 64));
    return bytes;
  }

  /// Cylinders in the upper 16 bits, then heads and sectors per track in 8 each: the
  /// specification's appendix "CHS Calculation".
  static int geometry(long totalSectors) {
    long total = Math.min(totalSectors, 65535L * 16 * 255);
    long perTrack;
    long heads;
    long tracks;
    if (total >= 65535L * 16 * 63) {
      perTrack = 255;
      heads = 16;
      tracks = total / perTrack;
    } else {
      perTrack = 17;
      tracks = total / perTrack;
      heads = Math.max(4, (tracks + 1023) / 1024);
      if (tracks >= heads * 1024 || heads > 16) {
        perTrack = 31;
        heads = 16;
        tracks = total / perTrack;
      }
      if (tracks >= heads * 1024) {
        perTrack = 63;
        heads = 16;
        tracks = total / perTrack;
      }
    }
    return (int) (tracks / heads << 16 | heads << 8 | perTrack);
  }

  /// The one's complement of the sum of all bytes, those of the field itself left out.
  static int checksum(byte[] bytes, int field) {
    int sum = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (i < field || i >= field + 4) {
        sum += bytes[i] & 0xFF;
      }
    }
    return ~sum;
  }
}
