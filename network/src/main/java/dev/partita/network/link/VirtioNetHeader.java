package dev.partita.network.link;

import dev.partita.network.Frame;
import java.nio.ByteBuffer;

/// What stands before each frame of a TAP device with offloads: `struct virtio_net_hdr`
/// (<linux/virtio_net.h>; Virtual I/O Device 1.2, 5.1.6), in the machine's own byte order; here for
/// little-endian machines, the only ones the engines run on.
final class VirtioNetHeader {
  static final int SIZE = 10;

  private static final int NEEDS_CHECKSUM = 1;
  private static final int CHECKSUM_VALID = 2;
  private static final int TCP4 = 1;
  private static final int TCP6 = 4;
  private static final int ECN = 0x80;

  private static final int FLAGS = 0;
  private static final int SEGMENTATION = 1;
  private static final int HEADER_LENGTH = 2;
  private static final int SEGMENT_SIZE = 4;
  private static final int CHECKSUM_START = 6;
  private static final int CHECKSUM_OFFSET = 8;

  private VirtioNetHeader() {}

  private static int get(ByteBuffer bytes, int at) {
    return Short.reverseBytes(bytes.getShort(at)) & 0xffff;
  }

  private static void put(ByteBuffer bytes, int at, int value) {
    bytes.putShort(at, Short.reverseBytes((short) value));
  }

  /// Notes on a frame what the header before it says.
  ///
  /// @return false if the header contradicts the frame
  static boolean read(ByteBuffer bytes, int at, Frame frame) {
    int flags = bytes.get(at + FLAGS);
    int start = get(bytes, at + CHECKSUM_START);
    int offset = get(bytes, at + CHECKSUM_OFFSET);
    if ((flags & NEEDS_CHECKSUM) != 0) {
      if (start < Frame.HEADER || start + offset + 2 > frame.length()) {
        return false;
      }
      frame.partial(start, offset);
    } else if ((flags & CHECKSUM_VALID) != 0) {
      frame.verified(true);
    }
    int kind = bytes.get(at + SEGMENTATION) & 0xff & ~ECN;
    if (kind == 0) {
      return true;
    }
    int size = get(bytes, at + SEGMENT_SIZE);
    if (kind != TCP4 && kind != TCP6 || size == 0) {
      return false;
    }
    frame.segmentSize(size);
    return true;
  }

  /// Writes the header of a frame before it.
  ///
  /// @param v4 whether a large segment is one over IPv4
  /// @param headerLength octets of its headers
  static void write(ByteBuffer bytes, int at, Frame frame, boolean v4, int headerLength) {
    bytes.putLong(at, 0);
    bytes.putShort(at + 8, (short) 0);
    switch (frame.checksum()) {
      case PARTIAL -> {
        bytes.put(at + FLAGS, (byte) NEEDS_CHECKSUM);
        put(bytes, at + CHECKSUM_START, frame.checksumStart());
        put(bytes, at + CHECKSUM_OFFSET, frame.checksumOffset());
      }
      case VERIFIED -> bytes.put(at + FLAGS, (byte) CHECKSUM_VALID);
      case UNKNOWN -> {}
    }
    if (frame.segmentSize() != 0) {
      bytes.put(at + SEGMENTATION, (byte) (v4 ? TCP4 : TCP6));
      put(bytes, at + HEADER_LENGTH, headerLength);
      put(bytes, at + SEGMENT_SIZE, frame.segmentSize());
    }
  }
}
