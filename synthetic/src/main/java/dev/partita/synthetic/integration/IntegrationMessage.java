package dev.partita.synthetic.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/// A message of an integration service: a pipe header of 8 bytes (type, size), a header of 20
/// (Linux, `struct icmsg_hdr`: framework version, type, message version, size, status, transaction,
/// flags), and a body.
///
/// @param framework version of the framing, major in the upper 16 bits
/// @param type of the message
/// @param version of the service's protocol, major in the upper 16 bits
/// @param status 0, or an HRESULT
/// @param transaction 0 to 255: an answer has its request's
/// @param flags {@link #TRANSACTION} and the like
/// @param body any bytes, not changed after the record is made
record IntegrationMessage(
    int framework, int type, int version, int status, int transaction, int flags, byte[] body) {
  // ICMSGTYPE.
  static final int NEGOTIATE = 0;
  static final int HEARTBEAT = 1;
  static final int KEY_VALUE_EXCHANGE = 2;
  static final int SHUTDOWN = 3;
  static final int TIME_SYNCHRONIZATION = 4;
  static final int VOLUME_SHADOW_COPY = 5;
  static final int FILE_COPY = 7;

  // ICMSGHDRFLAG.
  static final int TRANSACTION = 1;
  static final int REQUEST = 2;
  static final int RESPONSE = 4;

  private static final int PIPE_HEADER_SIZE = 8;
  private static final int HEADER_SIZE = 20;
  private static final int PIPE_DATA = 1;

  byte[] bytes() {
    var buffer =
        ByteBuffer.allocate(PIPE_HEADER_SIZE + HEADER_SIZE + body.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(PIPE_DATA).putInt(HEADER_SIZE + body.length);
    putVersion(buffer, framework);
    buffer.putShort((short) type);
    putVersion(buffer, version);
    return buffer
        .putShort((short) body.length)
        .putInt(status)
        .put((byte) transaction)
        .put((byte) flags)
        .putShort((short) 0)
        .put(body)
        .array();
  }

  static void putVersion(ByteBuffer buffer, int version) {
    buffer.putShort((short) (version >>> 16)).putShort((short) version);
  }

  static int getVersion(ByteBuffer buffer) {
    int major = buffer.getShort() & 0xFFFF;
    return major << 16 | buffer.getShort() & 0xFFFF;
  }

  /// @param payload a packet's, little-endian
  /// @return null if it is no message
  static @Nullable IntegrationMessage parse(ByteBuffer payload) {
    if (payload.remaining() < PIPE_HEADER_SIZE + HEADER_SIZE) {
      return null;
    }
    payload.position(payload.position() + PIPE_HEADER_SIZE);
    int framework = getVersion(payload);
    int type = payload.getShort() & 0xFFFF;
    int version = getVersion(payload);
    int size = payload.getShort() & 0xFFFF;
    int status = payload.getInt();
    int transaction = payload.get() & 0xFF;
    int flags = payload.get() & 0xFF;
    payload.getShort();
    if (size > payload.remaining()) {
      return null;
    }
    var body = new byte[size];
    payload.get(body);
    return new IntegrationMessage(framework, type, version, status, transaction, flags, body);
  }
}
