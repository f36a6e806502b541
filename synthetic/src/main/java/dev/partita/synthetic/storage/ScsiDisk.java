package dev.partita.synthetic.storage;

import dev.partita.disk.VirtualDisk;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.UUID;

/// A SCSI disk (SBC-3) on a virtual disk. The virtual disk stays its owner's to close, when the
/// unit is no longer attached.
///
/// The write cache is honest: what the guest has flushed (SYNCHRONIZE CACHE, FUA, or any write once
/// it has switched the cache off) is on the medium when the command ends.
public final class ScsiDisk extends LogicalUnit {
  /// Bytes a WRITE SAME writes at a time.
  private static final int PATTERN_PIECE = 1 << 18;

  private static final int UNMAP_HEADER = 8;
  private static final int UNMAP_DESCRIPTOR = 16;

  /// FUA in byte 1 of reads and writes.
  private static final int FUA = 8;

  private static final int SAME_UNMAP = 8;
  private static final int SAME_NO_DATA = 1;

  private final VirtualDisk disk;
  private final UUID identity;
  private final DiskPages pages;
  private final DiskFailures failures;
  private final int sectorSize;
  private final long sectors;
  private volatile boolean writeCache = true;

  /// @param identity by which guests tell disks apart; the same whenever the disk is attached
  public ScsiDisk(VirtualDisk disk, UUID identity) {
    this.disk = disk;
    this.identity = identity;
    this.sectorSize = disk.logicalSectorSize();
    this.sectors = disk.size() / sectorSize;
    this.pages = new DiskPages(disk, identity);
    this.failures = new DiskFailures(disk.name());
  }

  @Override
  boolean isSlow(Cdb cdb) {
    return switch (cdb.opcode()) {
      case Opcode.READ_6,
          Opcode.READ_10,
          Opcode.READ_12,
          Opcode.READ_16,
          Opcode.WRITE_6,
          Opcode.WRITE_10,
          Opcode.WRITE_12,
          Opcode.WRITE_16,
          Opcode.WRITE_AND_VERIFY_10,
          Opcode.WRITE_AND_VERIFY_12,
          Opcode.WRITE_AND_VERIFY_16,
          Opcode.VERIFY_10,
          Opcode.VERIFY_12,
          Opcode.VERIFY_16,
          Opcode.SYNCHRONIZE_CACHE_10,
          Opcode.SYNCHRONIZE_CACHE_16,
          Opcode.START_STOP_UNIT,
          Opcode.MODE_SELECT_6,
          Opcode.MODE_SELECT_10,
          Opcode.UNMAP,
          Opcode.WRITE_SAME_10,
          Opcode.WRITE_SAME_16 ->
          true;
      default -> false;
    };
  }

  @Override
  ScsiResult inquiry(Cdb cdb, DataBuffer data) {
    return pages.inquiry(cdb, data);
  }

