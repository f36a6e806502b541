package dev.partita.synthetic.storage;

import dev.partita.disk.DiskType;
import dev.partita.disk.VirtualDisk;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// What a disk says of itself: INQUIRY with its vital product data (SPC-4, 7.8; SBC-3, 6.6), and
/// mode pages (SPC-4, 7.5; SBC-3, 6.5).
final class DiskPages {
  /// Descriptors of one UNMAP, at most: they fit in a page.
  static final int MOST_UNMAP_DESCRIPTORS = 255;

  /// Bytes one UNMAP may name: a command should not take minutes.
  private static final long MOST_UNMAP = 1L << 30;

  /// Bytes one WRITE SAME may name, whose sectors may have to be written indeed. Whoever ends or
  /// saves the partition waits for the commands under way.
  private static final long MOST_SAME = 1L << 26;

  /// The host's files have holes of whole pages.
  private static final int HOLE = 4096;

  private static final int DIRECT_ACCESS = 0;

  // Vital product data.
  private static final int SUPPORTED_PAGES = 0x00;
  private static final int UNIT_SERIAL_NUMBER = 0x80;
  private static final int IDENTIFICATION = 0x83;
  private static final int BLOCK_LIMITS = 0xB0;
  private static final int BLOCK_CHARACTERISTICS = 0xB1;
  private static final int PROVISIONING = 0xB2;

  // Mode pages.
  private static final int CACHING = 0x08;
  private static final int CONTROL = 0x0A;
  private static final int INFORMATIONAL_EXCEPTIONS = 0x1C;
  private static final int ALL_PAGES = 0x3F;
  private static final int ALL_SUBPAGES = 0xFF;
  private static final int[] MODE_PAGES = {CACHING, CONTROL, INFORMATIONAL_EXCEPTIONS};

  /// WCE in byte 2 of the caching page.
  private static final int WRITE_CACHE_ENABLE = 4;

  private static final int WRITE_PROTECT = 0x80;
  private static final int DPO_FUA = 0x10;

  /// Microsoft's organizationally unique identifier 00-22-48 in an NAA 6 identifier.
  private static final long NAA_MICROSOFT = 6L << 60 | 0x002248L << 36;

  private final VirtualDisk disk;
  private final UUID identity;
  private final int sectorSize;

  DiskPages(VirtualDisk disk, UUID identity) {
    this.disk = disk;
    this.identity = identity;
    this.sectorSize = disk.logicalSectorSize();
  }

  boolean trims() {
    return disk.trims();
  }

  long mostUnmapSectors() {
    return MOST_UNMAP / sectorSize;
  }

  long mostSameSectors() {
    return MOST_SAME / sectorSize;
  }

  /// The power of two of logical sectors in a physical one.
  int physicalExponent() {
    return Integer.numberOfTrailingZeros(Math.max(1, disk.physicalSectorSize() / sectorSize));
  }

  // --- INQUIRY ---

  ScsiResult inquiry(Cdb cdb, DataBuffer data) {
    byte[] answer;
    if (!cdb.bit(1, 1)) {
      if (cdb.u8(2) != 0) {
        return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
      }
      answer = LogicalUnit.standardInquiry(DIRECT_ACCESS, false, "Msft", "Virtual Disk");
    } else {
      var content = productData(cdb.u8(2));
      if (content == null) {
        return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
      }
      answer = LogicalUnit.productPage(DIRECT_ACCESS, cdb.u8(2), content);
    }
    return ScsiResult.done(data.put(answer, cdb.u16(3)));
  }

  private byte @Nullable [] productData(int page) {
    return switch (page) {
      case SUPPORTED_PAGES ->
          new byte[] {
            SUPPORTED_PAGES,
            (byte) UNIT_SERIAL_NUMBER,
            (byte) IDENTIFICATION,
            (byte) BLOCK_LIMITS,
            (byte) BLOCK_CHARACTERISTICS,
            (byte) PROVISIONING
          };
      case UNIT_SERIAL_NUMBER -> serial();
      case IDENTIFICATION -> identification();
      case BLOCK_LIMITS -> blockLimits();
      case BLOCK_CHARACTERISTICS -> {
        var content = new byte[60];
        content[1] = 1; // does not rotate: seeking costs the guest nothing it could save
        yield content;
      }
      case PROVISIONING -> provisioning();
      default -> null;
    };
  }

