package dev.partita.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// A packet from a guest (Linux, `struct vmpacket_descriptor`), copied out of the ring.
///
/// @param type {@link #IN_BAND} and the like, 0 to 65535
/// @param flags {@link #COMPLETION_REQUESTED} or 0; other bits are the guest's fancy
/// @param transactionId for the completion
/// @param extension what lies between the fixed header and the payload: the ranges of {@link
///     #GPA_DIRECT} and {@link #TRANSFER_PAGES}
/// @param payload a multiple of 8 bytes: the guest pads
public record Packet(int type, int flags, long transactionId, byte[] extension, byte[] payload) {
  /// VM_PKT_DATA_INBAND.
  public static final int IN_BAND = 6;

  /// VM_PKT_DATA_USING_XFER_PAGES.
  public static final int TRANSFER_PAGES = 7;

  /// VM_PKT_DATA_USING_GPA_DIRECT.
  public static final int GPA_DIRECT = 9;

  /// VM_PKT_COMP.
  public static final int COMPLETION = 11;

  /// VMBUS_DATA_PACKET_FLAG_COMPLETION_REQUESTED.
  public static final int COMPLETION_REQUESTED = 1;

  /// Bytes of the fixed header: type, offset and length in 8 bytes, flags, transaction id.
  static final int HEADER_SIZE = 16;

  /// Bytes after a packet: where it began, for debuggers.
  static final int TRAILER_SIZE = 8;

  public boolean wantsCompletion() {
    return (flags & COMPLETION_REQUESTED) != 0;
  }

  /// The payload for reading, little-endian.
  public ByteBuffer reader() {
    return ByteBuffer.wrap(payload).order(ByteOrder.LITTLE_ENDIAN);
  }
}
