package dev.partita.synthetic.storage;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/// What a DVD drive says of itself and of a medium (MMC-6; section numbers are its).
final class DvdPages {
  private static final int CD_DVD = 5;

  // Profiles (5.3.1).
  private static final int CD_ROM = 0x0008;
  private static final int DVD_ROM = 0x0010;

  /// Sectors of the longest CD, 80 minutes: an image that is larger is a DVD's.
  private static final long MOST_CD_SECTORS = 80 * 60 * 75;

  /// Sectors before the first one with data, in time addresses.
  private static final int LEAD_IN = 150;

  private static final int LEAD_OUT_TRACK = 0xAA;

  /// ADR 1 (position), CONTROL 4 (a data track).
  private static final byte DATA_TRACK = 0x14;

  private static final int MEDIA_CLASS = 4;

  // Mode pages.
  private static final int ERROR_RECOVERY = 0x01;
  private static final int CAPABILITIES = 0x2A;
  private static final int ALL_PAGES = 0x3F;

  /// Kilobytes a second of a 16-fold DVD drive.
  private static final int SPEED = 16 * 1385;

  ScsiResult inquiry(Cdb cdb, DataBuffer data) {
    if (!cdb.bit(1, 1)) {
      if (cdb.u8(2) != 0) {
        return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
      }
      var answer = LogicalUnit.standardInquiry(CD_DVD, true, "Msft", "Virtual DVD-ROM");
      return ScsiResult.done(data.put(answer, cdb.u16(3)));
    }
    byte[] content =
        switch (cdb.u8(2)) {
          case 0x00 -> new byte[] {0x00, (byte) 0x83};
          case 0x83 ->
              // ASCII; of the unit, T10 vendor.
              ByteBuffer.allocate(27)
                  .put(new byte[] {2, 1, 0, 23})
                  .put(
                      "Msft    Virtual DVD-ROM"
                          .getBytes(java.nio.charset.StandardCharsets.US_ASCII))
                  .array();
          default -> new byte[0];
        };
    return content.length == 0
        ? ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB)
        : ScsiResult.done(
            data.put(LogicalUnit.productPage(CD_DVD, cdb.u8(2), content), cdb.u16(3)));
  }

  // --- GET CONFIGURATION (6.5) ---

  private static int profile(long sectors) {
    return sectors == 0 ? 0 : sectors <= MOST_CD_SECTORS ? CD_ROM : DVD_ROM;
  }

  ScsiResult configuration(Cdb cdb, DataBuffer data, long sectors) {
    int which = cdb.u8(1) & 3;
    int from = cdb.u16(2);
    if (which == 3) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    int profile = profile(sectors);
    boolean loaded = profile != 0;
    var features = new ByteArrayOutputStream();
    var wanted = new Features(features, which, from);
    wanted.add(
        0x0000, // profile list
        true,
        true,
        new byte[] {
          0, DVD_ROM, (byte) (profile == DVD_ROM ? 1 : 0), 0, //
          0, CD_ROM, (byte) (profile == CD_ROM ? 1 : 0), 0
        });
    wanted.add(0x0001, true, true, new byte[] {0, 0, 0, 1, 1, 0, 0, 0}); // core: SCSI, DBE
    wanted.add(0x0002, true, true, new byte[] {2, 0, 0, 0}); // morphing: events of operation
    wanted.add(
        0x0003, true, true, new byte[] {0x39, 0, 0, 0}); // removable: tray, load, eject, lock
    wanted.add(
        0x0010, // random readable: 2048 bytes, one at a time
        loaded,
        false,
        new byte[] {0, 0, SECTOR_HIGH, 0, 0, 1, 0, 0});
    wanted.add(0x001D, profile == CD_ROM, false, new byte[0]); // multi-read
    wanted.add(0x001E, profile == CD_ROM, false, new byte[] {0, 0, 0, 0}); // CD read
    wanted.add(0x001F, profile == DVD_ROM, false, new byte[] {0, 0, 0, 0}); // DVD read
    wanted.add(0x0100, true, true, new byte[0]); // power management
    wanted.add(0x0105, true, true, new byte[] {0, 0, 0, 0}); // timeout
    var answer =
        ByteBuffer.allocate(8 + features.size())
            .putInt(4 + features.size())
            .putShort((short) 0)
            .putShort((short) profile)
            .put(features.toByteArray());
    return ScsiResult.done(data.put(answer.array(), cdb.u16(7)));
  }

  private static final byte SECTOR_HIGH = DvdDrive.SECTOR_SIZE >> 8;

  /// Feature descriptors, those that are asked for.
  private record Features(ByteArrayOutputStream out, int which, int from) {
    void add(int code, boolean current, boolean persistent, byte[] content) {
      boolean asked =
          switch (which) {
            case 0 -> code >= from;
            case 1 -> code >= from && current;
            default -> code == from;
          };
      if (asked) {
        out.writeBytes(
            ByteBuffer.allocate(4 + content.length)
                .putShort((short) code)
                .put((byte) ((persistent ? 2 : 0) | (current ? 1 : 0)))
                .put((byte) content.length)
                .put(content)
                .array());
      }
    }
  }

  // --- GET EVENT STATUS NOTIFICATION (6.6) ---

  static boolean asksForMedia(Cdb cdb) {
    return cdb.bit(4, 1 << MEDIA_CLASS);
  }

  byte[] eventStatus(Cdb cdb, int event, int status) {
    byte supported = 1 << MEDIA_CLASS;
    return asksForMedia(cdb)
        ? new byte[] {0, 6, MEDIA_CLASS, supported, (byte) event, (byte) status, 0, 0}
        : new byte[] {0, 2, (byte) 0x80, supported}; // no event available
  }

  // --- media ---

  private static void putAddress(ByteBuffer out, boolean time, long sector) {
    if (time) {
      long at = sector + LEAD_IN;
      out.put((byte) 0);
      out.put((byte) Math.min(at / (60 * 75), 255));
      out.put((byte) (at / 75 % 60)).put((byte) (at % 75));
    } else {
      out.putInt((int) sector);
    }
  }

  /// READ TOC/PMA/ATIP (6.25): one session, one track.
  ScsiResult tableOfContents(Cdb cdb, DataBuffer data, long sectors) {
    boolean time = cdb.bit(1, 2);
    int track = cdb.u8(6);
    var answer =
        switch (cdb.u8(2) & 0xF) {
          case 0 -> tracks(time, track, sectors);
          case 1 -> session(time);
          case 2 -> rawTable(sectors);
          default -> null;
        };
    return answer == null
        ? ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB)
        : ScsiResult.done(data.put(answer, cdb.u16(7)));
  }

  private static byte @Nullable [] tracks(boolean time, int from, long sectors) {
    if (from > 1 && from != LEAD_OUT_TRACK) {
      return null;
    }
    int count = from == LEAD_OUT_TRACK ? 1 : 2;
    var out = ByteBuffer.allocate(4 + 8 * count);
    out.putShort((short) (2 + 8 * count)).put((byte) 1).put((byte) 1);
    if (count == 2) {
      out.put((byte) 0).put(DATA_TRACK).put((byte) 1).put((byte) 0);
      putAddress(out, time, 0);
    }
    out.put((byte) 0).put(DATA_TRACK).put((byte) LEAD_OUT_TRACK).put((byte) 0);
    putAddress(out, time, sectors);
    return out.array();
  }

  private static byte[] session(boolean time) {
    var out = ByteBuffer.allocate(12).putShort((short) 10).put((byte) 1).put((byte) 1);
    out.put((byte) 0).put(DATA_TRACK).put((byte) 1).put((byte) 0);
    putAddress(out, time, 0);
    return out.array();
  }

  private static byte[] rawTable(long sectors) {
    var out = ByteBuffer.allocate(4 + 4 * 11);
    out.putShort((short) (2 + 4 * 11)).put((byte) 1).put((byte) 1);
    long end = sectors + LEAD_IN;
    putRaw(out, 0xA0, 1, 0, 0); // first track
    putRaw(out, 0xA1, 1, 0, 0); // last track
    putRaw(
        out,
        0xA2, // lead-out
        (int) Math.min(end / (60 * 75), 255),
        (int) (end / 75 % 60),
        (int) (end % 75));
    putRaw(out, 1, 0, 2, 0);
    return out.array();
  }

  private static void putRaw(ByteBuffer out, int point, int minute, int second, int frame) {
    out.put((byte) 1).put(DATA_TRACK).put((byte) 0).put((byte) point);
    out.putInt(0).put((byte) minute).put((byte) second).put((byte) frame);
  }

  /// READ DISC INFORMATION (6.22): complete, one session, one track.
  ScsiResult discInformation(Cdb cdb, DataBuffer data) {
    if ((cdb.u8(1) & 7) != 0) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    var out = ByteBuffer.allocate(34).putShort((short) 32).put((byte) 0x0E);
    out.put((byte) 1).put((byte) 1).put((byte) 1).put((byte) 1);
    out.putInt(16, 0xFFFF_FFFF).putInt(20, 0xFFFF_FFFF); // no further lead-in and lead-out
    return ScsiResult.done(data.put(out.array(), cdb.u16(7)));
  }

  /// READ TRACK INFORMATION (6.27).
  ScsiResult trackInformation(Cdb cdb, DataBuffer data, long sectors) {
    boolean known =
        switch (cdb.u8(1) & 3) {
          case 0 -> cdb.u32(2) < sectors;
          default -> cdb.u32(2) == 1;
        };
    if (!known) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    var out = ByteBuffer.allocate(36).putShort((short) 34).put((byte) 1).put((byte) 1);
    out.put(5, (byte) 4).put(6, (byte) 1); // a data track of mode 1
    out.putInt(24, (int) sectors);
    return ScsiResult.done(data.put(out.array(), cdb.u16(7)));
  }

  /// READ DVD STRUCTURE (6.23): physical format and copyright.
  ScsiResult structure(Cdb cdb, DataBuffer data, long sectors) {
    if (profile(sectors) != DVD_ROM) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    byte[] answer;
    switch (cdb.u8(7)) {
      case 0 -> {
        var out = ByteBuffer.allocate(4 + 2048).putShort((short) (2 + 2048));
        out.put(4, (byte) 0x01).put(5, (byte) 0x02).put(6, (byte) 0x01); // DVD-ROM, 120 mm
        out.putInt(8, 0x3_0000).putInt(12, (int) (0x3_0000 + sectors - 1));
        answer = out.array();
      }
      case 1 -> answer = new byte[] {0, 6, 0, 0, 0, 0, 0, 0}; // not protected
      default -> {
        return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
      }
    }
    return ScsiResult.done(data.put(answer, cdb.u16(8)));
  }

  // --- MODE SENSE (7) ---

  ScsiResult modeSense(Cdb cdb, DataBuffer data) {
    boolean ten = cdb.opcode() == Opcode.MODE_SENSE_10;
    int control = cdb.u8(2) >> 6;
    int page = cdb.u8(2) & 0x3F;
    if (control == 3) {
      return ScsiResult.failed(Sense.SAVING_NOT_SUPPORTED);
    }
    boolean all = page == ALL_PAGES;
    if (!all && page != ERROR_RECOVERY && page != CAPABILITIES) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    var pages = new ByteArrayOutputStream();
    if (all || page == ERROR_RECOVERY) {
      var bytes = new byte[12];
      bytes[0] = ERROR_RECOVERY;
      bytes[1] = 10;
      pages.writeBytes(bytes);
    }
    if (all || page == CAPABILITIES) {
      pages.writeBytes(capabilities(control == 1));
    }
    var answer = DiskPages.modeHeader(ten, 0, new byte[0], pages.toByteArray());
    return ScsiResult.done(data.put(answer, ten ? cdb.u16(7) : cdb.u8(4)));
  }

  /// The capabilities page (of MMC-3, 5.5.10; systems still read it).
  private static byte[] capabilities(boolean changeable) {
    var out = ByteBuffer.allocate(22).put((byte) CAPABILITIES).put((byte) 20);
    if (!changeable) {
      out.put((byte) 0x08); // reads DVD-ROM
      out.put(6, (byte) 0x29); // tray, ejects, locks
      out.putShort(8, (short) SPEED).putShort(14, (short) SPEED);
    }
    return out.array();
  }
}