  @Override
  ScsiResult command(Cdb cdb, DataBuffer data) {
    if (asksForProtection(cdb)) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    return switch (cdb.opcode()) {
      case Opcode.TEST_UNIT_READY, Opcode.PREVENT_ALLOW_MEDIUM_REMOVAL -> ScsiResult.done();
      case Opcode.RESERVE_6, Opcode.RELEASE_6 -> ScsiResult.done(); // there is no other initiator
      case Opcode.START_STOP_UNIT -> startStop(cdb);
      case Opcode.READ_6 -> read(cdb.u24(1) & 0x1F_FFFF, blocks6(cdb), data);
      case Opcode.READ_10 -> read(cdb.u32(2), cdb.u16(7), data);
      case Opcode.READ_12 -> read(cdb.u32(2), cdb.u32(6), data);
      case Opcode.READ_16 -> read(cdb.u64(2), cdb.u32(10), data);
      case Opcode.WRITE_6 -> write(cdb.u24(1) & 0x1F_FFFF, blocks6(cdb), false, data);
      case Opcode.WRITE_10 -> write(cdb.u32(2), cdb.u16(7), cdb.bit(1, FUA), data);
      case Opcode.WRITE_12 -> write(cdb.u32(2), cdb.u32(6), cdb.bit(1, FUA), data);
      case Opcode.WRITE_16 -> write(cdb.u64(2), cdb.u32(10), cdb.bit(1, FUA), data);
      // What is verified is on the medium.
      case Opcode.WRITE_AND_VERIFY_10 -> write(cdb.u32(2), cdb.u16(7), true, data);
      case Opcode.WRITE_AND_VERIFY_12 -> write(cdb.u32(2), cdb.u32(6), true, data);
      case Opcode.WRITE_AND_VERIFY_16 -> write(cdb.u64(2), cdb.u32(10), true, data);
      case Opcode.VERIFY_10 -> verify(cdb, cdb.u32(2), cdb.u16(7), data);
      case Opcode.VERIFY_12 -> verify(cdb, cdb.u32(2), cdb.u32(6), data);
      case Opcode.VERIFY_16 -> verify(cdb, cdb.u64(2), cdb.u32(10), data);
      case Opcode.SYNCHRONIZE_CACHE_10 -> synchronize(cdb.u32(2), cdb.u16(7));
      case Opcode.SYNCHRONIZE_CACHE_16 -> synchronize(cdb.u64(2), cdb.u32(10));
      case Opcode.UNMAP -> unmap(cdb, data);
      case Opcode.WRITE_SAME_10 -> writeSame(cdb, cdb.u32(2), cdb.u16(7), false, data);
      case Opcode.WRITE_SAME_16 ->
          writeSame(cdb, cdb.u64(2), cdb.u32(10), cdb.bit(1, SAME_NO_DATA), data);
      case Opcode.READ_CAPACITY_10 -> readCapacity10(cdb, data);
      case Opcode.SERVICE_ACTION_IN_16 ->
          (cdb.u8(1) & 0x1F) == Opcode.READ_CAPACITY_16
              ? readCapacity16(cdb, data)
              : ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
      case Opcode.MODE_SENSE_6, Opcode.MODE_SENSE_10 -> pages.modeSense(cdb, data, writeCache);
      case Opcode.MODE_SELECT_6, Opcode.MODE_SELECT_10 -> modeSelect(cdb, data);
      case Opcode.MAINTENANCE_IN ->
          (cdb.u8(1) & 0x1F) == Opcode.REPORT_SUPPORTED_OPERATION_CODES
              ? DiskCommands.report(cdb, data, pages.trims())
              : ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
      // PERSISTENT RESERVE IN and OUT among them, as on Hyper-V's disks that are not shared: a file
      // has one holder and a disk one initiator, so that nothing could be reserved against anyone.
      default -> ScsiResult.failed(Sense.INVALID_OPERATION_CODE);
    };
  }

  /// RDPROTECT, WRPROTECT or VRPROTECT, for protection information that the disk does not have
  /// (SBC-3, 4.22).
  private static boolean asksForProtection(Cdb cdb) {
    return switch (cdb.opcode()) {
      case Opcode.READ_10,
          Opcode.READ_12,
          Opcode.READ_16,
          Opcode.WRITE_10,
          Opcode.WRITE_12,
          Opcode.WRITE_16,
          Opcode.WRITE_AND_VERIFY_10,
          Opcode.WRITE_AND_VERIFY_12,
          Opcode.WRITE_AND_VERIFY_16,
          Opcode.VERIFY_10,
          Opcode.VERIFY_12,
          Opcode.VERIFY_16,
          Opcode.WRITE_SAME_10,
          Opcode.WRITE_SAME_16 ->
          cdb.bit(1, 0xE0);
      default -> false;
    };
  }

  private static int blocks6(Cdb cdb) {
    // SBC-3, 5.12: 0 means 256.
    return cdb.u8(4) == 0 ? 256 : cdb.u8(4);
  }

  private boolean isWithin(long sector, long count) {
    return sector >= 0 && sector <= sectors && count <= sectors - sector;
  }

  // --- transfers ---

  private ScsiResult read(long sector, long count, DataBuffer data) {
    if (!isWithin(sector, count)) {
      return ScsiResult.failed(Sense.OUT_OF_RANGE);
    }
    long bytes = count * sectorSize;
    if (bytes > data.length()) {
      return ScsiResult.BAD_BUFFER;
    }
    try {
      disk.read(sector * sectorSize, data.segments((int) bytes));
    } catch (IOException e) {
      return failures.reading(sector, e);
    } finally {
      // Also what a read that failed half-way has brought.
      data.written((int) bytes);
    }
    return ScsiResult.done((int) bytes);
  }

  private ScsiResult write(long sector, long count, boolean through, DataBuffer data) {
    if (disk.readOnly()) {
      return ScsiResult.failed(Sense.WRITE_PROTECTED);
    }
    if (!isWithin(sector, count)) {
      return ScsiResult.failed(Sense.OUT_OF_RANGE);
    }
    long bytes = count * sectorSize;
    if (bytes > data.length()) {
      return ScsiResult.BAD_BUFFER;
    }
    try {
      disk.write(sector * sectorSize, data.segments((int) bytes));
      return written((int) bytes, through);
    } catch (IOException e) {
      return failures.writing(sector, e);
    }
  }

