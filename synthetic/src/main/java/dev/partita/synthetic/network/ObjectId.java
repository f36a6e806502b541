package dev.partita.synthetic.network;

/// NDIS object identifiers: what a driver asks for and sets (\[MS-RNDIS\], 3; the Windows driver
/// kit's `ntddndis.h`).
final class ObjectId {
  static final int SUPPORTED_LIST = 0x0001_0101;
  static final int HARDWARE_STATUS = 0x0001_0102;
  static final int MEDIA_SUPPORTED = 0x0001_0103;
  static final int MEDIA_IN_USE = 0x0001_0104;
  static final int MAXIMUM_LOOKAHEAD = 0x0001_0105;
  static final int MAXIMUM_FRAME_SIZE = 0x0001_0106;
  static final int LINK_SPEED = 0x0001_0107;
  static final int TRANSMIT_BUFFER_SPACE = 0x0001_0108;
  static final int RECEIVE_BUFFER_SPACE = 0x0001_0109;
  static final int TRANSMIT_BLOCK_SIZE = 0x0001_010A;
  static final int RECEIVE_BLOCK_SIZE = 0x0001_010B;
  static final int VENDOR_ID = 0x0001_010C;
  static final int VENDOR_DESCRIPTION = 0x0001_010D;
  static final int CURRENT_PACKET_FILTER = 0x0001_010E;
  static final int CURRENT_LOOKAHEAD = 0x0001_010F;
  static final int DRIVER_VERSION = 0x0001_0110;
  static final int MAXIMUM_TOTAL_SIZE = 0x0001_0111;
  static final int PROTOCOL_OPTIONS = 0x0001_0112;
  static final int MAC_OPTIONS = 0x0001_0113;
  static final int MEDIA_CONNECT_STATUS = 0x0001_0114;
  static final int MAXIMUM_SEND_PACKETS = 0x0001_0115;
  static final int VENDOR_DRIVER_VERSION = 0x0001_0116;
  static final int NETWORK_LAYER_ADDRESSES = 0x0001_0118;
  static final int RECEIVE_SCALE_CAPABILITIES = 0x0001_0203;
  static final int RECEIVE_SCALE_PARAMETERS = 0x0001_0204;
  static final int MAX_LINK_SPEED = 0x0001_0206;
  static final int LINK_STATE = 0x0001_0207;
  static final int LINK_PARAMETERS = 0x0001_0208;
  static final int CONFIG_PARAMETER = 0x0001_021B;

  static final int TRANSMIT_OK = 0x0002_0101;
  static final int RECEIVE_OK = 0x0002_0102;
  static final int TRANSMIT_ERROR = 0x0002_0103;
  static final int RECEIVE_ERROR = 0x0002_0104;
  static final int RECEIVE_NO_BUFFER = 0x0002_0105;
  static final int STATISTICS = 0x0002_0106;
  static final int DIRECTED_FRAMES_TRANSMIT = 0x0002_0202;
  static final int MULTICAST_FRAMES_TRANSMIT = 0x0002_0204;
  static final int BROADCAST_FRAMES_TRANSMIT = 0x0002_0206;
  static final int DIRECTED_FRAMES_RECEIVE = 0x0002_0208;
  static final int MULTICAST_FRAMES_RECEIVE = 0x0002_020A;
  static final int BROADCAST_FRAMES_RECEIVE = 0x0002_020C;
  static final int FRIENDLY_NAME = 0x0002_0216;
  static final int BYTES_RECEIVE = 0x0002_0219;
  static final int BYTES_TRANSMIT = 0x0002_021A;
  static final int RECEIVE_DISCARDS = 0x0002_021B;
  static final int TRANSMIT_DISCARDS = 0x0002_021C;

