package dev.partita.synthetic.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// The messages of the network VSP's protocol, little-endian (Linux, `drivers/net/hyperv/
/// hyperv_net.h`, `struct nvsp_message`). Each is the payload of a packet in the ring.
final class NvspLayout {
  // Versions.
  static final int VERSION_1 = 0x0_0002;
  static final int VERSION_2 = 0x3_0002;
  static final int VERSION_4 = 0x4_0000;
  static final int VERSION_5 = 0x5_0000;
  static final int VERSION_6 = 0x6_0000;
  static final int VERSION_6_1 = 0x6_0001;

  // Types, in the first four bytes.
  static final int INIT = 1;
  static final int INIT_COMPLETE = 2;
  static final int SEND_NDIS_VERSION = 100;
  static final int SEND_RECEIVE_BUFFER = 101;
  static final int SEND_RECEIVE_BUFFER_COMPLETE = 102;
  static final int REVOKE_RECEIVE_BUFFER = 103;
  static final int SEND_SEND_BUFFER = 104;
  static final int SEND_SEND_BUFFER_COMPLETE = 105;
  static final int REVOKE_SEND_BUFFER = 106;
  static final int SEND_RNDIS_PACKET = 107;
  static final int SEND_RNDIS_PACKET_COMPLETE = 108;
  static final int SEND_NDIS_CONFIG = 125;
  static final int SWITCH_DATA_PATH = 129;
  static final int OID_QUERY_EX = 131;
  static final int OID_QUERY_EX_COMPLETE = 132;
  static final int SUB_CHANNEL = 133;
  static final int SEND_INDIRECTION_TABLE = 134;
  static final int PACKET_DIRECT = 135;

  // Statuses.
  static final int SUCCESS = 1;
  static final int FAIL = 2;
  static final int PROTOCOL_TOO_NEW = 3;
  static final int PROTOCOL_TOO_OLD = 4;
  static final int INVALID_RNDIS_PACKET = 5;
  static final int BUSY = 6;

  /// SEND_NDIS_CONFIG: largest frame, and what the driver can.
  static final int CONFIG_MTU = 4;

  static final int CONFIG_CAPABILITIES = 12;
  static final int CONFIG_SIZE = 20;

  // What a driver can.
  static final int CAPABLE_OF_8021Q = 1 << 3;
  static final int CAPABLE_OF_RSC = 1 << 7;

  /// SEND_RECEIVE_BUFFER, SEND_SEND_BUFFER.
  static final int BUFFER_GPADL = 4;

  static final int BUFFER_ID = 8;
  static final int BUFFER_SIZE = 10;

  /// SEND_RNDIS_PACKET.
  static final int CHANNEL_TYPE = 4;

  static final int SECTION_INDEX = 8;
  static final int SECTION_SIZE = 12;
  static final int PACKET_SIZE = 16;

  static final int DATA_CHANNEL = 0;
  static final int CONTROL_CHANNEL = 1;

  /// The packet is in no section of the send buffer.
  static final int NO_SECTION = -1;

  /// SUB_CHANNEL.
  static final int SUB_CHANNEL_OPERATION = 4;

  static final int SUB_CHANNEL_COUNT = 8;
  static final int SUB_CHANNEL_SIZE = 12;
  static final int ALLOCATE = 1;

  /// Entries of the send indirection table; Linux takes no other number.
  static final int SEND_TABLE_ENTRIES = 16;

  /// Bytes of a message before version 6.1, and from then on. Linux reads whole messages.
  private static final int LEGACY_SIZE = 28;

  private static final int SIZE_6_1 = 40;

  private NvspLayout() {}

  /// Bytes of every message of a version.
  static int size(int version) {
    return version >= VERSION_6_1 ? SIZE_6_1 : LEGACY_SIZE;
  }

  /// A message of a type with words after it.
  static byte[] message(int version, int type, int... words) {
    var buffer = ByteBuffer.allocate(size(version)).order(ByteOrder.LITTLE_ENDIAN).putInt(type);
    for (int word : words) {
      buffer.putInt(word);
    }
    return buffer.array();
  }

  /// How the guest is to spread what it sends: over so many channels in turn.
  static byte[] sendTable(int version, int channels) {
    int offset = size(version);
    var buffer =
        ByteBuffer.allocate(offset + SEND_TABLE_ENTRIES * Integer.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(SEND_INDIRECTION_TABLE).putInt(SEND_TABLE_ENTRIES).putInt(offset);
    for (int i = 0; i < SEND_TABLE_ENTRIES; i++) {
      buffer.putInt(offset + i * Integer.BYTES, i % channels);
    }
    return buffer.array();
  }
}
