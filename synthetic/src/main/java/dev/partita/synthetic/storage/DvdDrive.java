package dev.partita.synthetic.storage;

import dev.partita.disk.VirtualDisk;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A DVD drive (MMC-6) for images of sectors of 2048 bytes. Media are their owner's to close, when
/// they are no longer in the drive.
public final class DvdDrive extends LogicalUnit {
  /// Bytes of a sector, user data.
  static final int SECTOR_SIZE = 2048;

  // Media events (MMC-6, 6.6.3.3).
  private static final int NO_CHANGE = 0;
  private static final int EJECT_REQUEST = 1;
  private static final int NEW_MEDIA = 2;
  private static final int MEDIA_REMOVAL = 3;

  private final DvdPages pages = new DvdPages();

  // Guarded by this object's monitor, which is not held while the medium is read.
  private @Nullable VirtualDisk medium;
  private boolean trayOpen;
  private boolean locked;
  private int mediaEvent;

  /// An empty drive, its tray in.
  public DvdDrive() {}

  // --- the operator's side ---

  /// The medium, in the drive or on the tray.
  public synchronized @Nullable VirtualDisk medium() {
    return medium;
  }

  /// Puts a medium in before the guest looks for the first time: it is no news then.
  ///
  /// @throws IllegalStateException if there is one
  public synchronized void load(VirtualDisk disk) {
    if (medium != null) {
      throw new IllegalStateException("there is a medium in the drive");
    }
    medium = disk;
  }

  /// Puts a medium in and closes the tray; the guest is told.
  ///
  /// @throws IllegalStateException if there is one
  public synchronized void insert(VirtualDisk disk) {
    if (medium != null) {
      throw new IllegalStateException("there is a medium in the drive");
    }
    medium = disk;
    trayOpen = false;
    mediaEvent = NEW_MEDIA;
    attend(Sense.MEDIUM_CHANGED);
  }

  /// What came of {@link #eject}.
  ///
  /// @param medium what was taken out, if anything was
  /// @param locked whether it was not, because the guest has locked the tray
  public record Ejected(@Nullable VirtualDisk medium, boolean locked) {}

  /// Takes the medium out. When the guest has locked the tray it is asked to let go, and nothing
  /// else happens. Waits for reads under way.
  ///
  /// @param force whether to take it out of a locked tray too
  public Ejected eject(boolean force) {
    requests().hold();
    try {
      synchronized (this) {
        if (locked && !force && medium != null) {
          mediaEvent = EJECT_REQUEST;
          return new Ejected(null, true);
        }
        var out = medium;
        if (out != null) {
          medium = null;
          locked = false;
          mediaEvent = MEDIA_REMOVAL;
          attend(Sense.MEDIUM_CHANGED);
        }
        return new Ejected(out, false);
      }
    } finally {
      requests().release();
    }
  }

  // --- the guest's side ---

  /// What the guest reads, if it is in the drive.
  private synchronized @Nullable VirtualDisk loaded() {
    return trayOpen ? null : medium;
  }

  private synchronized Sense absence() {
    return trayOpen ? Sense.MEDIUM_NOT_PRESENT_TRAY_OPEN : Sense.MEDIUM_NOT_PRESENT;
  }

  private static long sectors(VirtualDisk disk) {
    return Math.min((disk.size() + SECTOR_SIZE - 1) / SECTOR_SIZE, 0xFFFF_FFFFL);
  }

  @Override
  boolean isSlow(Cdb cdb) {
    return switch (cdb.opcode()) {
      case Opcode.READ_10, Opcode.READ_12, Opcode.READ_CD -> true;
      default -> false;
    };
  }

  @Override
  ScsiResult inquiry(Cdb cdb, DataBuffer data) {
    return pages.inquiry(cdb, data);
  }

  @Override
  Sense idleSense() {
    return loaded() == null ? absence() : Sense.NONE;
  }

