package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import dev.partita.network.MacAddress;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A DHCPv6 server (RFC 8415) without leases: resolvers and search domains for clients that take
/// no notice of them in router advertisements, and for those that ask for an address the word
/// that there are none here, since they make their own.
final class Dhcpv6Server {
  static final int SERVER_PORT = 547;
  static final int CLIENT_PORT = 546;

  // Messages (RFC 8415, 7.3).
  private static final int SOLICIT = 1;
  private static final int ADVERTISE = 2;
  private static final int REQUEST = 3;
  private static final int CONFIRM = 4;
  private static final int RENEW = 5;
  private static final int REBIND = 6;
  private static final int REPLY = 7;
  private static final int RELEASE = 8;
  private static final int DECLINE = 9;
  private static final int INFORMATION_REQUEST = 11;

  // Options (RFC 8415, 21; RFC 3646).
  private static final int CLIENT_ID = 1;
  private static final int SERVER_ID = 2;
  private static final int IA_NA = 3;
  private static final int STATUS = 13;
  private static final int RAPID_COMMIT = 14;
  private static final int RESOLVERS = 23;
  private static final int SEARCH = 24;

  // Status codes (RFC 8415, 21.13).
  private static final int NO_ADDRESSES = 2;
  private static final int NO_BINDING = 3;

  private static final int MOST_CLIENT_ID = 130;
  private static final int MOST_MESSAGE = 1024;

  private final MacAddress mac;
  private final IpAddress resolver;

  Dhcpv6Server(MacAddress mac, IpAddress resolver) {
    this.mac = mac;
    this.resolver = resolver;
  }

  /// Answers a message, or not.
  byte @Nullable [] answer(ByteBuffer message, List<String> search) {
    if (message.limit() < 4) {
      return null;
    }
    int type = message.get(0) & 0xff;
    ByteBuffer client = null;
    boolean forUs = true;
    boolean rapid = false;
    int identity = 0;
    boolean addresses = false;
    for (int at = 4; at + 4 <= message.limit(); ) {
      int option = message.getShort(at) & 0xffff;
      int length = message.getShort(at + 2) & 0xffff;
      if (length > message.limit() - at - 4) {
        return null;
      }
      var value = message.slice(at + 4, length);
      switch (option) {
        case CLIENT_ID -> client = value;
        case SERVER_ID -> forUs = value.equals(serverId());
        case RAPID_COMMIT -> rapid = true;
        case IA_NA -> {
          if (length >= 12 && !addresses) {
            addresses = true;
            identity = value.getInt(0);
          }
        }
        default -> {}
      }
      at += 4 + length;
    }
    boolean answered =
        switch (type) {
          case SOLICIT, REQUEST, CONFIRM, RENEW, REBIND, RELEASE, DECLINE -> client != null;
          case INFORMATION_REQUEST -> true;
          default -> false;
        };
    if (!answered || !forUs || client != null && client.limit() > MOST_CLIENT_ID) {
      return null;
    }
    var answer = ByteBuffer.allocate(MOST_MESSAGE);
    answer.put((byte) (type == SOLICIT && !rapid ? ADVERTISE : REPLY));
    answer.put(message.slice(1, 3));
    if (client != null) {
      answer.putShort((short) CLIENT_ID).putShort((short) client.limit()).put(client);
    }
    answer.putShort((short) SERVER_ID).putShort((short) serverId().limit()).put(serverId());
    if (addresses) {
      boolean known = type == RENEW || type == REBIND || type == RELEASE || type == DECLINE;
      answer.putShort((short) IA_NA).putShort((short) (12 + 6)).putInt(identity).putLong(0);
      answer.putShort((short) STATUS).putShort((short) 2);
      answer.putShort((short) (known ? NO_BINDING : NO_ADDRESSES));
    }
    answer.putShort((short) RESOLVERS).putShort((short) 16);
    answer.putLong(resolver.high()).putLong(resolver.low());
    var names = DomainNames.encode(search);
    if (names.length > 0 && names.length + 4 <= answer.remaining()) {
      answer.putShort((short) SEARCH).putShort((short) names.length).put(names);
    }
    return Arrays.copyOf(answer.array(), answer.position());
  }

  /// A DUID of type 3, by link-layer address (RFC 8415, 11.4).
  private ByteBuffer serverId() {
    return ByteBuffer.allocate(10)
        .putInt(0x0003_0001)
        .putShort((short) (mac.bits() >>> 32))
        .putInt((int) mac.bits())
        .flip();
  }
}
