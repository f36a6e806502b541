package dev.partita.synthetic.network;

import dev.partita.network.MacAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// The adapter as the driver configures it: answers requests of remote NDIS. One thread at a time;
/// {@link #configuration} is read by any.
final class Adapter {
  /// Octets of a request; the longest that drivers send is that of the receive scaling, some 650.
  static final int LONGEST_REQUEST = 8192;

  /// Multicast addresses that the guest may want.
  static final int MOST_MULTICAST = 64;

  // Packet filters (NDIS_PACKET_TYPE_DIRECTED and the like).
  static final int DIRECTED = 1;
  static final int MULTICAST = 1 << 1;
  static final int ALL_MULTICAST = 1 << 2;
  static final int BROADCAST = 1 << 3;
  static final int PROMISCUOUS = 1 << 5;

  /// Frames in one message from the driver, and their alignment: 2 to the power of three. Linux
  /// gathers as many.
  private static final int PACKETS_PER_MESSAGE = 8;

  private static final int ALIGNMENT = 3;

  private static final int MAJOR_VERSION = 1;
  private static final int CONNECTIONLESS = 1;
  private static final int BUFFER_SPACE = 256 << 10;

  /// The first half of Hyper-V's addresses.
  private static final int VENDOR = 0x00_155D;

  /// No loop-back, lookahead data may be copied, priorities and VLANs.
  private static final int MAC_OPTIONS = 0x1 | 0x4 | 0x8 | 0x40 | 0x200;

  // NDIS objects: type and revision.
  private static final int DEFAULT_1 = 0x180;
  private static final int RSS_CAPABILITIES_2 = 0x288;
  private static final int ENCAPSULATION_1 = 0x1A8;

  private static final int SMALLEST_OBJECT = 4;

  /// TCP over IPv4 and IPv6 by Toeplitz's function.
  private static final int RSS_CAPABILITIES = 0x301;

  // NDIS_RECEIVE_SCALE_PARAMETERS.
  private static final int RSS_SIZE = 28;
  private static final int RSS_HASH_UNCHANGED = 2;
  private static final int RSS_TABLE_UNCHANGED = 4;
  private static final int RSS_KEY_UNCHANGED = 8;
  private static final int RSS_OFF = 16;

  private static final int LONGEST_PARAMETER = 512;

  private final NicSettings settings;
  private volatile Configuration configuration;

  /// How it is set.
  ///
  /// @param initialized whether the driver has begun
  /// @param filter packets it wants, of {@link #DIRECTED} and the like
  /// @param address its address
  /// @param multicast addresses it wants, if it wants some
  /// @param offloads what the NIC does for it
  /// @param scaling how flows are spread over queues, or null
  record Configuration(
      boolean initialized,
      int filter,
      MacAddress address,
      List<Long> multicast,
      OffloadSettings offloads,
      @Nullable ReceiveScaling scaling) {
    Configuration {
      multicast = List.copyOf(multicast);
    }

    static Configuration initial(MacAddress address) {
      return new Configuration(false, 0, address, List.of(), OffloadSettings.INITIAL, null);
    }

    Configuration begun() {
      return new Configuration(true, 0, address, List.of(), OffloadSettings.INITIAL, null);
    }

    Configuration withFilter(int types) {
      return new Configuration(initialized, types, address, multicast, offloads, scaling);
    }

    Configuration withAddress(MacAddress mac) {
      return new Configuration(initialized, filter, mac, multicast, offloads, scaling);
    }

    Configuration withMulticast(List<Long> addresses) {
      return new Configuration(initialized, filter, address, addresses, offloads, scaling);
    }

    Configuration withOffloads(OffloadSettings set) {
      return new Configuration(initialized, filter, address, multicast, set, scaling);
    }

    Configuration withScaling(@Nullable ReceiveScaling spread) {
      return new Configuration(initialized, filter, address, multicast, offloads, spread);
    }
  }

