package dev.partita.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// The messages of a guest, byte by byte as Linux makes them.
final class GuestMessages {
  private GuestMessages() {}

  static ByteBuffer begin(int type, int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN).putInt(type).putInt(0);
  }

  static byte[] initiateContact(int major, int minor, int processor, int source) {
    return begin(14, 40).putInt(major << 16 | minor).putInt(processor).put((byte) source).array();
  }

  static byte[] requestOffers() {
    return begin(3, 8).array();
  }

  static byte[] unload() {
    return begin(16, 8).array();
  }

  static byte[] open(int relid, int openId, int gpadl, int processor, int downstream) {
    return begin(5, 148)
        .putInt(relid)
        .putInt(openId)
        .putInt(gpadl)
        .putInt(processor)
        .putInt(downstream)
        .array();
  }

  static byte[] close(int relid) {
    return begin(7, 12).putInt(relid).array();
  }

  static byte[] tearDown(int relid, int gpadl) {
    return begin(11, 16).putInt(relid).putInt(gpadl).array();
  }

  static byte[] released(int relid) {
    return begin(13, 12).putInt(relid).array();
  }

  static byte[] modify(int relid, int processor) {
    return begin(22, 16).putInt(relid).putInt(processor).array();
  }

  /// A GPADL of one range of whole pages, all in the header's message.
  static byte[] gpadl(int relid, int id, long... pages) {
    return gpadlHeader(relid, id, pages.length, pages);
  }

  /// The header of a GPADL of one range of whole pages, with the first of them.
  static byte[] gpadlHeader(int relid, int id, int pageCount, long... first) {
    var buffer = begin(8, 28 + 8 * first.length);
    buffer.putInt(relid).putInt(id).putShort((short) (8 + 8 * pageCount)).putShort((short) 1);
    buffer.putInt(pageCount * 4096).putInt(0);
    for (long page : first) {
      buffer.putLong(page);
    }
    return buffer.array();
  }

  static byte[] gpadlBody(int number, int id, long... pages) {
    var buffer = begin(9, 16 + 8 * pages.length).putInt(number).putInt(id);
    for (long page : pages) {
      buffer.putLong(page);
    }
    return buffer.array();
  }

  /// The 32-bit numbers of a message, its type first and the padding left out.
  static int[] fields(byte[] message) {
    var buffer = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
    var fields = new int[message.length / 4 - 1];
    fields[0] = buffer.getInt();
    buffer.getInt();
    for (int i = 1; i < fields.length; i++) {
      fields[i] = buffer.getInt();
    }
    return fields;
  }

  static int type(byte[] message) {
    return ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN).getInt();
  }
}
