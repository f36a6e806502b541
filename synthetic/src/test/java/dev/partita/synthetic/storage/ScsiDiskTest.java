package dev.partita.synthetic.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.disk.CreateOptions;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import dev.partita.disk.Disks;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Numbers are those of SPC-4 and SBC-3, written by hand.
class ScsiDiskTest {
  private static final int SIZE = 1 << 20;
  private static final UUID ID = UUID.fromString("01234567-89ab-cdef-0123-456789abcdef");

  private final FaultyDisk disk = new FaultyDisk(SIZE, 512);
  private final ScsiDisk unit = new ScsiDisk(disk, ID);
  private final Initiator initiator = new Initiator(unit);

  @AfterEach
  void close() {
    initiator.close();
  }

  private static byte[] random(int length, long seed) {
    var bytes = new byte[length];
    new SplittableRandom(seed).nextBytes(bytes);
    return bytes;
  }

  private byte[] stored(int offset, int length) {
    return disk.content.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
  }

  private static void assertSense(ScsiResult result, int key, int code, int qualifier) {
    assertThat(result.status()).isEqualTo(2);
    assertThat(result.transferred()).isZero();
    assertThat(result.sense()).isEqualTo(new Sense(key, code, qualifier));
  }

  private static void assertGood(ScsiResult result) {
    assertThat(result.isGood()).as("%s", result).isTrue();
  }