  /// What was written is done when it may wait in the cache, or is on the medium.
  private ScsiResult written(int bytes, boolean through) throws IOException {
    if (through || !writeCache) {
      disk.flush();
    }
    return ScsiResult.done(bytes);
  }

  private ScsiResult synchronize(long sector, long count) {
    if (!isWithin(sector, count)) {
      return ScsiResult.failed(Sense.OUT_OF_RANGE);
    }
    return flush(sector);
  }

  @Override
  ScsiResult flush() {
    return disk.readOnly() ? ScsiResult.done() : flush(0);
  }

  private ScsiResult flush(long sector) {
    try {
      disk.flush();
      return ScsiResult.done();
    } catch (IOException e) {
      return failures.writing(sector, e);
    }
  }

  private ScsiResult startStop(Cdb cdb) {
    boolean start = cdb.bit(4, 1);
    boolean noFlush = cdb.bit(4, 4);
    return start || noFlush ? ScsiResult.done() : flush(0);
  }

  private ScsiResult verify(Cdb cdb, long sector, long count, DataBuffer data) {
    if (!isWithin(sector, count)) {
      return ScsiResult.failed(Sense.OUT_OF_RANGE);
    }
    long bytes = count * sectorSize;
    return switch (cdb.u8(1) >> 1 & 3) {
      // The medium is the host's, which checks it by itself.
      case 0 -> ScsiResult.done();
      case 1 -> bytes > data.length() ? ScsiResult.BAD_BUFFER : compare(sector, bytes, bytes, data);
      case 3 ->
          count > pages.mostSameSectors()
              ? ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB)
              : sectorSize > data.length()
                  ? ScsiResult.BAD_BUFFER
                  : compare(sector, bytes, sectorSize, data);
      default -> ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    };
  }

  /// Compares sectors with the guest's bytes.
  ///
  /// @param period after so many bytes the guest's begin again
  private ScsiResult compare(long sector, long bytes, long period, DataBuffer data) {
    long most = Math.min(PATTERN_PIECE, period);
    try (var arena = Arena.ofConfined()) {
      var piece = arena.allocate(Math.max(most, sectorSize), 8);
      for (long done = 0; done < bytes; ) {
        var found = piece.asSlice(0, Math.min(most, bytes - done));
        disk.read(sector * sectorSize + done, found);
        if (!data.matches((int) (done % period), found)) {
          return ScsiResult.failed(Sense.MISCOMPARED);
        }
        done += found.byteSize();
      }
    } catch (IOException e) {
      return failures.reading(sector, e);
    }
    return ScsiResult.done((int) Math.min(bytes, period));
  }

  // --- giving back and filling ---

  private ScsiResult unmap(Cdb cdb, DataBuffer data) {
    if (disk.readOnly()) {
      return ScsiResult.failed(Sense.WRITE_PROTECTED);
    }
    if (!pages.trims()) {
      return ScsiResult.failed(Sense.INVALID_OPERATION_CODE);
    }
    if (cdb.bit(1, 1)) { // ANCHOR
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    int listLength = cdb.u16(7);
    if (listLength == 0) {
      return ScsiResult.done();
    }
    var list = ByteBuffer.wrap(data.get(listLength));
    if (list.remaining() < listLength) {
      return ScsiResult.BAD_BUFFER;
    }
    if (listLength < UNMAP_HEADER) {
      return ScsiResult.failed(Sense.PARAMETER_LIST_LENGTH_ERROR);
    }
    int descriptors =
        Math.min(list.getShort(2) & 0xFFFF, listLength - UNMAP_HEADER) / UNMAP_DESCRIPTOR;
    if (descriptors > DiskPages.MOST_UNMAP_DESCRIPTORS) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_PARAMETERS);
    }
    long total = 0;
    for (int i = 0; i < descriptors; i++) {
      int at = UNMAP_HEADER + i * UNMAP_DESCRIPTOR;
      long count = list.getInt(at + 8) & 0xFFFF_FFFFL;
      total += count;
      if (!isWithin(list.getLong(at), count)) {
        return ScsiResult.failed(Sense.OUT_OF_RANGE);
      }
      if (total > pages.mostUnmapSectors()) {
        return ScsiResult.failed(Sense.INVALID_FIELD_IN_PARAMETERS);
      }
    }
    long sector = 0;
    try {
      for (int i = 0; i < descriptors; i++) {
        int at = UNMAP_HEADER + i * UNMAP_DESCRIPTOR;
        sector = list.getLong(at);
        disk.trim(sector * sectorSize, (list.getInt(at + 8) & 0xFFFF_FFFFL) * sectorSize);
      }
      return ScsiResult.done(listLength);
    } catch (IOException e) {
      return failures.writing(sector, e);
    }
  }

  private ScsiResult writeSame(Cdb cdb, long sector, long count, boolean noData, DataBuffer data) {
    if (disk.readOnly()) {
      return ScsiResult.failed(Sense.WRITE_PROTECTED);
    }
    boolean unmap = cdb.bit(1, SAME_UNMAP);
    boolean strange = cdb.bit(1, 0x10) || cdb.bit(1, 6); // ANCHOR; the old PBDATA and LBDATA
    if (strange || unmap && !pages.trims()) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    // The block limits page says that 0 sectors are none (WSNZ), and how many are too many.
    if (count == 0 || count > pages.mostSameSectors()) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    if (!isWithin(sector, count)) {
      return ScsiResult.failed(Sense.OUT_OF_RANGE);
    }
    byte[] pattern = noData ? new byte[sectorSize] : data.get(sectorSize);
    if (pattern.length < sectorSize) {
      return ScsiResult.BAD_BUFFER;
    }
    long offset = sector * sectorSize;
    long bytes = count * sectorSize;
    try {
      if (isZero(pattern)) {
        disk.writeZeroes(offset, bytes);
      } else {
        fill(offset, bytes, pattern);
      }
      return written(noData ? 0 : sectorSize, false);
    } catch (IOException e) {
      return failures.writing(sector, e);
    }
  }

  private static boolean isZero(byte[] bytes) {
    for (byte each : bytes) {
      if (each != 0) {
        return false;
      }
    }
    return true;
  }

  private void fill(long offset, long bytes, byte[] pattern) throws IOException {
    try (var arena = Arena.ofConfined()) {
      var piece = arena.allocate(Math.min(PATTERN_PIECE, bytes), 8);
      for (long at = 0; at < piece.byteSize(); at += pattern.length) {
        MemorySegment.copy(MemorySegment.ofArray(pattern), 0, piece, at, pattern.length);
      }
      for (long done = 0; done < bytes; done += piece.byteSize()) {
        disk.write(offset + done, piece.asSlice(0, Math.min(piece.byteSize(), bytes - done)));
      }
    }
  }

  // --- what it is ---

  private ScsiResult readCapacity10(Cdb cdb, DataBuffer data) {
    if (!cdb.bit(8, 1) && cdb.u32(2) != 0) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    var answer =
        ByteBuffer.allocate(8).putInt((int) Math.min(sectors - 1, 0xFFFF_FFFFL)).putInt(sectorSize);
    return ScsiResult.done(data.put(answer.array(), 8));
  }

  private ScsiResult readCapacity16(Cdb cdb, DataBuffer data) {
    var answer = ByteBuffer.allocate(32).putLong(sectors - 1).putInt(sectorSize).put((byte) 0);
    answer.put((byte) pages.physicalExponent());
    if (pages.trims()) {
      answer.put((byte) 0x80); // LBPME
    }
    return ScsiResult.done(data.put(answer.array(), (int) Math.min(cdb.u32(10), 32)));
  }

  private ScsiResult modeSelect(Cdb cdb, DataBuffer data) {
    var parsed = pages.modeSelect(cdb, data, writeCache);
    if (parsed.sense() != null) {
      return ScsiResult.failed(parsed.sense());
    }
    boolean flush = writeCache && !parsed.writeCache();
    writeCache = parsed.writeCache();
    if (flush) {
      var flushed = flush(0);
      if (!flushed.isGood()) {
        return flushed;
      }
    }
    return ScsiResult.done(parsed.length());
  }

  @Override
  void reset() {
    super.reset();
    writeCache = true;
  }

  @Override
  public UnitState.Disk state() {
    return new UnitState.Disk(attentions(), writeCache);
  }

  @Override
  public void restore(UnitState state) {
    if (!(state instanceof UnitState.Disk saved)) {
      throw new IllegalArgumentException("not the state of a disk: " + state);
    }
    setAttentions(saved.attentions());
    writeCache = saved.writeCache();
  }

  /// By which guests tell it from others.
  public UUID identity() {
    return identity;
  }

  /// The virtual disk.
  public VirtualDisk disk() {
    return disk;
  }
}
