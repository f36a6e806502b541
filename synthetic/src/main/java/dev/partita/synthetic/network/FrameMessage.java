package dev.partita.synthetic.network;

import dev.partita.network.Frame;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// The message of remote NDIS by which a frame, or a part of one, is given to the guest: all that
/// stands before its octets. One thread at a time.
final class FrameMessage {
  /// Octets of it, with room for all that can be said of a frame.
  static final int LENGTH = 112;

  private final ByteBuffer octets = ByteBuffer.allocate(LENGTH).order(ByteOrder.LITTLE_ENDIAN);

  /// Writes it.
  ///
  /// @param count octets of the frame that follow
  /// @param checksum what was found of its checksums, or 0
  /// @param tag of its VLAN, or {@link Frame#NO_TAG}
  /// @param hash by which it was given to its queue, or 0
  /// @param fragment which part of a frame it is, or 0 if it is all
  void write(int count, int checksum, int tag, int hash, int fragment) {
    int at = RndisLayout.PACKET_SIZE;
    if (checksum != 0) {
      at = putInfo(at, RndisLayout.CHECKSUM_INFO, checksum);
    }
    if (tag != Frame.NO_TAG) {
      at = putInfo(at, RndisLayout.TAG_INFO, RndisLayout.ndisTag(tag));
    }
    if (hash != 0) {
      at = putInfo(at, RndisLayout.HASH_INFO, hash);
    }
    if (fragment != 0) {
      at = putInfo(at, RndisLayout.FRAGMENT_INFO, fragment);
    }
    int info = at - RndisLayout.PACKET_SIZE;
    octets.putInt(0, RndisLayout.PACKET);
    octets.putInt(RndisLayout.LENGTH, LENGTH + count);
    octets.putInt(RndisLayout.DATA_OFFSET, LENGTH - RndisLayout.HEADER);
    octets.putInt(RndisLayout.DATA_LENGTH, count);
    octets.putInt(
        RndisLayout.INFO_OFFSET, info == 0 ? 0 : RndisLayout.PACKET_SIZE - RndisLayout.HEADER);
    octets.putInt(RndisLayout.INFO_LENGTH, info);
  }

  private int putInfo(int at, int type, int value) {
    octets.putInt(at + RndisLayout.INFO_SIZE, RndisLayout.INFO);
    octets.putInt(at + RndisLayout.INFO_TYPE, type);
    octets.putInt(at + RndisLayout.INFO_VALUE, RndisLayout.INFO_HEADER);
    octets.putInt(at + RndisLayout.INFO_HEADER, value);
    return at + RndisLayout.INFO;
  }

  /// What was written: {@link #LENGTH} octets from 0.
  ByteBuffer octets() {
    return octets;
  }
}