  static final int PERMANENT_ADDRESS = 0x0101_0101;
  static final int CURRENT_ADDRESS = 0x0101_0102;
  static final int MULTICAST_LIST = 0x0101_0103;
  static final int MAXIMUM_LIST_SIZE = 0x0101_0104;
  static final int OFFLOAD_ENCAPSULATION = 0x0101_010A;
  static final int RECEIVE_ERROR_ALIGNMENT = 0x0102_0101;
  static final int TRANSMIT_ONE_COLLISION = 0x0102_0102;
  static final int TRANSMIT_MORE_COLLISIONS = 0x0102_0103;

  static final int OFFLOAD_CURRENT_CONFIG = 0xFC01_020B;
  static final int OFFLOAD_PARAMETERS = 0xFC01_020C;
  static final int OFFLOAD_CAPABILITIES = 0xFC01_020D;

  /// All of them, for who asks.
  private static final int[] ALL = {
    SUPPORTED_LIST,
    HARDWARE_STATUS,
    MEDIA_SUPPORTED,
    MEDIA_IN_USE,
    MAXIMUM_LOOKAHEAD,
    MAXIMUM_FRAME_SIZE,
    LINK_SPEED,
    TRANSMIT_BUFFER_SPACE,
    RECEIVE_BUFFER_SPACE,
    TRANSMIT_BLOCK_SIZE,
    RECEIVE_BLOCK_SIZE,
    VENDOR_ID,
    VENDOR_DESCRIPTION,
    CURRENT_PACKET_FILTER,
    CURRENT_LOOKAHEAD,
    DRIVER_VERSION,
    MAXIMUM_TOTAL_SIZE,
    PROTOCOL_OPTIONS,
    MAC_OPTIONS,
    MEDIA_CONNECT_STATUS,
    MAXIMUM_SEND_PACKETS,
    VENDOR_DRIVER_VERSION,
    NETWORK_LAYER_ADDRESSES,
    CONFIG_PARAMETER,
    TRANSMIT_OK,
    RECEIVE_OK,
    TRANSMIT_ERROR,
    RECEIVE_ERROR,
    RECEIVE_NO_BUFFER,
    DIRECTED_FRAMES_TRANSMIT,
    MULTICAST_FRAMES_TRANSMIT,
    BROADCAST_FRAMES_TRANSMIT,
    DIRECTED_FRAMES_RECEIVE,
    MULTICAST_FRAMES_RECEIVE,
    BROADCAST_FRAMES_RECEIVE,
    FRIENDLY_NAME,
    PERMANENT_ADDRESS,
    CURRENT_ADDRESS,
    MULTICAST_LIST,
    MAXIMUM_LIST_SIZE,
    RECEIVE_ERROR_ALIGNMENT,
    TRANSMIT_ONE_COLLISION,
    TRANSMIT_MORE_COLLISIONS,
    // Of NDIS 6.
    LINK_STATE,
    LINK_PARAMETERS,
    MAX_LINK_SPEED,
    STATISTICS,
    BYTES_RECEIVE,
    BYTES_TRANSMIT,
    RECEIVE_DISCARDS,
    TRANSMIT_DISCARDS,
    OFFLOAD_PARAMETERS,
    OFFLOAD_ENCAPSULATION,
    OFFLOAD_CAPABILITIES,
    OFFLOAD_CURRENT_CONFIG,
    // Of NDIS 6.30, where several channels are.
    RECEIVE_SCALE_CAPABILITIES,
    RECEIVE_SCALE_PARAMETERS
  };

  private static final int NDIS_6_30 = 2;
  private static final int NDIS_6 = 12;

  private ObjectId() {}

  /// What a driver of an NDIS version is told that there is.
  ///
  /// @param ndis major version in the upper half, minor version in the lower
  static int[] supported(int ndis) {
    int without = ndis >= 0x6_001E ? 0 : ndis >= 0x6_0000 ? NDIS_6_30 : NDIS_6_30 + NDIS_6;
    return java.util.Arrays.copyOf(ALL, ALL.length - without);
  }
}