  @Override
  ScsiResult command(Cdb cdb, DataBuffer data) {
    switch (cdb.opcode()) {
      case Opcode.START_STOP_UNIT -> {
        return startStop(cdb);
      }
      case Opcode.PREVENT_ALLOW_MEDIUM_REMOVAL -> {
        synchronized (this) {
          locked = cdb.bit(4, 1);
        }
        return ScsiResult.done();
      }
      case Opcode.GET_EVENT_STATUS_NOTIFICATION -> {
        return eventStatus(cdb, data);
      }
      case Opcode.MODE_SENSE_6, Opcode.MODE_SENSE_10 -> {
        return pages.modeSense(cdb, data);
      }
      case Opcode.GET_CONFIGURATION -> {
        var disk = loaded();
        return pages.configuration(cdb, data, disk == null ? 0 : sectors(disk));
      }
      case Opcode.SET_CD_SPEED -> {
        return ScsiResult.done();
      }
      case Opcode.MECHANISM_STATUS -> {
        var answer = new byte[8];
        synchronized (this) {
          answer[1] = (byte) (trayOpen ? 0x10 : 0);
        }
        return ScsiResult.done(data.put(answer, cdb.u16(8)));
      }
      default -> {
        var disk = loaded();
        return disk == null && needsMedium(cdb)
            ? ScsiResult.failed(absence())
            : disk == null
                ? ScsiResult.failed(Sense.INVALID_OPERATION_CODE)
                : mediumCommand(cdb, data, disk);
      }
    }
  }

  private static boolean needsMedium(Cdb cdb) {
    return switch (cdb.opcode()) {
      case Opcode.TEST_UNIT_READY,
          Opcode.READ_CAPACITY_10,
          Opcode.READ_10,
          Opcode.READ_12,
          Opcode.READ_CD,
          Opcode.SEEK_10,
          Opcode.VERIFY_10,
          Opcode.READ_TOC,
          Opcode.READ_DISC_INFORMATION,
          Opcode.READ_TRACK_INFORMATION,
          Opcode.READ_DVD_STRUCTURE ->
          true;
      default -> false;
    };
  }

  private ScsiResult mediumCommand(Cdb cdb, DataBuffer data, VirtualDisk disk) {
    long sectors = sectors(disk);
    return switch (cdb.opcode()) {
      case Opcode.TEST_UNIT_READY -> ScsiResult.done();
      case Opcode.READ_CAPACITY_10 ->
          ScsiResult.done(
              data.put(
                  ByteBuffer.allocate(8).putInt((int) (sectors - 1)).putInt(SECTOR_SIZE).array(),
                  8));
      case Opcode.READ_10 -> read(disk, cdb.u32(2), cdb.u16(7), data);
      case Opcode.READ_12 -> read(disk, cdb.u32(2), cdb.u32(6), data);
      case Opcode.READ_CD -> readCd(disk, cdb, data);
      case Opcode.SEEK_10 ->
          cdb.u32(2) < sectors ? ScsiResult.done() : ScsiResult.failed(Sense.OUT_OF_RANGE);
      case Opcode.VERIFY_10 ->
          cdb.u32(2) <= sectors && cdb.u16(7) <= sectors - cdb.u32(2)
              ? ScsiResult.done()
              : ScsiResult.failed(Sense.OUT_OF_RANGE);
      case Opcode.READ_TOC -> pages.tableOfContents(cdb, data, sectors);
      case Opcode.READ_DISC_INFORMATION -> pages.discInformation(cdb, data);
      case Opcode.READ_TRACK_INFORMATION -> pages.trackInformation(cdb, data, sectors);
      case Opcode.READ_DVD_STRUCTURE -> pages.structure(cdb, data, sectors);
      default -> ScsiResult.failed(Sense.INVALID_OPERATION_CODE);
    };
  }

