package dev.partita.synthetic.storage;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;

/// What answers SCSI commands at a LUN. Any thread may call; several commands run at a time.
public abstract sealed class LogicalUnit permits ScsiDisk, DvdDrive {
  /// Unit attentions that may wait to be told.
  private static final int MOST_ATTENTIONS = 8;

  private static final int VENDOR = 8;
  private static final int PRODUCT = 16;
  private static final int REVISION = 32;
  private static final int INQUIRY_SIZE = 36;

  /// SPC-3, as Hyper-V's disks say.
  private static final int VERSION = 5;

  private static final int CALLER_KNOWS_UNIT = 0x1F;

  private final InFlight requests = new InFlight();

  // Guarded by the monitor of the deque.
  private final ArrayDeque<Sense> attentions = new ArrayDeque<>();

  LogicalUnit() {}

  final InFlight requests() {
    return requests;
  }

  /// Whether a command may take long: it is then run on a thread for that.
  abstract boolean isSlow(Cdb cdb);

  /// Does what only this kind of unit does.
  abstract ScsiResult command(Cdb cdb, DataBuffer data);

  /// The answer to INQUIRY, one page of vital product data or the standard one.
  abstract ScsiResult inquiry(Cdb cdb, DataBuffer data);

  /// Brings all that was written to the medium.
  ScsiResult flush() {
    return ScsiResult.done();
  }

  /// Runs a command.
  final ScsiResult execute(Cdb cdb, DataBuffer data) {
    switch (cdb.opcode()) {
      case Opcode.INQUIRY -> {
        return inquiry(cdb, data);
      }
      case Opcode.REQUEST_SENSE -> {
        return requestSense(cdb, data);
      }
      default -> {
        var attention = cdb.opcode() == Opcode.GET_EVENT_STATUS_NOTIFICATION ? null : attention();
        return attention == null ? command(cdb, data) : ScsiResult.failed(attention);
      }
    }
  }

  // --- what has changed ---

  /// Tells the guest of a change with its next command.
  final void attend(Sense attention) {
    synchronized (attentions) {
      if (!attentions.contains(attention) && attentions.size() < MOST_ATTENTIONS) {
        attentions.add(attention);
      }
    }
  }

  private @org.jspecify.annotations.Nullable Sense attention() {
    synchronized (attentions) {
      return attentions.poll();
    }
  }

  final List<Sense> attentions() {
    synchronized (attentions) {
      return List.copyOf(attentions);
    }
  }

  final void setAttentions(List<Sense> all) {
    synchronized (attentions) {
      attentions.clear();
      attentions.addAll(all);
    }
  }

  /// The bus or the unit is reset.
  void reset() {
    attend(Sense.BUS_RESET);
  }

  private ScsiResult requestSense(Cdb cdb, DataBuffer data) {
    var attention = attention();
    var sense = attention == null ? idleSense() : attention;
    boolean descriptors = cdb.bit(1, 1);
    return ScsiResult.done(
        data.put(descriptors ? sense.descriptorBytes() : sense.bytes(), cdb.u8(4)));
  }

  /// What REQUEST SENSE tells when nothing has changed.
  Sense idleSense() {
    return Sense.NONE;
  }

  // --- parts of answers ---

  /// Standard INQUIRY data (SPC-4, 6.6.2).
  ///
  /// @param type peripheral qualifier and device type
  static byte[] standardInquiry(int type, boolean removable, String vendor, String product) {
    var bytes = new byte[INQUIRY_SIZE];
    bytes[0] = (byte) type;
    bytes[1] = (byte) (removable ? 0x80 : 0);
    bytes[2] = VERSION;
    bytes[3] = 2; // the format of this data
    bytes[4] = INQUIRY_SIZE - 5;
    bytes[7] = 2; // CMDQUE: many commands at a time
    put(bytes, VENDOR, 8, vendor);
    put(bytes, PRODUCT, 16, product);
    put(bytes, REVISION, 4, product.isEmpty() ? "" : "1.0");
    return bytes;
  }

  private static void put(byte[] bytes, int at, int length, String text) {
    if (!text.isEmpty()) {
      Arrays.fill(bytes, at, at + length, (byte) ' ');
      var ascii = text.getBytes(StandardCharsets.US_ASCII);
      System.arraycopy(ascii, 0, bytes, at, Math.min(length, ascii.length));
    }
  }

  /// The answer of a LUN where there is no unit: qualifier 3, type 1Fh. At LUN 0 the controller
  /// gives its name with it, as Hyper-V does.
  static ScsiResult absentInquiry(Cdb cdb, DataBuffer data, boolean first) {
    if (cdb.bit(1, 1) || cdb.u8(2) != 0) {
      return ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB);
    }
    var bytes =
        standardInquiry(
            3 << 5 | CALLER_KNOWS_UNIT, false, first ? "Msft" : "", first ? "Virtual Disk" : "");
    return ScsiResult.done(data.put(bytes, cdb.u16(3)));
  }

  /// A page of vital product data (SPC-4, 7.8).
  static byte[] productPage(int type, int page, byte[] content) {
    var bytes = new byte[4 + content.length];
    bytes[0] = (byte) type;
    bytes[1] = (byte) page;
    bytes[2] = (byte) (content.length >> 8);
    bytes[3] = (byte) content.length;
    System.arraycopy(content, 0, bytes, 4, content.length);
    return bytes;
  }

  /// The saveable state.
  public abstract UnitState state();

  /// Takes a state over.
  ///
  /// @throws IllegalArgumentException if it is that of another kind of unit
  public abstract void restore(UnitState state);
}
