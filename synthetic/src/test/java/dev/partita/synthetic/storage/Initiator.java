package dev.partita.synthetic.storage;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.vmbus.GpaRange;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;

/// Sends commands to a unit, with a buffer of its own in guest RAM: pages that do not lie in order,
/// and data that does not begin with a page.
final class Initiator implements AutoCloseable {
  /// Bytes of the buffer.
  static final int ROOM = 1 << 18;

  static final int OFFSET = 0x234;

  final GuestMemory memory = new GuestMemory(2 << 20);
  private final GpaRange range;
  private LogicalUnit unit;

  Initiator(LogicalUnit unit) {
    this.unit = unit;
    var pages = new long[ROOM / GuestMemory.PAGE_SIZE + 1];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = 300 - 3L * i + (i & 1);
    }
    range = new GpaRange(ROOM, OFFSET, pages);
  }

  void use(LogicalUnit other) {
    unit = other;
  }

  private DataBuffer buffer(int length) {
    return length == 0 ? DataBuffer.NONE : DataBuffer.of(memory, List.of(range), length);
  }

  static byte[] hex(String digits) {
    return HexFormat.of().parseHex(digits.replace(" ", ""));
  }

  /// A command without data.
  ScsiResult send(String cdb) {
    return unit.execute(new Cdb(hex(cdb)), DataBuffer.NONE);
  }

  /// A command that brings data.
  ScsiResult send(String cdb, byte[] data) {
    var buffer = buffer(data.length);
    buffer.put(data, data.length);
    return unit.execute(new Cdb(hex(cdb)), buffer);
  }

  /// What a command that fetches data did.
  record Answer(ScsiResult result, byte[] data) {
    int u8(int offset) {
      return data[offset] & 0xFF;
    }

    int u16(int offset) {
      return ByteBuffer.wrap(data).getShort(offset) & 0xFFFF;
    }

    int u32(int offset) {
      return ByteBuffer.wrap(data).getInt(offset);
    }

    long u64(int offset) {
      return ByteBuffer.wrap(data).getLong(offset);
    }

    String text(int offset, int length) {
      return new String(data, offset, length, StandardCharsets.US_ASCII);
    }
  }

  /// A command that fetches data into a buffer of a length; the data are those it says to have
  /// moved.
  Answer fetch(String cdb, int length) {
    var result = unit.execute(new Cdb(hex(cdb)), buffer(length));
    return new Answer(result, buffer(length).get(result.transferred()));
  }

  /// The same with all that a command could want.
  Answer fetch(String cdb) {
    return fetch(cdb, ROOM);
  }

  @Override
  public void close() {
    memory.close();
  }
}