  /// What is known of the NIC beyond the adapter.
  ///
  /// @param ndis the driver's NDIS version, major in the upper half
  /// @param frameSize octets of the largest frame, without a tag
  /// @param coalescing whether the driver can take joined segments
  /// @param linkUp whether its link is up
  record Surroundings(
      int ndis, int frameSize, boolean coalescing, boolean linkUp, NicStatistics statistics) {}

  Adapter(NicSettings settings) {
    this.settings = settings;
    configuration = Configuration.initial(settings.mac());
  }

  Configuration configuration() {
    return configuration;
  }

  /// The driver is gone.
  void reset() {
    configuration = Configuration.initial(settings.mac());
  }

  void restore(Configuration saved) {
    configuration = saved;
  }

  /// Answers a message.
  ///
  /// @param message a copy, little-endian, from 0 to its limit
  /// @return what the driver is to be told: nothing if it does not wait
  List<byte[]> handle(ByteBuffer message, Surroundings around) {
    int type = message.limit() < RndisLayout.REQUEST_ID + 4 ? 0 : message.getInt(0);
    int id = type == 0 ? 0 : message.getInt(RndisLayout.REQUEST_ID);
    return switch (type) {
      case RndisLayout.INITIALIZE -> List.of(initialize(message, id));
      case RndisLayout.HALT -> {
        configuration = Configuration.initial(configuration.address());
        yield List.of();
      }
      case RndisLayout.QUERY -> List.of(query(message, id, around));
      case RndisLayout.SET -> set(message, id, around);
      case RndisLayout.RESET -> {
        configuration = configuration.begun();
        // The last word: packet filter and the like have to be set again.
        yield List.of(answer(type, RndisLayout.SUCCESS, 1));
      }
      case RndisLayout.KEEPALIVE -> List.of(answer(type, id, RndisLayout.SUCCESS));
      default -> List.of();
    };
  }

  private static byte[] answer(int request, int... words) {
    int length = RndisLayout.HEADER + words.length * Integer.BYTES;
    var out = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(request | RndisLayout.COMPLETE).putInt(length);
    for (int word : words) {
      out.putInt(word);
    }
    return out.array();
  }

