package dev.partita.synthetic.storage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Numbers are those of MMC-6, written by hand.
class DvdDriveTest {
  private static final String READY = "00 00000000 00";
  private static final String MEDIA_EVENT = "4A 01 0000 10 0000 0008 00";

  private final DvdDrive drive = new DvdDrive();
  private final Initiator initiator = new Initiator(drive);

  @AfterEach
  void close() {
    initiator.close();
  }

  /// Not whole sectors of 2048 bytes, as images may be.
  private static FaultyDisk image(int size) {
    var disk = new FaultyDisk(size, 512);
    var bytes = new byte[size];
    new SplittableRandom(size).nextBytes(bytes);
    MemorySegment.copy(bytes, 0, disk.content, ValueLayout.JAVA_BYTE, 0, size);
    disk.readOnly = true;
    return disk;
  }

  private void assertSense(String cdb, int key, int code, int qualifier) {
    assertThat(initiator.send(cdb).sense()).isEqualTo(new Sense(key, code, qualifier));
  }

  @Test
  void mediumIsReadToItsLastBytes() {
    var disk = image(10 * 2048 + 512);
    drive.load(disk);
    assertThat(initiator.send(READY).isGood()).isTrue();
    assertThat(initiator.fetch("25 00 00000000 0000 00 00").data())
        .isEqualTo(Initiator.hex("0000000A 00000800"));
    var all = initiator.fetch("28 00 00000000 00 000B 00");
    assertThat(all.data())
        .isEqualTo(Arrays.copyOf(disk.content.toArray(ValueLayout.JAVA_BYTE), 11 * 2048));
    var last = initiator.fetch("A8 00 0000000A 00000001 00 00");
    assertThat(last.data()).isEqualTo(Arrays.copyOfRange(all.data(), 10 * 2048, 11 * 2048));
    assertThat(initiator.fetch("28 00 0000000B 00 0000 00").result().isGood()).isTrue();
    assertThat(initiator.fetch("28 00 0000000A 00 0002 00").result().sense())
        .isEqualTo(Sense.OUT_OF_RANGE);
    assertThat(initiator.fetch("28 00 FFFFFFFF 00 FFFF 00").result().sense())
        .isEqualTo(Sense.OUT_OF_RANGE);
    assertThat(initiator.fetch("28 00 00000000 00 0001 00", 2047).result().isGood()).isFalse();
    assertThat(initiator.fetch("BE 08 00000002 000001 10 00 00").data())
        .as("READ CD")
        .isEqualTo(Arrays.copyOfRange(all.data(), 2 * 2048, 3 * 2048));
  }

  @Test
  void nothingIsWritten() {
    drive.load(image(4096));
    assertSense("2A 00 00000000 00 0001 00", 5, 0x20, 0);
  }

  @Test
  void emptyDriveSaysSo() {
    assertSense(READY, 2, 0x3A, 0);
    assertSense("28 00 00000000 00 0001 00", 2, 0x3A, 0);
    assertSense("43 00 000000 00 0000 0C 00", 2, 0x3A, 0);
    assertThat(initiator.fetch("46 00 0000 000000 0100 00").u16(6)).as("profile").isZero();
    assertThat(initiator.fetch("12 00 00 0024 00").u8(0)).isEqualTo(5);
    assertThat(initiator.fetch("12 00 00 0024 00").u8(1)).as("removable").isEqualTo(0x80);
  }

