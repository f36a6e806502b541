package dev.partita.synthetic.storage;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The commands a disk has, for REPORT SUPPORTED OPERATION CODES (SPC-4, 6.35).
final class DiskCommands {
  private static final int NO_SERVICE_ACTION = -1;

  /// A command.
  ///
  /// @param usage a one for each bit of the CDB that is looked at; the opcode itself in byte 0
  /// @param trims whether only disks that can give room back have it
  private record Command(int opcode, int serviceAction, String usage, boolean trims) {
    byte[] bits() {
      return HexFormat.of().parseHex(usage);
    }
  }

  private static final List<Command> ALL =
      List.of(
          plain("000000000000"), // TEST UNIT READY
          plain("03010000ff00"), // REQUEST SENSE
          plain("081fffffff00"), // READ(6)
          plain("0a1fffffff00"), // WRITE(6)
          plain("1201ffffff00"), // INQUIRY
          plain("15110000ff00"), // MODE SELECT(6)
          plain("1a08ffffff00"), // MODE SENSE(6)
          plain("1b000000ff00"), // START STOP UNIT
          plain("1e0000000300"), // PREVENT ALLOW MEDIUM REMOVAL
          plain("250000000000000000" + "00"), // READ CAPACITY(10)
          plain("2818ffffffff00ffff00"), // READ(10)
          plain("2a18ffffffff00ffff00"), // WRITE(10)
          plain("2e00ffffffff00ffff00"), // WRITE AND VERIFY(10)
          plain("2f06ffffffff00ffff00"), // VERIFY(10)
          plain("3502ffffffff00ffff00"), // SYNCHRONIZE CACHE(10)
          plain("4108ffffffff00ffff00"), // WRITE SAME(10)
          new Command(Opcode.UNMAP, NO_SERVICE_ACTION, "42010000000000ffff00", true),
          plain("55110000000000ffff00"), // MODE SELECT(10)
          plain("5a08ffff000000ffff00"), // MODE SENSE(10)
          plain("8818ffffffffffffffffffffffff0000"), // READ(16)
          plain("8a18ffffffffffffffffffffffff0000"), // WRITE(16)
          plain("8e00ffffffffffffffffffffffff0000"), // WRITE AND VERIFY(16)
          plain("8f06ffffffffffffffffffffffff0000"), // VERIFY(16)
          plain("9102ffffffffffffffffffffffff0000"), // SYNCHRONIZE CACHE(16)
          plain("9309ffffffffffffffffffffffff0000"), // WRITE SAME(16)
          new Command(
              Opcode.SERVICE_ACTION_IN_16,
              Opcode.READ_CAPACITY_16,
              "9e1000000000000000" + "00ffffffff0000",
              false),
          plain("a000ff000000ffffffff0000"), // REPORT LUNS
          new Command(
              Opcode.MAINTENANCE_IN,
              Opcode.REPORT_SUPPORTED_OPERATION_CODES,
              "a30c87ffffffffffffff0000",
              false),
          plain("a818ffffffffffffffff0000"), // READ(12)
          plain("aa18ffffffffffffffff0000"), // WRITE(12)
          plain("ae00ffffffffffffffff0000"), // WRITE AND VERIFY(12)
          plain("af06ffffffffffffffff0000")); // VERIFY(12)

  private DiskCommands() {}

  private static Command plain(String usage) {
    return new Command(HexFormat.fromHexDigits(usage, 0, 2), NO_SERVICE_ACTION, usage, false);
  }

  static ScsiResult report(Cdb cdb, DataBuffer data, boolean trims) {
    boolean timeouts = cdb.bit(2, 0x80);
    int wanted = cdb.u8(3);
    int action = cdb.u16(4);
    var answer =
        switch (cdb.u8(2) & 7) {
          case 0 -> all(timeouts, trims);
          case 1 -> one(wanted, NO_SERVICE_ACTION, timeouts, trims);
          case 2 -> one(wanted, action, timeouts, trims);
          case 3 -> one(wanted, hasActions(wanted) ? action : NO_SERVICE_ACTION, timeouts, trims);
          default -> null;
        };
    return answer == null
        ? ScsiResult.failed(Sense.INVALID_FIELD_IN_CDB)
        : ScsiResult.done(data.put(answer, (int) Math.min(cdb.u32(6), Integer.MAX_VALUE)));
  }

  private static boolean hasActions(int opcode) {
    return ALL.stream()
        .anyMatch(each -> each.opcode == opcode && each.serviceAction != NO_SERVICE_ACTION);
  }

  private static byte[] all(boolean timeouts, boolean trims) {
    var list = new ByteArrayOutputStream();
    for (var each : ALL) {
      if (each.trims && !trims) {
        continue;
      }
      boolean action = each.serviceAction != NO_SERVICE_ACTION;
      list.writeBytes(
          ByteBuffer.allocate(8)
              .put((byte) each.opcode)
              .put((byte) 0)
              .putShort((short) (action ? each.serviceAction : 0))
              .put((byte) 0)
              .put((byte) ((timeouts ? 2 : 0) | (action ? 1 : 0)))
              .putShort((short) each.bits().length)
              .array());
      if (timeouts) {
        list.writeBytes(noTimeouts());
      }
    }
    return ByteBuffer.allocate(4 + list.size()).putInt(list.size()).put(list.toByteArray()).array();
  }

  private static byte @Nullable [] one(int opcode, int action, boolean timeouts, boolean trims) {
    if (action == NO_SERVICE_ACTION ? hasActions(opcode) : !hasActions(opcode)) {
      return null;
    }
    for (var each : ALL) {
      if (each.opcode == opcode && each.serviceAction == action && (trims || !each.trims)) {
        var bits = each.bits();
        var answer = ByteBuffer.allocate(4 + bits.length + (timeouts ? 12 : 0));
        answer.put((byte) 0).put((byte) (3 | (timeouts ? 0x80 : 0)));
        answer.putShort((short) bits.length).put(bits);
        return timeouts ? answer.put(noTimeouts()).array() : answer.array();
      }
    }
    return new byte[] {0, 1, 0, 0}; // not supported
  }

  /// The command timeouts descriptor with none indicated.
  private static byte[] noTimeouts() {
    var bytes = new byte[12];
    bytes[1] = 10;
    return bytes;
  }
}
