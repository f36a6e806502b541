package dev.partita.synthetic.integration;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Bodies of the messages of {@link KeyValueExchange} (Linux, `include/uapi/linux/hyperv.h`,
/// `struct hv_kvp_msg` and `struct hv_kvp_ip_msg`; for version 5.0 OpenVMM,
/// `hyperv_ic_protocol/kvp.rs`). All begin with operation and pool, a byte each.
final class KeyValueMessage {
  // enum hv_kvp_exchg_op.
  static final int SET = 1;
  static final int DELETE = 2;
  static final int ENUMERATE = 3;
  static final int GET_ADDRESSES = 4;

  static final int SIZE = 2580;
  static final int ADDRESSES_SIZE = 7428;

  // struct hv_kvp_exchg_msg_value: type, key size, value size, key, value.
  private static final int VALUE_OFFSET = 4;
  private static final int INDEX_SIZE = 4;
  private static final int KEY_SIZE_OFFSET = 4;
  private static final int VALUE_SIZE_OFFSET = 8;
  private static final int KEY_OFFSET = 12;
  private static final int DATA_OFFSET = KEY_OFFSET + KeyValue.KEY_FIELD;

  // Types of values: those of Windows' registry. Linux takes 8 for a 64-bit number.
  private static final int TYPE_STRING = 1;
  private static final int TYPE_EXPANDABLE_STRING = 2;
  private static final int TYPE_INT = 4;
  private static final int TYPE_LONG_LINUX = 8;
  private static final int TYPE_LONG = 11;

  // struct hv_kvp_ip_msg.
  private static final int ADAPTER_OFFSET = 2;
  private static final int ADAPTER_FIELD = 256;
  private static final int DHCP_OFFSET = 259;
  private static final int ADDRESS_OFFSET = 260;
  private static final int ADDRESS_FIELD = 2048;
  private static final int SUBNET_OFFSET = 2308;
  private static final int GATEWAY_OFFSET = 4356;
  private static final int GATEWAY_FIELD = 1024;
  private static final int NAME_SERVER_OFFSET = 5380;

  // The same of version 5.0: numbers of what follows, then addresses as bytes.
  private static final int BINARY_OFFSET = 4;
  private static final int BINARY_ADAPTER_OFFSET = 28;
  private static final int BINARY_DHCP_OFFSET = 285;
  private static final int BINARY_ADDRESSES = 288;
  private static final int BINARY_MOST = 64;
  private static final int BINARY_MOST_GATEWAYS = 5;
  private static final int V4_SIZE = 4;
  private static final int V6_SIZE = 16;

  private KeyValueMessage() {}

  private static byte[] message(int size, int operation, int pool) {
    var body = new byte[size];
    body[0] = (byte) operation;
    body[1] = (byte) pool;
    return body;
  }

  private static ByteBuffer wrap(byte[] body) {
    return ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
  }

  static byte[] enumerate(KeyValue.Pool pool, int index) {
    var body = message(SIZE, ENUMERATE, pool.ordinal());
    wrap(body).putInt(VALUE_OFFSET, index);
    return body;
  }

  static byte[] set(KeyValue.Pool pool, KeyValue pair) {
    var body = message(SIZE, SET, pool.ordinal());
    int keySize = WideText.put(body, VALUE_OFFSET + KEY_OFFSET, pair.key());
    int valueSize = WideText.put(body, VALUE_OFFSET + DATA_OFFSET, pair.value());
    wrap(body)
        .putInt(VALUE_OFFSET, TYPE_STRING)
        .putInt(VALUE_OFFSET + KEY_SIZE_OFFSET, keySize)
        .putInt(VALUE_OFFSET + VALUE_SIZE_OFFSET, valueSize);
    return body;
  }

  static byte[] delete(KeyValue.Pool pool, String key) {
    var body = message(SIZE, DELETE, pool.ordinal());
    int size = WideText.put(body, VALUE_OFFSET + Integer.BYTES, key);
    wrap(body).putInt(VALUE_OFFSET, size);
    return body;
  }

  /// @return null if it is no answer to {@link #enumerate}
  static @Nullable KeyValue enumerated(byte[] body) {
    int offset = VALUE_OFFSET + INDEX_SIZE;
    if (body.length < offset + DATA_OFFSET + KeyValue.VALUE_FIELD) {
      return null;
    }
    var buffer = wrap(body);
    int keySize = buffer.getInt(offset + KEY_SIZE_OFFSET);
    int valueSize = buffer.getInt(offset + VALUE_SIZE_OFFSET);
    if (keySize < 0
        || keySize > KeyValue.KEY_FIELD
        || valueSize < 0
        || valueSize > KeyValue.VALUE_FIELD) {
      return null;
    }
    int data = offset + DATA_OFFSET;
    var value =
        switch (buffer.getInt(offset)) {
          case TYPE_STRING, TYPE_EXPANDABLE_STRING -> WideText.get(body, data, valueSize);
          case TYPE_INT -> Integer.toUnsignedString(buffer.getInt(data));
          case TYPE_LONG, TYPE_LONG_LINUX -> Long.toUnsignedString(buffer.getLong(data));
          default -> null;
        };
    if (value == null) {
      return null;
    }
    return new KeyValue(WideText.get(body, offset + KEY_OFFSET, keySize), value);
  }

  /// Whether an adapter's name fits.
  static boolean isAdapter(String adapter) {
    return WideText.fits(adapter, ADAPTER_FIELD, ADAPTER_FIELD / 2);
  }

  /// @param binary whether it is of version 5.0
  static byte[] getAddresses(String adapter, boolean binary) {
    var body = message(ADDRESSES_SIZE, GET_ADDRESSES, KeyValue.Pool.GUEST.ordinal());
    WideText.put(body, binary ? BINARY_ADAPTER_OFFSET : ADAPTER_OFFSET, adapter);
    return body;
  }

  /// @return null if it is no answer to {@link #getAddresses}
  static @Nullable AdapterAddresses addresses(byte[] body, boolean binary) {
    if (body.length < ADDRESSES_SIZE) {
      return null;
    }
    return binary
        ? binaryAddresses(body)
        : new AdapterAddresses(
            body[DHCP_OFFSET] != 0,
            list(body, ADDRESS_OFFSET, ADDRESS_FIELD),
            list(body, SUBNET_OFFSET, ADDRESS_FIELD),
            list(body, GATEWAY_OFFSET, GATEWAY_FIELD),
            list(body, NAME_SERVER_OFFSET, ADDRESS_FIELD));
  }

  private static List<String> list(byte[] body, int offset, int fieldSize) {
    return Arrays.stream(WideText.get(body, offset, fieldSize).split(";"))
        .map(String::strip)
        .filter(each -> !each.isEmpty())
        .toList();
  }

  private static @Nullable AdapterAddresses binaryAddresses(byte[] body) {
    var buffer = wrap(body);
    // Addresses, gateways and name servers: of IPv4, of IPv6.
    var counts = new int[6];
    for (int i = 0; i < counts.length; i++) {
      counts[i] = buffer.getInt(BINARY_OFFSET + Integer.BYTES * i);
      int most = i == 2 || i == 3 ? BINARY_MOST_GATEWAYS : BINARY_MOST;
      if (counts[i] < 0 || counts[i] > most) {
        return null;
      }
    }
    int offset = BINARY_ADDRESSES;
    List<String> addresses = new ArrayList<>();
    addAddresses(addresses, body, offset, counts[0], V4_SIZE);
    offset += BINARY_MOST * V4_SIZE;
    addAddresses(addresses, body, offset, counts[1], V6_SIZE);
    offset += BINARY_MOST * V6_SIZE;
    List<String> subnets = new ArrayList<>();
    addAddresses(subnets, body, offset, counts[0], V4_SIZE);
    offset += BINARY_MOST * V4_SIZE;
    for (int i = 0; i < counts[1]; i++) {
      subnets.add("/" + Integer.toUnsignedString(buffer.getInt(offset + Integer.BYTES * i)));
    }
    offset += BINARY_MOST * Integer.BYTES;
    List<String> gateways = new ArrayList<>();
    addAddresses(gateways, body, offset, counts[2], V4_SIZE);
    offset += BINARY_MOST_GATEWAYS * V4_SIZE;
    addAddresses(gateways, body, offset, counts[3], V6_SIZE);
    offset += BINARY_MOST_GATEWAYS * V6_SIZE;
    List<String> nameServers = new ArrayList<>();
    addAddresses(nameServers, body, offset, counts[4], V4_SIZE);
    offset += BINARY_MOST * V4_SIZE;
    addAddresses(nameServers, body, offset, counts[5], V6_SIZE);
    return new AdapterAddresses(
        body[BINARY_DHCP_OFFSET] != 0, addresses, subnets, gateways, nameServers);
  }

  private static void addAddresses(
      List<String> list, byte[] body, int offset, int count, int size) {
    for (int i = 0; i < count; i++) {
      int from = offset + i * size;
      try {
        list.add(
            InetAddress.getByAddress(Arrays.copyOfRange(body, from, from + size)).getHostAddress());
      } catch (UnknownHostException e) {
        throw new AssertionError(e); // of neither size
      }
    }
  }
}
