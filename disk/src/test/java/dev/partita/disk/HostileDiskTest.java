package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Files whose structures were made to do harm, or have been damaged at random: opening, checking,
/// reading and writing them ends with a message or works, and nothing else.
class HostileDiskTest {
  private static final int SIZE = 8 << 20;

  static MemoryFile make(DiskFormat format, boolean differencing, boolean dirtyLog)
      throws IOException {
    var file = new MemoryFile();
    var locator = new ParentLocator(new UUID(1, 2), null, "./parent", "/parent");
    if (format == DiskFormat.VHDX) {
      VhdxStructures.create(
          file,
          new VhdxMetadata(
              1 << 20,
              false,
              differencing,
              SIZE,
              UUID.randomUUID(),
              512,
              4096,
              differencing ? locator : null,
              java.util.Map.of()),
          false);
    } else {
      VhdStructures.createSparse(
          file,
          SIZE,
          512 << 10,
          differencing ? new VhdStructures.Parent(new UUID(1, 2), 0, locator) : null,
          java.time.Instant.EPOCH);
    }
    var disk = DiskChain.open(file, format, DiskChain.Parents.NONE);
    for (int i = 0; i < 6; i++) {
      disk.write((long) i << 20, MemorySegment.ofArray(new byte[4096 + 512 * i]));
      disk.flush();
    }
    if (dirtyLog) {
      disk.abandon();
    } else {
      disk.close();
    }
    return file.copy(false);
  }

  /// Where structures of a format are, and so where damage does most.
  static long[][] structures(DiskFormat format, long size) {
    return format == DiskFormat.VHDX
        ? new long[][] {
          {0, 8},
          {65536, 80},
          {131072, 80},
          {196608, 96},
          {262144, 96},
          {1 << 20, 32 << 10},
          {2 << 20, 256},
          {(2 << 20) + 65536, 64},
          {(2 << 20) + 69632, 200},
          {3 << 20, 128}
        }
        : new long[][] {{0, 86}, {512, 64}, {1088, 192}, {1536, 1200}, {size - 512, 86}};
  }

  @ParameterizedTest
  @CsvSource({
    "VHDX,false,false",
    "VHDX,true,false",
    "VHDX,false,true",
    "VHDX,true,true",
    "VHD,false,false",
    "VHD,true,false"
  })
  void randomDamageEndsInAMessage(DiskFormat format, boolean differencing, boolean dirtyLog)
      throws Exception {
    var origin = make(format, differencing, dirtyLog);
    var random = new Random(format.ordinal() * 4L + (differencing ? 2 : 0) + (dirtyLog ? 1 : 0));
    int refused = 0;
    int rounds = 1500;
    for (int round = 0; round < rounds; round++) {
      var file = origin.copy(false);
      var places = structures(format, file.size());
      for (int i = random.nextInt(4); i >= 0; i--) {
        var place = places[random.nextInt(places.length)];
        damage(file, place[0] + random.nextInt((int) place[1]), random);
      }
      if (random.nextInt(20) == 0) {
        file.resize(random.nextLong(file.size()));
      }
      if (random.nextInt(10) != 0) {
        mendChecksums(file, format);
      }
      if (!survives(file, format, random)) {
        refused++;
      }
    }
    // Both happen, or the damage was of no use.
    assertThat(refused).isBetween(rounds / 50, rounds - rounds / 50);
  }

  private static void damage(MemoryFile file, long offset, Random random) throws IOException {
    int length = random.nextInt(3) == 0 ? 8 : 1 << random.nextInt(3);
    if (offset + length > file.size()) {
      return;
    }
    var bytes = file.bytes(offset, length);
    switch (random.nextInt(4)) {
      case 0 -> bytes[random.nextInt(length)] ^= (byte) (1 << random.nextInt(8));
      case 1 -> java.util.Arrays.fill(bytes, (byte) 0xFF);
      case 2 -> java.util.Arrays.fill(bytes, (byte) 0);
      default -> random.nextBytes(bytes);
    }
    file.write(offset, bytes);
  }

  /// Makes damaged structures pass their checksums, so that what is behind them is reached.
  static void mendChecksums(MemoryFile file, DiskFormat format) throws IOException {
    if (format == DiskFormat.VHDX) {
      mend(file, 65536, 4096);
      mend(file, 131072, 4096);
      mend(file, 196608, 65536);
      mend(file, 262144, 65536);
      for (long at = 1 << 20; at < 2 << 20 && at + 64 <= file.size(); at += 4096) {
        var head = file.bytes(at, 64);
        long length = Bytes.unsignedInt(head, 8);
        if (Bytes.matches(head, 0, "loge") && length >= 4096 && at + length <= 2 << 20) {
          mend(file, at, (int) length);
        }
      }
    } else {
      mendVhd(file, 0, 512, 64);
      mendVhd(file, 512, 1024, 36);
      mendVhd(file, file.size() - 512, 512, 64);
    }
  }