  private byte[] serial() {
    return identity.toString().replace("-", "").getBytes(StandardCharsets.US_ASCII);
  }

  /// An NAA 6 identifier of the unit, as Hyper-V's disks have, and a T10 vendor identifier.
  private byte[] identification() {
    long high = identity.getMostSignificantBits();
    long low = identity.getLeastSignificantBits();
    var naa =
        ByteBuffer.allocate(20)
            .put(new byte[] {1, 3, 0, 16}) // binary; of the unit, NAA
            .putLong(NAA_MICROSOFT | (high ^ low >>> 28) & 0xF_FFFF_FFFFL)
            .putLong(high ^ low);
    var vendor = ("Msft    " + HexFormat.of().toHexDigits(high) + HexFormat.of().toHexDigits(low));
    var t10 =
        ByteBuffer.allocate(4 + vendor.length())
            .put(new byte[] {2, 1, 0, (byte) vendor.length()}) // ASCII; of the unit, T10 vendor
            .put(vendor.getBytes(StandardCharsets.US_ASCII));
    return ByteBuffer.allocate(naa.capacity() + t10.capacity())
        .put(naa.array())
        .put(t10.array())
        .array();
  }

  private byte[] blockLimits() {
    var content = ByteBuffer.allocate(60);
    content.put(0, (byte) 1); // WSNZ: a WRITE SAME of 0 sectors is none
    content.putShort(2, (short) (disk.physicalSectorSize() / sectorSize));
    content.putInt(4, ScsiController.MOST_TRANSFER / sectorSize);
    if (trims()) {
      content.putInt(16, (int) mostUnmapSectors());
      content.putInt(20, MOST_UNMAP_DESCRIPTORS);
      content.putInt(24, Math.max(1, HOLE / sectorSize));
      content.putInt(28, 0x8000_0000); // UGAVALID: aligned to sector 0
    }
    content.putLong(32, mostSameSectors());
    return content.array();
  }

  private byte[] provisioning() {
    var content = new byte[4];
    if (trims()) {
      // LBPU, LBPWS, LBPWS10. Not LBPRZ: what was given back need not read as zeroes.
      content[1] = (byte) (0x80 | 0x40 | 0x20);
      content[2] = (byte) (disk.type() == DiskType.FIXED ? 1 : 2);
    }
    return content;
  }

  // --- mode pages ---

  ScsiResult modeSense(Cdb cdb, DataBuffer data, boolean writeCache) {
    boolean ten = cdb.opcode() == Opcode.MODE_SENSE_10;
    int control = cdb.u8(2) >> 6;
    int page = cdb.u8(2) & 0x3F;
    int subpage = cdb.u8(3);
    boolean noDescriptor = cdb.bit(1, 8);
    if (control == 3) {
      return ScsiResult.failed(Sense.SAVING_NOT_SUPPORTED);
    }
    if (subpage != 0 && subpage != ALL_SUBPAGES) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    var pages = new ByteArrayOutputStream();
    for (int each : MODE_PAGES) {
      if (page == ALL_PAGES || page == each) {
        pages.writeBytes(modePage(each, control, writeCache));
      }
    }
    if (pages.size() == 0) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    int device = DPO_FUA | (disk.readOnly() ? WRITE_PROTECT : 0);
    var answer =
        modeHeader(ten, device, noDescriptor ? new byte[0] : descriptor(), pages.toByteArray());
    return ScsiResult.done(data.put(answer, ten ? cdb.u16(7) : cdb.u8(4)));
  }

