package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A DHCP server (RFC 2131, RFC 2132): a message in, an answer out. Not thread-safe.
final class DhcpServer {
  static final int SERVER_PORT = 67;
  static final int CLIENT_PORT = 68;

  // Message types (RFC 2132, 9.6).
  private static final int DISCOVER = 1;
  private static final int OFFER = 2;
  private static final int REQUEST = 3;
  private static final int DECLINE = 4;
  private static final int ACK = 5;
  private static final int NAK = 6;
  private static final int RELEASE = 7;
  private static final int INFORM = 8;

  // Options (RFC 2132; search domains RFC 3397).
  private static final int PAD = 0;
  private static final int MASK = 1;
  private static final int ROUTER = 3;
  private static final int DNS = 6;
  private static final int DOMAIN = 15;
  private static final int MTU = 26;
  private static final int BROADCAST = 28;
  private static final int REQUESTED_ADDRESS = 50;
  private static final int LEASE_TIME = 51;
  private static final int OVERLOAD = 52;
  private static final int MESSAGE_TYPE = 53;
  private static final int SERVER_IDENTIFIER = 54;
  private static final int RENEWAL_TIME = 58;
  private static final int REBINDING_TIME = 59;
  private static final int CLIENT_IDENTIFIER = 61;
  private static final int SEARCH = 119;
  private static final int END = 255;

  private static final int MAGIC = 0x6382_5363;
  private static final int FIXED = 236;

  /// The least that a BOOTP client takes (RFC 951).
  private static final int LEAST_MESSAGE = 300;

  /// The most that a client takes without saying so (RFC 2131, 2).
  private static final int MOST_MESSAGE = 576 - 28;

  /// A day.
  static final int LEASE_SECONDS = 86_400;

  private final NatSettings settings;
  private final LeaseTable leases;

  DhcpServer(NatSettings settings, LeaseTable leases) {
    this.settings = settings;
    this.leases = leases;
  }

  /// An answer.
  ///
  /// @param to address that the datagram goes to
  /// @param broadcast whether it goes to all stations
  record Answer(byte[] message, IpAddress to, boolean broadcast) {}

  /// What the options of a message say.
  private static final class Options {
    private final @Nullable ByteBuffer[] values = new @Nullable ByteBuffer[256];

    private void read(ByteBuffer area) {
      while (area.hasRemaining()) {
        int code = area.get() & 0xff;
        if (code == END) {
          return;
        }
        if (code == PAD) {
          continue;
        }
        if (!area.hasRemaining()) {
          return;
        }
        int length = area.get() & 0xff;
        if (length > area.remaining()) {
          return;
        }
        if (values[code] == null) {
          values[code] = area.slice(area.position(), length);
        }
        area.position(area.position() + length);
      }
    }

    int octet(int code) {
      var value = values[code];
      return value == null || value.limit() != 1 ? -1 : value.get(0) & 0xff;
    }

    @Nullable IpAddress address(int code) {
      var value = values[code];
      return value == null || value.limit() != 4 ? null : IpAddress.v4(value.getInt(0));
    }

    @Nullable ByteBuffer value(int code) {
      return values[code];
    }
  }

  /// Answers a message.
  ///
  /// @param message the datagram's payload
  /// @param mac the sender's
  /// @param search domains that the host looks names up in
  /// @return nothing if it is none that this server answers
  @Nullable Answer answer(ByteBuffer message, long mac, List<String> search, long now) {
    if (message.limit() < FIXED + 4
        || message.get(0) != 1
        || message.get(1) != 1
        || message.get(2) != 6
        || message.getInt(24) != 0
        || message.getInt(FIXED) != MAGIC) {
      // No request of an Ethernet client, or one through a relay, and there is none here.
      return null;
    }
    var options = new Options();
    options.read(message.slice(FIXED + 4, message.limit() - FIXED - 4));
    int overload = options.octet(OVERLOAD);
    if (overload > 0 && (overload & 1) != 0) {
      options.read(message.slice(108, 128));
    }
    if (overload > 0 && (overload & 2) != 0) {
      options.read(message.slice(44, 64));
    }
    var server = options.address(SERVER_IDENTIFIER);
    if (server != null && !server.equals(settings.gateway4())) {
      return null;
    }
    var client = client(message, options);
    var current = IpAddress.v4(message.getInt(12));
    var wanted = options.address(REQUESTED_ADDRESS);
    switch (options.octet(MESSAGE_TYPE)) {
      case DISCOVER -> {
        var address = leases.offer(client, mac, wanted, now);
        return address == null ? null : reply(message, OFFER, address, LEASE_SECONDS, search);
      }
      case REQUEST -> {
        var address = wanted != null ? wanted : current;
        if (address.isUnspecified()) {
          return null;
        }
        if (leases.bind(client, mac, address, LEASE_SECONDS, now)) {
          return reply(message, ACK, address, LEASE_SECONDS, search);
        }
        return refusal(message);
      }
      case DECLINE -> {
        if (wanted != null) {
          leases.decline(client, wanted, now);
        }
        return null;
      }
      case RELEASE -> {
        leases.release(client, current);
        return null;
      }
      case INFORM -> {
        return current.isUnspecified() ? null : reply(message, ACK, IpAddress.ANY4, 0, search);
      }
      default -> {
        return null;
      }
    }
  }