  private static void mend(MemoryFile file, long offset, int length) throws IOException {
    if (offset + length <= file.size()) {
      var bytes = file.bytes(offset, length);
      Bytes.putInt(bytes, 4, VhdxLayout.checksum(bytes, 4));
      file.write(offset, bytes);
    }
  }

  private static void mendVhd(MemoryFile file, long offset, int length, int field)
      throws IOException {
    if (offset >= 0 && offset + length <= file.size()) {
      var bytes = file.bytes(offset, length);
      Bytes.putBigInt(bytes, field, VhdFooter.checksum(bytes, field));
      file.write(offset, bytes);
    }
  }

  static boolean survives(MemoryFile file, DiskFormat format, Random random) throws IOException {
    DiskCheck.check(file.copy(true), format, false);
    DiskCheck.check(file.copy(false), format, true);
    try {
      DiskChain.open(file.copy(true), format, DiskChain.Parents.NONE).close();
      var disk = DiskChain.open(file, format, DiskChain.Parents.NONE);
      try {
        int sector = disk.logicalSectorSize();
        for (int i = 0; i < 6; i++) {
          long offset =
              (disk.size() > sector ? random.nextLong(disk.size() - sector) : 0) & -sector;
          Contents.read(disk, offset, sector);
          disk.ownExtent(offset);
          if (offset < 64 << 20) {
            disk.write(offset, MemorySegment.ofArray(new byte[sector]));
          }
        }
        disk.flush();
      } finally {
        disk.close();
      }
      return true;
    } catch (IOException e) {
      if (!(e instanceof DiskException) || e.getMessage() == null) {
        fail("a refusal without a message of its own", e);
      }
      return false;
    }
  }

  @Test
  void aBlockPastTheEndIsNamed() throws Exception {
    var file = make(DiskFormat.VHDX, false, false);
    var entry = new byte[8];
    Bytes.putLong(entry, 0, 0x3000000L | VhdxLayout.FULLY_PRESENT);
    file.write((3 << 20) + 7 * 8, entry);
    assertThatThrownBy(() -> DiskChain.open(file, DiskFormat.VHDX, DiskChain.Parents.NONE))
        .isInstanceOf(DiskException.class)
        .hasMessage(
            "memory.disk: BAT entry 7 points past end of file (offset 0x3000000, file %#x)"
                .formatted(file.size()));
  }

  @Test
  void blocksThatShareRoomAreNamed() throws Exception {
    var file = make(DiskFormat.VHDX, false, false);
    file.write((3 << 20) + 8, file.bytes(3 << 20, 8));
    var report = DiskCheck.check(file.copy(true), DiskFormat.VHDX, false);
    assertThat(report.errors()).hasSize(1);
    assertThat(report.errors().getFirst()).contains("BAT entry 1 points to room");
  }

  @Test
  void aHugeLogOfOverlappingEntriesIsReadOnce() throws Exception {
    // Every sector says that it begins an entry as long as the log.
    var file = make(DiskFormat.VHDX, false, true);
    int logLength = 32 << 20;
    long logOffset = 64 << 20;
    file.resize(logOffset + logLength);
    var guid = UUID.randomUUID();
    var sector = new byte[4096];
    Bytes.putAscii(sector, 0, "loge");
    Bytes.putInt(sector, 8, logLength);
    Bytes.putLong(sector, 16, 1);
    Bytes.putGuid(sector, 32, guid);
    for (long at = 0; at < logLength; at += 4096) {
      file.write(logOffset + at, sector);
    }
    var header =
        new VhdxHeaders.Header(
            1 << 20, UUID.randomUUID(), UUID.randomUUID(), guid, logOffset, logLength);
    file.write(VhdxLayout.HEADER_OFFSETS[0], header.encode());
    assertThatThrownBy(() -> DiskChain.open(file, DiskFormat.VHDX, DiskChain.Parents.NONE))
        .hasMessageContaining("no whole sequence");
  }

  @Test
  void damagedCopiesAreMended() throws Exception {
    var file = make(DiskFormat.VHDX, false, false);
    file.write(65536 + 100, new byte[] {1});
    file.write(196608 + 100, new byte[] {1});
    assertThat(DiskCheck.check(file.copy(true), DiskFormat.VHDX, false).errors()).hasSize(2);
    var repaired = DiskCheck.check(file, DiskFormat.VHDX, true);
    assertThat(repaired.errors()).isEmpty();
    assertThat(repaired.repaired()).hasSize(2);
    assertThat(DiskCheck.check(file.copy(true), DiskFormat.VHDX, false).errors()).isEmpty();

    var vhd = make(DiskFormat.VHD, false, false);
    vhd.write(vhd.size() - 512, new byte[512]);
    assertThat(DiskCheck.check(vhd.copy(true), DiskFormat.VHD, false).errors()).hasSize(1);
    assertThat(DiskCheck.check(vhd, DiskFormat.VHD, true).errors()).isEmpty();
    assertThat(DiskCheck.check(vhd.copy(true), DiskFormat.VHD, false).sound()).isTrue();
  }
}