  @Test
  void insertedMediumIsToldInBothWays() {
    drive.insert(image(4096));
    var event = initiator.fetch(MEDIA_EVENT);
    assertThat(event.data()).isEqualTo(Initiator.hex("0006 04 10 02 02 0000"));
    assertThat(initiator.fetch(MEDIA_EVENT).u8(4)).as("once").isZero();
    assertSense(READY, 6, 0x28, 0);
    assertThat(initiator.send(READY).isGood()).isTrue();
    assertThatThrownBy(() -> drive.insert(image(2048))).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void eventThatDidNotFitIsToldAgain() {
    drive.insert(image(4096));
    assertThat(initiator.fetch("4A 01 0000 10 0000 0004 00").data()).hasSize(4);
    assertThat(initiator.fetch(MEDIA_EVENT).u8(4)).isEqualTo(2);
    assertThat(initiator.fetch("4A 01 0000 02 0000 0008 00").data())
        .as("no such class")
        .isEqualTo(Initiator.hex("0002 80 10"));
    assertSense("4A 00 0000 10 0000 0008 00", 5, 0x24, 0);
  }

  @Test
  void lockedTrayIsOpenedWithTheGuestOrWithForce() {
    var disk = image(4096);
    drive.load(disk);
    assertThat(initiator.send("1E 00 0000 01 00").isGood()).isTrue();
    assertSense("1B 00 0000 02 00", 5, 0x53, 2);
    assertThat(drive.eject(false)).isEqualTo(new DvdDrive.Ejected(null, true));
    assertThat(initiator.fetch(MEDIA_EVENT).u8(4)).as("is asked").isEqualTo(1);
    assertThat(initiator.send(READY).isGood()).isTrue();
    assertThat(initiator.send("1E 00 0000 00 00").isGood()).isTrue();
    assertThat(initiator.send("1B 00 0000 02 00").isGood()).isTrue();
    assertSense(READY, 2, 0x3A, 2);
    assertThat(drive.eject(false)).isEqualTo(new DvdDrive.Ejected(disk, false));
    drive.insert(disk);
    assertThat(initiator.send("1E 00 0000 01 00").sense()).isEqualTo(Sense.MEDIUM_CHANGED);
    assertThat(initiator.send("1E 00 0000 01 00").isGood()).isTrue();
    assertThat(drive.eject(true)).isEqualTo(new DvdDrive.Ejected(disk, false));
    assertThat(drive.state().locked()).isFalse();
    assertSense(READY, 6, 0x28, 0);
    assertSense(READY, 2, 0x3A, 0);
    assertThat(drive.eject(false).medium()).isNull();
  }

  @Test
  void trayGoesInAgainWithItsMedium() {
    drive.load(image(4096));
    assertThat(initiator.send("1B 00 0000 02 00").isGood()).isTrue();
    assertThat(initiator.fetch(MEDIA_EVENT).data())
        .isEqualTo(Initiator.hex("0006 04 10 03 01 0000"));
    assertThat(initiator.send("1B 00 0000 03 00").isGood()).isTrue();
    assertThat(initiator.fetch(MEDIA_EVENT).u8(4)).isEqualTo(2);
    assertSense(READY, 6, 0x28, 0);
    assertThat(initiator.send(READY).isGood()).isTrue();
  }

  @Test
  void tableOfContentsHasOneDataTrack() {
    drive.load(image(300 * 2048));
    var toc = initiator.fetch("43 00 00 000000 00 000C 00");
    assertThat(toc.data()).isEqualTo(Initiator.hex("0012 01 01 00 14 01 00 00000000"));
    var whole = initiator.fetch("43 02 00 000000 01 00FF 00");
    assertThat(whole.data())
        .isEqualTo(Initiator.hex("0012 01 01 00 14 01 00 00000200 00 14 AA 00 00000600"));
    assertThat(initiator.fetch("43 00 01 000000 00 00FF 00").data())
        .as("sessions")
        .isEqualTo(Initiator.hex("000A 01 01 00 14 01 00 00000000"));
    assertSense("43 00 00 000000 02 00FF 00", 5, 0x24, 0);
  }

  @Test
  void featuresAreListedAsAsked() {
    drive.load(image(4096));
    var all = initiator.fetch("46 00 0000 000000 0400 00");
    assertThat(all.u32(0)).isEqualTo(all.data().length - 4);
    assertThat(all.u16(6)).as("CD-ROM").isEqualTo(8);
    int last = -1;
    for (int at = 8; at < all.data().length; at += 4 + all.u8(at + 3)) {
      assertThat(all.u16(at)).isGreaterThan(last);
      last = all.u16(at);
      var one = initiator.fetch("46 02 %04X 000000 0400 00".formatted(last));
      assertThat(one.data()).hasSize(8 + 4 + all.u8(at + 3));
    }
    assertThat(initiator.fetch("46 02 0020 000000 0400 00").data()).as("no such").hasSize(8);
    assertSense("46 03 0000 000000 0400 00", 5, 0x24, 0);
  }

  @Test
  void stateGoesOnInAnotherDrive() {
    var disk = image(4096);
    drive.load(disk);
    initiator.send("1E 00 0000 01 00");
    drive.reset();
    assertThat(drive.state().locked()).as("a reset unlocks").isFalse();
    initiator.send("1B 00 0000 02 00");
    initiator.send("1B 00 0000 02 00");
    var state = drive.state();
    assertThat(state.trayOpen()).isTrue();
    var next = new DvdDrive();
    next.load(disk);
    next.restore(state);
    assertThat(next.state()).isEqualTo(state);
    initiator.use(next);
    assertThat(initiator.fetch(MEDIA_EVENT).u8(4)).isEqualTo(3);
    assertSense(READY, 2, 0x3A, 2);
  }
}