  /// The mode parameter header with what follows it (SPC-4, 7.5.5).
  static byte[] modeHeader(boolean ten, int device, byte[] descriptor, byte[] pages) {
    int header = ten ? 8 : 4;
    var answer = ByteBuffer.allocate(header + descriptor.length + pages.length);
    if (ten) {
      answer.putShort((short) (answer.capacity() - 2)).put((byte) 0).put((byte) device);
      answer.putShort((short) 0).putShort((short) descriptor.length);
    } else {
      answer.put((byte) (answer.capacity() - 1)).put((byte) 0).put((byte) device);
      answer.put((byte) descriptor.length);
    }
    return answer.put(descriptor).put(pages).array();
  }

  /// The short block descriptor (SBC-3, 6.5.2.2).
  private byte[] descriptor() {
    long sectors = disk.size() / sectorSize;
    return ByteBuffer.allocate(8)
        .putInt((int) Math.min(sectors, 0xFFFF_FFFFL))
        .putInt(sectorSize)
        .array();
  }

  /// @param control 0 current, 1 what may be changed, 2 default
  private static byte[] modePage(int page, int control, boolean writeCache) {
    byte[] bytes =
        switch (page) {
          case CACHING -> new byte[20];
          default -> new byte[12];
        };
    bytes[0] = (byte) page;
    bytes[1] = (byte) (bytes.length - 2);
    switch (page) {
      case CACHING -> {
        boolean on = control != 0 || writeCache;
        bytes[2] = (byte) (on ? WRITE_CACHE_ENABLE : 0);
      }
      case CONTROL -> {
        if (control != 1) {
          bytes[3] = 0x10; // commands may be reordered without limit
          bytes[8] = (byte) 0xFF; // and may be busy without limit
          bytes[9] = (byte) 0xFF;
        }
      }
      default -> {}
    }
    return bytes;
  }

  /// What MODE SELECT asks for.
  ///
  /// @param sense why it is refused
  /// @param length bytes of its parameters
  record Selected(@Nullable Sense sense, boolean writeCache, int length) {
    static Selected refused(Sense sense) {
      return new Selected(sense, true, 0);
    }
  }

  /// The write cache can be switched; all else must be as it is.
  Selected modeSelect(Cdb cdb, DataBuffer data, boolean writeCache) {
    boolean ten = cdb.opcode() == Opcode.MODE_SELECT_10;
    if (cdb.bit(1, 1)) { // SP
      return Selected.refused(Sense.INVALID_FIELD_IN_CDB);
    }
    int length = ten ? cdb.u16(7) : cdb.u8(4);
    var list = ByteBuffer.wrap(data.get(length));
    int header = ten ? 8 : 4;
    if (length == 0) {
      return new Selected(null, writeCache, 0);
    }
    if (list.remaining() < length || length < header) {
      return Selected.refused(Sense.PARAMETER_LIST_LENGTH_ERROR);
    }
    int descriptors = ten ? list.getShort(6) & 0xFFFF : list.get(3) & 0xFF;
    if (descriptors != 0
        && (descriptors != 8
            || list.remaining() < header + 8
            || (list.getInt(header + 4) & 0xFF_FFFF) != sectorSize)) {
      return Selected.refused(Sense.INVALID_FIELD_IN_PARAMETERS);
    }
    boolean cache = writeCache;
    for (int at = header + descriptors; at < length; ) {
      if (length - at < 2) {
        return Selected.refused(Sense.PARAMETER_LIST_LENGTH_ERROR);
      }
      int page = list.get(at) & 0x7F; // PS is reserved here
      int size = 2 + (list.get(at + 1) & 0xFF);
      if (size > length - at) {
        return Selected.refused(Sense.PARAMETER_LIST_LENGTH_ERROR);
      }
      if (Arrays.stream(MODE_PAGES).noneMatch(each -> each == page)) {
        return Selected.refused(Sense.INVALID_FIELD_IN_PARAMETERS);
      }
      var wanted = Arrays.copyOfRange(list.array(), at, at + size);
      wanted[0] = (byte) page;
      if (page == CACHING && size > 2) {
        cache = (wanted[2] & WRITE_CACHE_ENABLE) != 0;
      }
      if (!Arrays.equals(wanted, modePage(page, 0, cache))) {
        return Selected.refused(Sense.INVALID_FIELD_IN_PARAMETERS);
      }
      at += size;
    }
    return new Selected(null, cache, length);
  }
}