  private ScsiResult read(VirtualDisk disk, long sector, long count, DataBuffer data) {
    long sectors = sectors(disk);
    if (sector > sectors || count > sectors - sector) {
      return ScsiResult.failed(Sense.OUT_OF_RANGE);
    }
    if (count == 0) {
      return ScsiResult.done(); // also at the end, which may lie beyond the image's
    }
    long bytes = count * SECTOR_SIZE;
    if (bytes > data.length()) {
      return ScsiResult.BAD_BUFFER;
    }
    long offset = sector * SECTOR_SIZE;
    try {
      readPadded(disk, offset, data.segments((int) bytes), (int) bytes);
    } catch (IOException e) {
      return new DiskFailures(disk.name()).reading(sector, e);
    } finally {
      data.written((int) bytes);
    }
    return ScsiResult.done((int) bytes);
  }

  /// Images need not end with a whole sector: what lacks is zeroes.
  private static void readPadded(VirtualDisk disk, long offset, List<MemorySegment> to, int bytes)
      throws IOException {
    long there = Math.min(bytes, disk.size() - offset);
    if (there == bytes) {
      disk.read(offset, to);
      return;
    }
    var part = new ArrayList<MemorySegment>();
    long done = 0;
    for (var segment : to) {
      long piece = Math.clamp(there - done, 0, segment.byteSize());
      if (piece > 0) {
        part.add(segment.asSlice(0, piece));
      }
      segment.asSlice(piece).fill((byte) 0);
      done += segment.byteSize();
    }
    disk.read(offset, part);
  }

  /// READ CD of what a data track has without its error correction: the user data of mode 1.
  private ScsiResult readCd(VirtualDisk disk, Cdb cdb, DataBuffer data) {
    int type = cdb.u8(1) >> 2 & 7;
    int parts = cdb.u8(9) & 0xF8;
    if (type != 0 && type != 2 || cdb.u8(10) != 0) {
      return ScsiResult.failed(Sense.ILLEGAL_MODE_FOR_TRACK);
    }
    return switch (parts) {
      case 0 -> ScsiResult.done();
      case 0x10 -> read(disk, cdb.u32(2), cdb.u24(6), data);
      default -> ScsiResult.failed(Sense.ILLEGAL_MODE_FOR_TRACK);
    };
  }

  private synchronized ScsiResult startStop(Cdb cdb) {
    boolean load = cdb.bit(4, 1);
    if (!cdb.bit(4, 2) || cdb.u8(4) >> 4 != 0) {
      return ScsiResult.done(); // spins up or down, or saves power
    }
    if (load) {
      if (trayOpen) {
        trayOpen = false;
        if (medium != null) {
          mediaEvent = NEW_MEDIA;
          attend(Sense.MEDIUM_CHANGED);
        }
      }
      return ScsiResult.done();
    }
    if (locked) {
      return ScsiResult.failed(Sense.REMOVAL_PREVENTED);
    }
    if (!trayOpen) {
      trayOpen = true;
      mediaEvent = MEDIA_REMOVAL;
    }
    return ScsiResult.done();
  }

  private synchronized ScsiResult eventStatus(Cdb cdb, DataBuffer data) {
    if (!cdb.bit(1, 1)) {
      // Nobody could wait for an answer that comes when something happens.
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    boolean present = medium != null && !trayOpen;
    int status = (trayOpen ? 1 : 0) | (present ? 2 : 0);
    var answer = pages.eventStatus(cdb, mediaEvent, status);
    if (DvdPages.asksForMedia(cdb)) {
      mediaEvent = NO_CHANGE;
      if (cdb.u16(7) < answer.length) {
        // The event itself did not fit: it is told again.
        mediaEvent = answer[4] & 0xF;
      }
    }
    return ScsiResult.done(data.put(answer, cdb.u16(7)));
  }

  @Override
  void reset() {
    super.reset();
    synchronized (this) {
      locked = false;
    }
  }

  @Override
  public synchronized UnitState.Dvd state() {
    return new UnitState.Dvd(attentions(), trayOpen, locked, mediaEvent);
  }

  @Override
  public void restore(UnitState state) {
    if (!(state instanceof UnitState.Dvd saved)) {
      throw new IllegalArgumentException("not the state of a DVD drive: " + state);
    }
    setAttentions(saved.attentions());
    synchronized (this) {
      trayOpen = saved.trayOpen();
      locked = saved.locked();
      mediaEvent = saved.mediaEvent();
    }
  }
}