  /// RFC 2131, 4.2: the identifier if there is one, else the hardware's address.
  private static String client(ByteBuffer message, Options options) {
    var identifier = options.value(CLIENT_IDENTIFIER);
    var octets = new byte[identifier == null ? 6 : identifier.limit()];
    if (identifier == null) {
      message.get(28, octets);
    } else {
      identifier.get(0, octets);
    }
    return (identifier == null ? "01" : "") + HexFormat.of().formatHex(octets);
  }

  private ByteBuffer begin(ByteBuffer message, int type) {
    var answer = ByteBuffer.allocate(MOST_MESSAGE);
    answer.put(0, message, 0, 12);
    answer.put(0, (byte) 2).put(3, (byte) 0).putShort(8, (short) 0);
    answer.putShort(10, message.getShort(10));
    answer.put(28, message, 28, 16);
    answer.putInt(FIXED, MAGIC);
    answer.position(FIXED + 4);
    answer.put((byte) MESSAGE_TYPE).put((byte) 1).put((byte) type);
    put(answer, SERVER_IDENTIFIER, settings.gateway4());
    return answer;
  }

  private Answer reply(
      ByteBuffer message, int type, IpAddress address, int seconds, List<String> search) {
    var answer = begin(message, type);
    answer.putInt(12, type == OFFER ? 0 : message.getInt(12));
    answer.putInt(16, address.v4Bits());
    if (seconds > 0) {
      put(answer, LEASE_TIME, IpAddress.v4(seconds));
      put(answer, RENEWAL_TIME, IpAddress.v4(seconds / 2));
      put(answer, REBINDING_TIME, IpAddress.v4(seconds / 8 * 7));
    }
    put(answer, MASK, settings.ipv4().mask4());
    put(answer, ROUTER, settings.gateway4());
    put(answer, DNS, settings.gateway4());
    put(answer, BROADCAST, settings.ipv4().broadcast4());
    answer.put((byte) MTU).put((byte) 2).putShort((short) settings.mtu());
    if (!search.isEmpty()) {
      put(answer, DOMAIN, search.getFirst().getBytes(StandardCharsets.US_ASCII));
      put(answer, SEARCH, DomainNames.encode(search));
    }
    var current = IpAddress.v4(message.getInt(12));
    boolean broadcast = (message.getShort(10) & 0x8000) != 0;
    return finish(
        answer,
        !current.isUnspecified() ? current : broadcast ? IpAddress.BROADCAST4 : address,
        current.isUnspecified() && broadcast);
  }

  private Answer refusal(ByteBuffer message) {
    var answer = begin(message, NAK);
    return finish(answer, IpAddress.BROADCAST4, true);
  }

  private static Answer finish(ByteBuffer answer, IpAddress to, boolean broadcast) {
    answer.put((byte) END);
    int length = Math.max(answer.position(), LEAST_MESSAGE);
    return new Answer(Arrays.copyOf(answer.array(), length), to, broadcast);
  }

  private static void put(ByteBuffer answer, int code, IpAddress value) {
    answer.put((byte) code).put((byte) 4).putInt(value.v4Bits());
  }

  private static void put(ByteBuffer answer, int code, byte[] value) {
    // Left out when it does not fit, with a place kept for the end.
    if (value.length > 0 && value.length <= 255 && answer.remaining() > value.length + 3) {
      answer.put((byte) code).put((byte) value.length).put(value);
    }
  }
}
