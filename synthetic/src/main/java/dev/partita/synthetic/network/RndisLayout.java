package dev.partita.synthetic.network;

/// The messages of remote NDIS, little-endian (\[MS-RNDIS\], 2.2): type and length of the whole,
/// and then what the type needs. Offsets in messages count from after the length.
final class RndisLayout {
  // Types.
  static final int PACKET = 1;
  static final int INITIALIZE = 2;
  static final int HALT = 3;
  static final int QUERY = 4;
  static final int SET = 5;
  static final int RESET = 6;
  static final int INDICATE_STATUS = 7;
  static final int KEEPALIVE = 8;
  static final int COMPLETE = 0x8000_0000;

  // Statuses.
  static final int SUCCESS = 0;
  static final int FAILURE = 0xC000_0001;
  static final int NOT_SUPPORTED = 0xC000_00BB;
  static final int BAD_VERSION = 0xC001_0004;
  static final int MULTICAST_FULL = 0xC001_0009;
  static final int INVALID_LENGTH = 0xC001_0014;
  static final int INVALID_DATA = 0xC001_0015;

  // Statuses that are indicated.
  static final int MEDIA_CONNECT = 0x4001_000B;
  static final int MEDIA_DISCONNECT = 0x4001_000C;
  static final int NETWORK_CHANGE = 0x4001_0018;
  static final int CURRENT_OFFLOADS = 0x4002_0006;

  /// Type and length.
  static final int HEADER = 8;

  static final int LENGTH = 4;

  /// Of all but packets and resets: the number of the request, which comes back.
  static final int REQUEST_ID = 8;

  // A query or set.
  static final int OID = 12;
  static final int INFORMATION_LENGTH = 16;
  static final int INFORMATION_OFFSET = 20;
  static final int REQUEST_SIZE = 28;

  // An initialization.
  static final int MAJOR_VERSION = 12;
  static final int INITIALIZE_SIZE = 24;

  // A packet.
  static final int DATA_OFFSET = 8;
  static final int DATA_LENGTH = 12;
  static final int INFO_OFFSET = 28;
  static final int INFO_LENGTH = 32;
  static final int PACKET_SIZE = 44;

  // Per-packet information: its size, its type, and where in it the value begins.
  static final int INFO_SIZE = 0;
  static final int INFO_TYPE = 4;
  static final int INFO_VALUE = 8;
  static final int INFO_HEADER = 12;

  /// With a value of four bytes.
  static final int INFO = INFO_HEADER + Integer.BYTES;

  // Types of per-packet information (Linux, `enum ndis_per_pkt_info_type`).
  static final int CHECKSUM_INFO = 0;
  static final int LARGE_SEND_INFO = 2;
  static final int TAG_INFO = 6;
  static final int HASH_INFO = 8;

  /// One that is not NDIS's: how a frame lies in several sections.
  static final int FRAGMENT_INFO = 0x8000_0001;

  // Its value: version 1 in bits 0 to 7, then these.
  static final int FRAGMENT_VERSION = 1;
  static final int FRAGMENT = 1 << 8;
  static final int FIRST_FRAGMENT = 1 << 9;
  static final int LAST_FRAGMENT = 1 << 10;

  // Checksum information of a frame that the guest sends; the TCP or UDP header's offset from bit
  // 16 on, 10 bits.
  static final int SEND_TCP = 1 << 2;
  static final int SEND_UDP = 1 << 3;
  static final int SEND_IP_HEADER = 1 << 4;
  static final int SEND_HEADER_SHIFT = 16;
  static final int SEND_HEADER_MASK = 0x3FF;

  // Checksum information of a frame that it receives.
  static final int RECEIVE_TCP_FAILED = 1;
  static final int RECEIVE_UDP_FAILED = 1 << 1;
  static final int RECEIVE_IP_FAILED = 1 << 2;
  static final int RECEIVE_TCP_SUCCEEDED = 1 << 3;
  static final int RECEIVE_UDP_SUCCEEDED = 1 << 4;
  static final int RECEIVE_IP_SUCCEEDED = 1 << 5;

  /// Large-send information: octets of a segment's payload.
  static final int SEGMENT_MASK = 0xF_FFFF;

  private RndisLayout() {}

  /// A tag (priority, drop eligibility, VLAN, from the top) as NDIS has it: from the bottom.
  static int ndisTag(int tag) {
    return tag >> 13 & 7 | tag >> 9 & 8 | (tag & 0xFFF) << 4;
  }

  /// The other way round.
  static int tag(int ndis) {
    return (ndis & 7) << 13 | (ndis & 8) << 9 | ndis >> 4 & 0xFFF;
  }
}
