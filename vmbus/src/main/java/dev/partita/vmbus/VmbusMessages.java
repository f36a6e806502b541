package dev.partita.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;

/// The messages to a guest (Linux, `include/linux/hyperv.h`).
final class VmbusMessages {
  /// What is added to a channel's relid for the id of its event connection.
  static final int EVENT_CONNECTIONS = 0x2000;

  /// Message connections: of all versions, and of those from 5.0 on.
  static final int MESSAGE_CONNECTION = 1;

  static final int MESSAGE_CONNECTION_V5 = 4;

  // NTSTATUS.
  static final int STATUS_SUCCESS = 0;
  static final int STATUS_UNSUCCESSFUL = 0xC000_0001;
  static final int STATUS_INSUFFICIENT_RESOURCES = 0xC000_009A;
  static final int STATUS_CONNECTION_REFUSED = 0xC000_0236;

  private VmbusMessages() {}

  private static ByteBuffer begin(MessageType type) {
    return ByteBuffer.allocate(type.size)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(0, type.number)
        .position(MessageType.HEADER_SIZE);
  }

  private static byte[] of(MessageType type, int... fields) {
    var buffer = begin(type);
    for (int field : fields) {
      buffer.putInt(field);
    }
    return buffer.array();
  }

  /// The last field is the connection for further messages since 5.0, and before it the version.
  static byte[] versionResponse(int version) {
    return begin(MessageType.VERSION_RESPONSE)
        .put((byte) 1)
        .put((byte) 0) // connection state: good
        .putShort((short) 0)
        .putInt(version >= ProtocolVersion.V5_0 ? MESSAGE_CONNECTION_V5 : version)
        .array();
  }

  static byte[] versionNotSupported() {
    return begin(MessageType.VERSION_RESPONSE).array();
  }

  static byte[] offer(int relid, Offer offer) {
    var buffer = begin(MessageType.OFFER_CHANNEL);
    putUuid(buffer, offer.interfaceId());
    putUuid(buffer, offer.instanceId());
    return buffer
        .putLong(0)
        .putLong(0)
        .putShort((short) offer.flags())
        .putShort((short) offer.mmioMegabytes())
        .put(offer.userDefined())
        .putShort((short) offer.subChannel())
        .putShort((short) 0)
        .putInt(relid)
        .put((byte) 0) // monitor
        .put((byte) 0) // none: guests poll those
        .putShort((short) 1) // its own interrupt
        .putInt(EVENT_CONNECTIONS | relid)
        .array();
  }

  static byte[] allOffersDelivered() {
    return of(MessageType.ALL_OFFERS_DELIVERED);
  }

  static byte[] rescind(int relid) {
    return of(MessageType.RESCIND_CHANNEL_OFFER, relid);
  }

  static byte[] openResult(int relid, int openId, int status) {
    return of(MessageType.OPEN_CHANNEL_RESULT, relid, openId, status);
  }

  static byte[] gpadlCreated(int relid, int gpadl, int status) {
    return of(MessageType.GPADL_CREATED, relid, gpadl, status);
  }

  static byte[] gpadlTorndown(int gpadl) {
    return of(MessageType.GPADL_TORNDOWN, gpadl);
  }

  static byte[] unloadResponse() {
    return of(MessageType.UNLOAD_RESPONSE);
  }

  static byte[] closeReservedResponse(int relid) {
    return of(MessageType.CLOSE_RESERVED_RESPONSE, relid);
  }

  static byte[] modifyChannelResponse(int relid, int status) {
    return of(MessageType.MODIFY_CHANNEL_RESPONSE, relid, status);
  }

  /// @param ids the guest's endpoint and the host's service, as they came
  static byte[] tlConnectResult(byte[] ids, int status) {
    return begin(MessageType.TL_CONNECT_RESULT).put(ids).putInt(status).array();
  }

  /// A GUID's first three fields are little-endian numbers, the rest is bytes.
  static void putUuid(ByteBuffer buffer, UUID id) {
    long high = id.getMostSignificantBits();
    buffer.putInt((int) (high >>> 32)).putShort((short) (high >>> 16)).putShort((short) high);
    buffer.putLong(Long.reverseBytes(id.getLeastSignificantBits()));
  }
}
