package dev.partita.vmbus;

import org.jspecify.annotations.Nullable;

/// The messages of the control plane (Linux, `enum vmbus_channel_message_type`). Each begins with
/// its number and 4 bytes of padding; all numbers are little-endian.
enum MessageType {
  OFFER_CHANNEL(1, 196),
  RESCIND_CHANNEL_OFFER(2, 12),
  REQUEST_OFFERS(3, 8),
  ALL_OFFERS_DELIVERED(4, 8),
  OPEN_CHANNEL(5, 148),
  OPEN_CHANNEL_RESULT(6, 20),
  CLOSE_CHANNEL(7, 12),
  GPADL_HEADER(8, 28),
  GPADL_BODY(9, 16),
  GPADL_CREATED(10, 20),
  GPADL_TEARDOWN(11, 16),
  GPADL_TORNDOWN(12, 12),
  RELID_RELEASED(13, 12),
  INITIATE_CONTACT(14, 40),
  VERSION_RESPONSE(15, 16),
  UNLOAD(16, 8),
  UNLOAD_RESPONSE(17, 8),
  OPEN_RESERVED_CHANNEL(18, 28),
  CLOSE_RESERVED_CHANNEL(19, 20),
  CLOSE_RESERVED_RESPONSE(20, 12),
  TL_CONNECT_REQUEST(21, 40),
  MODIFY_CHANNEL(22, 16),
  TL_CONNECT_RESULT(23, 44),
  MODIFY_CHANNEL_RESPONSE(24, 16);

  /// Bytes before a message's own fields.
  static final int HEADER_SIZE = 8;

  private static final @Nullable MessageType[] BY_NUMBER = new @Nullable MessageType[25];

  static {
    for (var type : values()) {
      BY_NUMBER[type.number] = type;
    }
  }

  final int number;

  /// Bytes, those of a list at the end excluded.
  final int size;

  MessageType(int number, int size) {
    this.number = number;
    this.size = size;
  }

  static @Nullable MessageType of(int number) {
    return number < 0 || number >= BY_NUMBER.length ? null : BY_NUMBER[number];
  }
}