  /// What the driver is told unasked.
  static byte[] indication(int status, byte[] data) {
    int body = 3 * Integer.BYTES;
    int length = RndisLayout.HEADER + body + data.length;
    return ByteBuffer.allocate(length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(RndisLayout.INDICATE_STATUS)
        .putInt(length)
        .putInt(status)
        .putInt(data.length)
        .putInt(data.length == 0 ? 0 : body)
        .put(data)
        .array();
  }

  private byte[] initialize(ByteBuffer message, int id) {
    boolean known =
        message.limit() >= RndisLayout.INITIALIZE_SIZE
            && message.getInt(RndisLayout.MAJOR_VERSION) >= MAJOR_VERSION;
    if (known) {
      configuration = configuration.begun();
    }
    return answer(
        RndisLayout.INITIALIZE,
        id,
        known ? RndisLayout.SUCCESS : RndisLayout.BAD_VERSION,
        MAJOR_VERSION,
        0,
        CONNECTIONLESS,
        0, // Ethernet
        PACKETS_PER_MESSAGE,
        TransmitBuffer.LONGEST_MESSAGE,
        ALIGNMENT,
        0,
        0);
  }

  // --- queries ---

  private byte[] query(ByteBuffer message, int id, Surroundings around) {
    byte @Nullable [] value = null;
    if (message.limit() >= RndisLayout.REQUEST_SIZE) {
      value = value(message.getInt(RndisLayout.OID), information(message), around);
    }
    if (value == null) {
      return answer(RndisLayout.QUERY, id, RndisLayout.NOT_SUPPORTED, 0, 0);
    }
    int body = 4 * Integer.BYTES;
    int length = RndisLayout.HEADER + body + value.length;
    return ByteBuffer.allocate(length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(RndisLayout.QUERY | RndisLayout.COMPLETE)
        .putInt(length)
        .putInt(id)
        .putInt(RndisLayout.SUCCESS)
        .putInt(value.length)
        .putInt(body)
        .put(value)
        .array();
  }

  /// What comes with a request: nothing if it is not where the request says.
  private static ByteBuffer information(ByteBuffer message) {
    long offset =
        RndisLayout.HEADER + Integer.toUnsignedLong(message.getInt(RndisLayout.INFORMATION_OFFSET));
    long length = Integer.toUnsignedLong(message.getInt(RndisLayout.INFORMATION_LENGTH));
    if (offset + length > message.limit()) {
      return ByteBuffer.allocate(0);
    }
    return message.slice((int) offset, (int) length).order(ByteOrder.LITTLE_ENDIAN);
  }

  private byte @Nullable [] value(int oid, ByteBuffer wanted, Surroundings around) {
    var now = around.statistics();
    return switch (oid) {
      case ObjectId.SUPPORTED_LIST -> words(ObjectId.supported(around.ndis));
      case ObjectId.HARDWARE_STATUS, ObjectId.MEDIA_SUPPORTED, ObjectId.MEDIA_IN_USE -> words(0);
      case ObjectId.MAXIMUM_LOOKAHEAD, ObjectId.CURRENT_LOOKAHEAD, ObjectId.MAXIMUM_FRAME_SIZE ->
          words(around.frameSize - dev.partita.network.Frame.HEADER);
      case ObjectId.MAXIMUM_TOTAL_SIZE, ObjectId.TRANSMIT_BLOCK_SIZE, ObjectId.RECEIVE_BLOCK_SIZE ->
          words(around.frameSize);
      case ObjectId.LINK_SPEED ->
          words((int) Math.min(settings.bitsPerSecond() / 100, 0xFFFF_FFFFL));
      case ObjectId.TRANSMIT_BUFFER_SPACE, ObjectId.RECEIVE_BUFFER_SPACE -> words(BUFFER_SPACE);
      case ObjectId.VENDOR_ID -> words(VENDOR);
      case ObjectId.VENDOR_DESCRIPTION -> "Microsoft\0".getBytes(StandardCharsets.US_ASCII);
      case ObjectId.DRIVER_VERSION, ObjectId.VENDOR_DRIVER_VERSION -> words(0x0100);
      case ObjectId.CURRENT_PACKET_FILTER -> words(configuration.filter);
      case ObjectId.MAC_OPTIONS -> words(MAC_OPTIONS);
      case ObjectId.MEDIA_CONNECT_STATUS -> words(around.linkUp ? 0 : 1);
      case ObjectId.MAXIMUM_SEND_PACKETS -> words(-1);
      case ObjectId.NETWORK_LAYER_ADDRESSES, ObjectId.PROTOCOL_OPTIONS -> words(0);
      case ObjectId.FRIENDLY_NAME -> friendlyName();
      case ObjectId.PERMANENT_ADDRESS -> octets(settings.mac());
      case ObjectId.CURRENT_ADDRESS -> octets(configuration.address);
      case ObjectId.MULTICAST_LIST -> multicastList();
      case ObjectId.MAXIMUM_LIST_SIZE -> words(MOST_MULTICAST);
      case ObjectId.RECEIVE_ERROR_ALIGNMENT,
          ObjectId.TRANSMIT_ONE_COLLISION,
          ObjectId.TRANSMIT_MORE_COLLISIONS,
          ObjectId.RECEIVE_ERROR ->
          words(0);
      case ObjectId.LINK_STATE -> linkState(around.linkUp);
      case ObjectId.MAX_LINK_SPEED ->
          longs(settings.bitsPerSecond(), settings.bitsPerSecond()).array();
      case ObjectId.TRANSMIT_OK -> count(now.sent().frames(), wanted);
      case ObjectId.RECEIVE_OK -> count(now.received().frames(), wanted);
      case ObjectId.TRANSMIT_ERROR -> count(now.sendMalformed(), wanted);
      case ObjectId.RECEIVE_NO_BUFFER, ObjectId.RECEIVE_DISCARDS ->
          count(now.receiveDropped(), wanted);
      case ObjectId.TRANSMIT_DISCARDS -> count(now.sendDropped(), wanted);
      case ObjectId.DIRECTED_FRAMES_TRANSMIT -> count(now.sent().unicast(), wanted);
      case ObjectId.MULTICAST_FRAMES_TRANSMIT -> count(now.sent().multicast(), wanted);
      case ObjectId.BROADCAST_FRAMES_TRANSMIT -> count(now.sent().broadcast(), wanted);
      case ObjectId.DIRECTED_FRAMES_RECEIVE -> count(now.received().unicast(), wanted);
      case ObjectId.MULTICAST_FRAMES_RECEIVE -> count(now.received().multicast(), wanted);
      case ObjectId.BROADCAST_FRAMES_RECEIVE -> count(now.received().broadcast(), wanted);
      case ObjectId.BYTES_TRANSMIT -> count(now.sent().octets(), wanted);
      case ObjectId.BYTES_RECEIVE -> count(now.received().octets(), wanted);
      case ObjectId.STATISTICS -> statistics(now);
      case ObjectId.OFFLOAD_CAPABILITIES ->
          OffloadSettings.ALL.describe(offloadSize(wanted, around), around.coalescing);
      case ObjectId.OFFLOAD_CURRENT_CONFIG -> currentOffloads(wanted, around);
      case ObjectId.OFFLOAD_ENCAPSULATION ->
          object(ENCAPSULATION_1, 28)
              .putInt(1) // supported
              .putInt(2) // Ethernet
              .putInt(dev.partita.network.Frame.HEADER)
              .putInt(1)
              .putInt(2)
              .putInt(dev.partita.network.Frame.HEADER)
              .array();
      case ObjectId.RECEIVE_SCALE_CAPABILITIES ->
          object(RSS_CAPABILITIES_2, 18)
              .putInt(RSS_CAPABILITIES)
              .putInt(1) // interrupt messages
              .putInt(settings.queues())
              .putShort((short) ReceiveScaling.MOST_ENTRIES)
              .array();
      default -> null;
    };
  }

  private byte[] currentOffloads(ByteBuffer wanted, Surroundings around) {
    return configuration.offloads.describe(offloadSize(wanted, around), around.coalescing);
  }

  /// As much as the request's own object has room for, or as the driver's NDIS knows.
  private static int offloadSize(ByteBuffer wanted, Surroundings around) {
    if (wanted.limit() >= SMALLEST_OBJECT && (wanted.get(0) & 0xFF) == 0xA7) {
      return wanted.getShort(2) & 0xFFFF;
    }
    return around.ndis >= 0x6_001E ? 156 : around.ndis >= 0x6_0001 ? 144 : 112;
  }

  private static byte[] words(int... words) {
    var out = ByteBuffer.allocate(words.length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (int word : words) {
      out.putInt(word);
    }
    return out.array();
  }

  private static ByteBuffer longs(long... longs) {
    var out = ByteBuffer.allocate(longs.length * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (long each : longs) {
      out.putLong(each);
    }
    return out;
  }

  /// A counter: 64 bits for who has room for them.
  private static byte[] count(long count, ByteBuffer wanted) {
    int room = wanted.limit();
    return room > 0 && room < Long.BYTES ? words((int) count) : longs(count).array();
  }

  private static ByteBuffer object(int typeAndRevision, int size) {
    return ByteBuffer.allocate(size)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort((short) typeAndRevision)
        .putShort((short) size);
  }

  private byte[] friendlyName() {
    return (settings.name() + "\0").getBytes(StandardCharsets.UTF_16LE);
  }

  private static byte[] octets(MacAddress mac) {
    var out = ByteBuffer.allocate(8).putLong(mac.bits() << 16);
    return java.util.Arrays.copyOf(out.array(), 6);
  }

  private byte[] multicastList() {
    var out = ByteBuffer.allocate(configuration.multicast.size() * 6 + 2);
    for (long address : configuration.multicast) {
      int at = out.position();
      out.putLong(at, address << 16).position(at + 6);
    }
    return java.util.Arrays.copyOf(out.array(), out.position());
  }

  /// NDIS_LINK_STATE.
  private byte[] linkState(boolean up) {
    return object(DEFAULT_1, 40)
        .putInt(up ? 1 : 2)
        .putInt(up ? 2 : 0) // full duplex
        .putInt(0)
        .putLong(up ? settings.bitsPerSecond() : -1)
        .putLong(up ? settings.bitsPerSecond() : -1)
        .array();
  }

  /// NDIS_STATISTICS_INFO: which are there, and 18 counters.
  private static byte[] statistics(NicStatistics now) {
    var sent = now.sent();
    var received = now.received();
    int size = 8 + 18 * Long.BYTES;
    var out = object(DEFAULT_1, size).putInt(STATISTICS_KNOWN);
    out.putLong(now.receiveDropped()).putLong(0);
    out.putLong(received.octets()).putLong(received.unicast());
    out.putLong(received.multicast()).putLong(received.broadcast());
    out.putLong(sent.octets()).putLong(sent.unicast());
    out.putLong(sent.multicast()).putLong(sent.broadcast());
    out.putLong(now.sendMalformed()).putLong(now.sendDropped());
    return out.array();
  }

  /// Discards and octets in all, frames by kind, errors, both ways.
  private static final int STATISTICS_KNOWN = 0x7FF | 0x8000;

  // --- sets ---

  private List<byte[]> set(ByteBuffer message, int id, Surroundings around) {
    int status = RndisLayout.INVALID_LENGTH;
    int oid = 0;
    if (message.limit() >= RndisLayout.REQUEST_SIZE) {
      oid = message.getInt(RndisLayout.OID);
      status = set(oid, information(message));
    }
    var told = new ArrayList<byte[]>();
    told.add(answer(RndisLayout.SET, id, status));
    if (oid == ObjectId.OFFLOAD_PARAMETERS && status == RndisLayout.SUCCESS) {
      var current = currentOffloads(ByteBuffer.allocate(0), around);
      told.add(indication(RndisLayout.CURRENT_OFFLOADS, current));
    }
    return told;
  }

  private int set(int oid, ByteBuffer value) {
    switch (oid) {
      case ObjectId.CURRENT_PACKET_FILTER -> {
        if (value.limit() < Integer.BYTES) {
          return RndisLayout.INVALID_LENGTH;
        }
        configuration = configuration.withFilter(value.getInt(0));
      }
      case ObjectId.MULTICAST_LIST -> {
        int count = value.limit() / 6;
        if (value.limit() % 6 != 0) {
          return RndisLayout.INVALID_LENGTH;
        }
        if (count > MOST_MULTICAST) {
          return RndisLayout.MULTICAST_FULL;
        }
        var list = new ArrayList<Long>();
        for (int i = 0; i < count; i++) {
          list.add(address(value, i * 6));
        }
        configuration = configuration.withMulticast(list);
      }
      case ObjectId.OFFLOAD_PARAMETERS -> {
        var changed = configuration.offloads.with(value);
        if (changed == null) {
          return RndisLayout.INVALID_LENGTH;
        }
        configuration = configuration.withOffloads(changed);
      }
      case ObjectId.RECEIVE_SCALE_PARAMETERS -> {
        return scale(value);
      }
      case ObjectId.CONFIG_PARAMETER -> {
        return parameter(value);
      }
      case ObjectId.CURRENT_LOOKAHEAD,
          ObjectId.PROTOCOL_OPTIONS,
          ObjectId.NETWORK_LAYER_ADDRESSES,
          ObjectId.LINK_PARAMETERS,
          ObjectId.OFFLOAD_ENCAPSULATION -> {
        // There is nothing to choose.
      }
      default -> {
        return RndisLayout.NOT_SUPPORTED;
      }
    }
    return RndisLayout.SUCCESS;
  }

  private static long address(ByteBuffer value, int at) {
    long bits = 0;
    for (int i = 0; i < 6; i++) {
      bits = bits << 8 | value.get(at + i) & 0xFF;
    }
    return bits;
  }

  private int scale(ByteBuffer value) {
    if (value.limit() < RSS_SIZE) {
      return RndisLayout.INVALID_LENGTH;
    }
    int flags = value.getShort(4) & 0xFFFF;
    var before = configuration.scaling;
    int hashes =
        (flags & RSS_HASH_UNCHANGED) != 0 && before != null ? before.hashes() : value.getInt(8);
    if ((flags & RSS_OFF) != 0 || (hashes & ReceiveScaling.FUNCTION_MASK) == 0) {
      configuration = configuration.withScaling(null);
      return RndisLayout.SUCCESS;
    }
    var table =
        (flags & RSS_TABLE_UNCHANGED) != 0 && before != null
            ? before.table()
            : table(value, value.getShort(12) & 0xFFFF, value.getInt(16));
    var key =
        (flags & RSS_KEY_UNCHANGED) != 0 && before != null
            ? before.key()
            : key(value, value.getShort(20) & 0xFFFF, value.getInt(24));
    if (table == null
        || key == null
        || (hashes & ReceiveScaling.FUNCTION_MASK) != ReceiveScaling.FUNCTION_TOEPLITZ) {
      return RndisLayout.INVALID_DATA;
    }
    configuration = configuration.withScaling(new ReceiveScaling(hashes, key, table));
    return RndisLayout.SUCCESS;
  }

  private byte @Nullable [] table(ByteBuffer value, int size, int offset) {
    int entries = Math.min(size / Integer.BYTES, ReceiveScaling.MOST_ENTRIES);
    if (Integer.bitCount(entries) != 1 || !has(value, offset, entries * Integer.BYTES)) {
      return null;
    }
    var table = new byte[entries];
    for (int i = 0; i < entries; i++) {
      int queue = value.getInt(offset + i * Integer.BYTES);
      if (queue < 0 || queue >= settings.queues()) {
        return null;
      }
      table[i] = (byte) queue;
    }
    return table;
  }

  private static byte @Nullable [] key(ByteBuffer value, int size, int offset) {
    if (size != ReceiveScaling.KEY_SIZE || !has(value, offset, size)) {
      return null;
    }
    var key = new byte[size];
    value.get(offset, key);
    return key;
  }

  private static boolean has(ByteBuffer value, int offset, int length) {
    return offset >= 0 && length >= 0 && offset <= value.limit() - length;
  }

  /// A parameter as Windows' registry has them, by its name.
  private int parameter(ByteBuffer value) {
    if (value.limit() < 20) {
      return RndisLayout.INVALID_LENGTH;
    }
    int nameLength = value.getInt(4);
    int length = value.getInt(16);
    if (nameLength > LONGEST_PARAMETER
        || length > LONGEST_PARAMETER
        || !has(value, value.getInt(0), nameLength)
        || !has(value, value.getInt(12), length)) {
      return RndisLayout.INVALID_DATA;
    }
    var name = text(value, value.getInt(0), nameLength);
    boolean isText = value.getInt(8) == 2;
    if (name.equals("NetworkAddress")) {
      return isText ? setAddress(text(value, value.getInt(12), length)) : RndisLayout.INVALID_DATA;
    }
    int number = -1;
    if (isText) {
      number = Character.digit((text(value, value.getInt(12), length) + " ").charAt(0), 10);
    } else if (length >= Integer.BYTES) {
      number = value.getInt(value.getInt(12));
    }
    if (number >= 0) {
      configuration = configuration.withOffloads(configuration.offloads.with(name, number));
    }
    return RndisLayout.SUCCESS;
  }

  private static String text(ByteBuffer value, int offset, int length) {
    var bytes = new byte[length & ~1];
    value.get(offset, bytes);
    var text = new String(bytes, StandardCharsets.UTF_16LE);
    int end = text.indexOf('\0');
    return end < 0 ? text : text.substring(0, end);
  }

  private int setAddress(String text) {
    MacAddress mac;
    try {
      mac = MacAddress.parse(text.toLowerCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      return RndisLayout.INVALID_DATA;
    }
    if (mac.isGroup() || mac.bits() == 0) {
      return RndisLayout.INVALID_DATA;
    }
    if (!settings.macChanges() && !mac.equals(settings.mac())) {
      return RndisLayout.NOT_SUPPORTED;
    }
    configuration = configuration.withAddress(mac);
    return RndisLayout.SUCCESS;
  }
}