  // --- reading and writing ---

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0A 000010 08 00 / 08 000010 08 00",
        "2A 00 00000010 00 0008 00 / 28 00 00000010 00 0008 00",
        "AA 00 00000010 00000008 00 00 / A8 00 00000010 00000008 00 00",
        "8A 00 0000000000000010 00000008 0000 / 88 00 0000000000000010 00000008 0000",
        "2E 00 00000010 00 0008 00 / 28 00 00000010 00 0008 00",
      })
  void whatIsWrittenIsRead(String commands) {
    var data = random(4096, 1);
    var pair = commands.split("/");
    var written = initiator.send(pair[0], data);
    assertGood(written);
    assertThat(written.transferred()).isEqualTo(4096);
    assertThat(stored(0x10 * 512, 4096)).isEqualTo(data);
    var read = initiator.fetch(pair[1]);
    assertGood(read.result());
    assertThat(read.data()).isEqualTo(data);
  }

  @Test
  void zeroBlocksAreNoneButInTheSixByteCommand() {
    assertGood(initiator.send("28 00 00000010 00 0000 00"));
    assertThat(initiator.fetch("08 000000 00 00").data()).hasSize(256 * 512);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "28 00 000007FF 00 0002 00",
        "28 00 FFFFFFFF 00 0001 00",
        "88 00 0000000000000800 00000001 0000",
        "88 00 FFFFFFFFFFFFFFFF 00000001 0000",
        "88 00 7FFFFFFFFFFFFFFF 00000001 0000",
        "88 00 0000000000000000 FFFFFFFF 0000",
        "8A 00 0000000000000800 00000001 0000",
        "8A 00 8000000000000000 FFFFFFFF 0000",
        "35 00 00000800 00 0001 00",
        "91 00 FFFFFFFFFFFFFFFF 00000001 0000",
        "8F 00 00000000000007FF 00000002 0000",
        "93 01 00000000000007FF 00000002 0000",
      })
  void whatIsBeyondTheEndIsRefused(String cdb) {
    assertSense(initiator.send(cdb, new byte[2048]), 5, 0x21, 0);
    assertThat(disk.begun.availablePermits()).as("requests to the file").isZero();
  }

  @Test
  void moreThanTheBufferHoldsIsNotMoved() {
    disk.content.fill((byte) 7);
    var read = initiator.fetch("28 00 00000000 00 0002 00", 1023);
    assertThat(read.result().isGood()).isFalse();
    assertThat(read.result().transferred()).isZero();
    assertThat(initiator.send("2A 00 00000000 00 0002 00", new byte[1023]).isGood()).isFalse();
    assertThat(initiator.send("2A 00 00000000 00 0002 00").isGood()).isFalse();
    assertThat(stored(0, 1024)).containsOnly(7);
  }

  @Test
  void lessThanTheBufferHoldsLeavesTheRestAlone() {
    disk.content.fill((byte) 7);
    initiator.memory.segment().fill((byte) 9);
    var read = initiator.fetch("28 00 00000000 00 0001 00", 4096);
    assertThat(read.result().transferred()).isEqualTo(512);
    long sevens =
        initiator
            .memory
            .segment()
            .elements(ValueLayout.JAVA_BYTE)
            .filter(ScsiDiskTest::isSeven)
            .count();
    assertThat(sevens).isEqualTo(512);
  }

  private static boolean isSeven(MemorySegment one) {
    return one.get(ValueLayout.JAVA_BYTE, 0) == 7;
  }

  @Test
  void protectionInformationIsRefused() {
    for (var opcode : List.of("28", "2A", "2E", "2F", "41")) {
      assertSense(initiator.send(opcode + "20 00000000 00 0001 00", new byte[512]), 5, 0x24, 0);
    }
    assertSense(initiator.send("88 E0 0000000000000000 00000001 0000", new byte[512]), 5, 0x24, 0);
  }

  // --- the write cache ---

  @Test
  void whatIsFlushedIsOnTheMedium() {
    assertGood(initiator.send("2A 00 00000000 00 0001 00", new byte[512]));
    assertThat(disk.flushes).isZero();
    assertGood(initiator.send("35 00 00000000 00 0000 00"));
    assertThat(disk.flushes).isEqualTo(1);
    assertGood(initiator.send("91 02 0000000000000000 00000000 0000"));
    assertThat(disk.flushes).isEqualTo(2);
    assertGood(initiator.send("2A 08 00000000 00 0001 00", new byte[512]));
    assertThat(disk.flushes).as("FUA").isEqualTo(3);
    assertGood(initiator.send("2E 00 00000000 00 0001 00", new byte[512]));
    assertThat(disk.flushes).as("WRITE AND VERIFY").isEqualTo(4);
    assertGood(initiator.send("1B 00 0000 00 00"));
    assertThat(disk.flushes).as("stopped").isEqualTo(5);
  }

  @Test
  void aFlushThatFailsIsNoGoodFlush() {
    disk.failure = new IOException("gone");
    assertSense(initiator.send("35 00 00000000 00 0000 00"), 3, 0x0C, 0);
    assertSense(initiator.send("2A 08 00000000 00 0001 00", new byte[512]), 3, 0x0C, 0);
    assertThat(unit.flush().isGood()).isFalse();
  }

  @Test
  void withoutTheCacheEveryWriteIsOnTheMedium() {
    // MODE SELECT(10): header, then the caching page with WCE clear.
    var list = new byte[8 + 20];
    list[8] = 0x08;
    list[9] = 18;
    assertGood(initiator.send("2A 00 00000000 00 0001 00", new byte[512]));
    assertGood(initiator.send("55 10 00000000 00 001C 00", list));
    assertThat(disk.writesSinceFlush).as("what was in the cache").isZero();
    assertThat(initiator.fetch("5A 08 08 00 000000 00FF 00").u8(8 + 2) & 4).isZero();
    assertThat(initiator.fetch("5A 08 88 00 000000 00FF 00").u8(8 + 2) & 4)
        .as("default")
        .isEqualTo(4);
    assertThat(initiator.fetch("5A 08 48 00 000000 00FF 00").u8(8 + 2))
        .as("changeable")
        .isEqualTo(4);
    assertGood(initiator.send("2A 00 00000000 00 0001 00", new byte[512]));
    assertGood(initiator.send("41 00 00000000 00 0001 00", random(512, 3)));
    assertThat(disk.writesSinceFlush).isZero();
    list[10] = 4;
    assertGood(initiator.send("55 10 00000000 00 001C 00", list));
    assertGood(initiator.send("2A 00 00000000 00 0001 00", new byte[512]));
    assertThat(disk.writesSinceFlush).isEqualTo(1);
  }

  @Test
  void modesThatCannotBeChangedAreRefused() {
    var list = new byte[8 + 20];
    list[8] = 0x08;
    list[9] = 18;
    list[11] = 1;
    assertSense(initiator.send("55 10 00000000 00 001C 00", list), 5, 0x26, 0);
    assertSense(initiator.send("55 11 00000000 00 001C 00", list), 5, 0x24, 0);
    assertSense(initiator.send("55 10 00000000 00 001B 00", list), 5, 0x1A, 0);
    list[8] = 0x3E;
    assertSense(initiator.send("55 10 00000000 00 001C 00", list), 5, 0x26, 0);
    assertThat(unit.state().writeCache()).isTrue();
  }

  // --- failures ---

  @Test
  void failuresOfTheFileAreErrorsOfTheMedium() {
    disk.failure = new IOException("Input/output error");
    assertSense(initiator.fetch("28 00 00000000 00 0001 00").result(), 3, 0x11, 0);
    assertSense(initiator.send("2A 00 00000000 00 0001 00", new byte[512]), 3, 0x0C, 0);
    disk.failure = new IOException("No space left on device");
    assertSense(initiator.send("2A 00 00000000 00 0001 00", new byte[512]), 7, 0x27, 7);
    disk.failure = null;
    assertGood(initiator.send("2A 00 00000000 00 0001 00", new byte[512]));
  }

  @Test
  void readOnlyDiskTakesNothing() {
    disk.readOnly = true;
    for (var cdb :
        List.of(
            "0A 000000 01 00",
            "2A 00 00000000 00 0001 00",
            "8A 00 0000000000000000 00000001 0000",
            "2E 00 00000000 00 0001 00",
            "41 00 00000000 00 0001 00",
            "93 09 0000000000000000 00000001 0000",
            "42 00 00000000 00 0018 00")) {
      assertSense(initiator.send(cdb, new byte[512]), 7, 0x27, 0);
    }
    assertThat(initiator.fetch("1A 08 3F 00 FF 00").u8(2) & 0x80).as("WP").isEqualTo(0x80);
    assertThat(initiator.fetch("9E 10 0000000000000000 00000020 0000").u8(14)).as("LBPME").isZero();
    assertGood(initiator.fetch("28 00 00000000 00 0001 00").result());
    assertGood(initiator.send("35 00 00000000 00 0000 00"));
    assertGood(unit.flush());
  }

  // --- UNMAP, WRITE SAME, VERIFY ---

  private static byte[] unmapList(long... sectorsAndCounts) {
    var list = ByteBuffer.allocate(8 + 8 * sectorsAndCounts.length);
    list.putShort((short) (list.capacity() - 2)).putShort((short) (list.capacity() - 8)).putInt(0);
    for (int i = 0; i < sectorsAndCounts.length; i += 2) {
      list.putLong(sectorsAndCounts[i]).putInt((int) sectorsAndCounts[i + 1]).putInt(0);
    }
    return list.array();
  }

  private static String unmap(byte[] list) {
    return "42 00 00000000 00 %04X 00".formatted(list.length);
  }

  @Test
  void unmapGivesBackWhatItNames() {
    disk.content.fill((byte) 7);
    var list = unmapList(8, 8, 100, 0, 64, 16);
    assertGood(initiator.send(unmap(list), list));
    assertThat(disk.trimmed).isEqualTo(24 * 512);
    assertThat(stored(8 * 512, 8 * 512)).containsOnly(0);
    assertThat(stored(64 * 512, 16 * 512)).containsOnly(0);
    assertThat(stored(16 * 512, 48 * 512)).containsOnly(7);
    assertGood(initiator.send("42 00 00000000 00 0000 00"));
  }

  @Test
  void unmapIsDoneWholeOrNotAtAll() {
    var beyond = unmapList(8, 8, 0x7FF, 2);
    assertSense(initiator.send(unmap(beyond), beyond), 5, 0x21, 0);
    var negative = unmapList(8, 8, -1, 1);
    assertSense(initiator.send(unmap(negative), negative), 5, 0x21, 0);
    var tooShort = new byte[7];
    assertSense(initiator.send(unmap(tooShort), tooShort), 5, 0x1A, 0);
    var many = unmapList(new long[2 * 256]);
    assertSense(initiator.send(unmap(many), many), 5, 0x26, 0);
    var list = unmapList(8, 8);
    assertSense(initiator.send("42 01 00000000 00 0018 00", list), 5, 0x24, 0);
    assertThat(initiator.send("42 00 00000000 00 FFFF 00", list).isGood()).isFalse();
    assertThat(disk.trimmed).isZero();
  }

  @Test
  void unmapListThatSaysMoreThanThereIsNamesOnlyWhatThereIs() {
    var list = unmapList(8, 8, 32, 8);
    ByteBuffer.wrap(list).putShort(2, (short) 0xFFF0);
    assertGood(initiator.send("42 00 00000000 00 0018 00", list));
    assertThat(disk.trimmed).isEqualTo(8 * 512);
  }

  @Test
  void diskThatCannotGiveBackSaysSo() {
    disk.trims = false;
    var list = unmapList(8, 8);
    assertSense(initiator.send(unmap(list), list), 5, 0x20, 0);
    assertSense(initiator.send("93 08 0000000000000000 00000001 0000", new byte[512]), 5, 0x24, 0);
    assertThat(initiator.fetch("12 01 B2 0040 00").u8(5)).isZero();
    assertThat(initiator.fetch("12 01 B0 0040 00").u32(20)).as("UNMAP sectors").isZero();
    assertThat(initiator.fetch("A3 0C 01 42 0000 00000100 00 00").u8(1)).isEqualTo(1);
  }

  @Test
  void writeSameFillsWithItsSector() {
    var sector = random(512, 5);
    assertGood(initiator.send("41 00 00000008 00 0200 00", sector));
    for (int i = 8; i < 8 + 0x200; i++) {
      assertThat(stored(i * 512, 512)).isEqualTo(sector);
    }
    assertThat(stored(7 * 512, 512)).containsOnly(0);
    assertThat(stored((8 + 0x200) * 512, 512)).containsOnly(0);
    assertGood(initiator.send("93 01 0000000000000010 00000010 0000"));
    assertThat(stored(16 * 512, 16 * 512)).containsOnly(0);
    assertThat(stored(32 * 512, 512)).isEqualTo(sector);
    assertGood(initiator.send("93 08 0000000000000020 00000008 0000", new byte[512]));
    assertThat(stored(32 * 512, 8 * 512)).containsOnly(0);
  }

  @Test
  void writeSameKnowsItsLimits() {
    assertSense(initiator.send("41 00 00000000 00 0000 00", new byte[512]), 5, 0x24, 0);
    assertSense(initiator.send("93 10 0000000000000000 00000001 0000", new byte[512]), 5, 0x24, 0);
    assertThat(initiator.fetch("12 01 B0 0040 00").u64(36)).isEqualTo((64 << 20) / 512);
    assertSense(initiator.send("93 00 0000000000000000 00020001 0000", new byte[512]), 5, 0x24, 0);
    assertThat(initiator.send("93 00 0000000000000000 00000001 0000", new byte[511]).isGood())
        .isFalse();
  }

  @Test
  void verifyComparesWhenAskedTo() {
    var data = random(512 * 600, 6);
    MemorySegment.copy(data, 0, disk.content, ValueLayout.JAVA_BYTE, 0, data.length);
    var most = Arrays.copyOf(data, Initiator.ROOM);
    assertGood(initiator.send("2F 02 00000000 00 0200 00", most));
    assertGood(initiator.send("2F 00 00000000 00 0258 00"));
    most[Initiator.ROOM - 1]++;
    assertSense(initiator.send("2F 02 00000000 00 0200 00", most), 0xE, 0x1D, 0);
    assertSense(
        initiator.send("8F 06 0000000000000000 00000002 0000", Arrays.copyOf(data, 512)),
        0xE,
        0x1D,
        0);
    disk.content.asSlice(0, 1 << 19).fill((byte) 3);
    var threes = new byte[512];
    Arrays.fill(threes, (byte) 3);
    assertGood(initiator.send("8F 06 0000000000000000 00000400 0000", threes));
    assertSense(initiator.send("8F 04 0000000000000000 00000001 0000", threes), 5, 0x24, 0);
    assertThat(initiator.send("2F 02 00000000 00 0002 00", threes).isGood()).isFalse();
  }

  // --- what it says of itself ---

  @Test
  void inquiryNamesIt() {
    var answer = initiator.fetch("12 00 00 0024 00");
    assertThat(answer.data()).hasSize(36);
    assertThat(answer.u8(0)).isZero();
    assertThat(answer.u8(2)).as("SPC-3").isEqualTo(5);
    assertThat(answer.u8(4)).isEqualTo(31);
    assertThat(answer.text(8, 28)).isEqualTo("Msft    Virtual Disk    1.0 ");
    assertThat(initiator.fetch("12 00 00 0005 00").data()).hasSize(5);
    assertSense(initiator.send("12 00 80 00FF 00"), 5, 0x24, 0);
    assertSense(initiator.send("12 01 42 00FF 00"), 5, 0x24, 0);
  }

  @Test
  void everyPageItListsIsThere() {
    var list = initiator.fetch("12 01 00 00FF 00");
    assertThat(list.u16(2)).isEqualTo(list.data().length - 4);
    for (int i = 4; i < list.data().length; i++) {
      var page = initiator.fetch("12 01 %02X 00FF 00".formatted(list.u8(i)));
      assertGood(page.result());
      assertThat(page.u8(1)).isEqualTo(list.u8(i));
      assertThat(page.u16(2)).isEqualTo(page.data().length - 4);
    }
  }

  @Test
  void itsIdentityFollowsFromItsId() {
    var page = initiator.fetch("12 01 83 00FF 00");
    assertThat(page.u8(5)).as("unit, NAA").isEqualTo(3);
    assertThat(page.u8(7)).isEqualTo(16);
    assertThat(page.u64(8) >>> 36).as("NAA 6, Microsoft").isEqualTo(0x6002248L);
    assertThat(page.text(28, 8)).isEqualTo("Msft    ");
    assertThat(initiator.fetch("12 01 80 00FF 00").text(4, 32))
        .isEqualTo("0123456789abcdef0123456789abcdef");
    initiator.use(new ScsiDisk(disk, UUID.randomUUID()));
    assertThat(initiator.fetch("12 01 83 00FF 00").data()).isNotEqualTo(page.data());
  }

  @Test
  void capacityIsTold() {
    assertThat(initiator.fetch("25 00 00000000 0000 00 00").data())
        .isEqualTo(Initiator.hex("000007FF 00000200"));
    var long16 = initiator.fetch("9E 10 0000000000000000 00000020 0000");
    assertThat(long16.u64(0)).isEqualTo(0x7FF);
    assertThat(long16.u32(8)).isEqualTo(512);
    assertThat(long16.u8(13)).as("2^3 in a physical sector").isEqualTo(3);
    assertThat(long16.u8(14)).as("LBPME").isEqualTo(0x80);
    assertThat(initiator.fetch("9E 10 0000000000000000 0000000C 0000").data()).hasSize(12);
    assertSense(initiator.send("9E 11 0000000000000000 00000020 0000"), 5, 0x24, 0);
  }

  @Test
  void capacityBeyondTwoTebibytesIsTold(@TempDir Path folder) throws IOException {
    var file = folder.resolve("large.vhdx");
    Disks.create(file, CreateOptions.of(DiskFormat.VHDX, DiskType.DYNAMIC, 4L << 40));
    try (var large = Disks.open(file, true)) {
      var largeUnit = new ScsiDisk(large, ID);
      initiator.use(largeUnit);
      assertThat(initiator.fetch("25 00 00000000 0000 00 00").u32(0)).isEqualTo(-1);
      assertThat(initiator.fetch("9E 10 0000000000000000 00000020 0000").u64(0))
          .isEqualTo((4L << 40) / 512 - 1);
      var last = "%016X".formatted((4L << 40) / 512 - 1);
      var data = random(512, 9);
      assertGood(initiator.send("8A 08 " + last + " 00000001 0000", data));
      assertThat(initiator.fetch("88 00 " + last + " 00000001 0000").data()).isEqualTo(data);
    }
  }

  @Test
  void sectorsMayHaveFourKibibytes() {
    var large = new FaultyDisk(SIZE, 4096);
    initiator.use(new ScsiDisk(large, ID));
    var capacity = initiator.fetch("9E 10 0000000000000000 00000020 0000");
    assertThat(capacity.u64(0)).isEqualTo(255);
    assertThat(capacity.u32(8)).isEqualTo(4096);
    assertThat(capacity.u8(13)).isZero();
    assertThat(initiator.fetch("1A 00 3F 00 FF 00").u32(4 + 4)).isEqualTo(4096);
    var data = random(8192, 10);
    assertGood(initiator.send("2A 00 00000001 00 0002 00", data));
    assertThat(large.content.asSlice(4096, 8192).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(data);
    assertThat(initiator.fetch("28 00 00000001 00 0002 00").data()).isEqualTo(data);
    assertSense(initiator.send("28 00 00000100 00 0001 00", new byte[4096]), 5, 0x21, 0);
  }

  @Test
  void everyCommandItReportsIsKnown() {
    var all = initiator.fetch("A3 0C 00 00 0000 00001000 00 00");
    assertThat(all.u32(0)).isEqualTo(all.data().length - 4);
    for (int at = 4; at < all.data().length; at += 8) {
      int opcode = all.u8(at);
      int length = all.u16(at + 6);
      boolean hasAction = (all.u8(at + 5) & 1) != 0;
      var one =
          initiator.fetch(
              "A3 0C %02X %02X %04X 00000100 00 00"
                  .formatted(hasAction ? 2 : 1, opcode, all.u16(at + 2)));
      assertThat(one.u8(1) & 7).as("opcode %02x", opcode).isEqualTo(3);
      assertThat(one.u16(2)).isEqualTo(length);
      assertThat(one.u8(4)).isEqualTo(opcode);
      if (opcode != Opcode.REPORT_LUNS) { // that one is the controller's
        var cdb = new byte[length];
        cdb[0] = (byte) opcode;
        cdb[1] = (byte) all.u16(at + 2);
        assertThat(unit.execute(new Cdb(cdb), DataBuffer.NONE).sense())
            .as("opcode %02x", opcode)
            .isNotEqualTo(Sense.INVALID_OPERATION_CODE);
      }
    }
    assertThat(initiator.fetch("A3 0C 01 04 0000 00000100 00 00").u8(1)).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"5E 00", "5F 00", "04 00", "A1 00", "85 00", "FF 00", "7F 00"})
  void otherCommandsAreUnknown(String opcode) {
    assertSense(initiator.send(opcode + "00000000 00000000 00000000 0000"), 5, 0x20, 0);
  }

  // --- attentions and state ---

  @Test
  void aResetIsToldOnce() {
    unit.reset();
    assertGood(initiator.fetch("12 00 00 0024 00").result());
    assertSense(initiator.send("00 00000000 00"), 6, 0x29, 2);
    assertGood(initiator.send("00 00000000 00"));
    unit.reset();
    var sense = initiator.fetch("03 00 0000 FF 00");
    assertThat(sense.data())
        .isEqualTo(Initiator.hex("70 00 06 00000000 0A 00000000 29 02 00 000000"));
    assertThat(initiator.fetch("03 00 0000 FF 00").u8(2)).as("no sense").isZero();
    unit.reset();
    assertThat(initiator.fetch("03 01 0000 FF 00").data())
        .isEqualTo(Initiator.hex("72 06 29 02 00 00 00 00"));
    for (int i = 0; i < 100; i++) {
      unit.reset();
    }
    assertThat(unit.attentions()).hasSize(1);
  }

  @Test
  void stateGoesOnInAnotherUnit() {
    var list = new byte[8 + 20];
    list[8] = 0x08;
    list[9] = 18;
    unit.reset();
    assertSense(initiator.send("00 00000000 00"), 6, 0x29, 2);
    assertGood(initiator.send("55 10 00000000 00 001C 00", list));
    unit.attend(Sense.BUS_RESET);
    var state = unit.state();
    var next = new ScsiDisk(disk, ID);
    next.restore(state);
    assertThat(next.state()).isEqualTo(state);
    initiator.use(next);
    assertSense(initiator.send("00 00000000 00"), 6, 0x29, 2);
    int before = disk.flushes;
    assertGood(initiator.send("2A 00 00000000 00 0001 00", new byte[512]));
    assertThat(disk.flushes).as("the cache is off").isEqualTo(before + 1);
    assertThatThrownBy(() -> next.restore(new DvdDrive().state()))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
