package dev.partita.synthetic.integration;

import dev.partita.hypervisor.TimeSource;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.Supplier;

/// The data exchange service (key-value pairs): the guest tells of itself, and host and guest give
/// each other named values.
///
/// Linux needs its daemon for it (`hv_kvp_daemon`), and waits 55 seconds for that before it agrees
/// on a version without it.
///
/// Methods that ask the guest wait for its answer, on any thread but a channel's. They throw {@link
/// GuestRefusalException} when it refuses, does not answer, or is not there, and
/// IllegalArgumentException for a key or a value that {@link KeyValue#isKey} or {@link
/// KeyValue#isValue} does not accept.
public final class KeyValueExchange extends RequestingService {
  private static final UUID INTERFACE = UUID.fromString("a9a0f4e7-5a45-4d96-b827-8a841e8c03e6");
  private static final UUID INSTANCE = UUID.fromString("242ff919-07db-4180-9c2e-b86cb68c8c55");

  private static final int VERSION_5 = version(5, 0);

  /// Values of a pool that are read, at most.
  public static final int MOST_VALUES = 1024;

  private final Supplier<List<KeyValue>> hostFacts;

  /// @param hostFacts what the guest is told in {@link KeyValue.Pool#AUTO_EXTERNAL} whenever its
  ///     driver is there; not more than a few. Called with the monitor held, and must not block.
  public KeyValueExchange(TimeSource time, Supplier<List<KeyValue>> hostFacts) {
    super(
        INTERFACE,
        INSTANCE,
        IntegrationMessage.KEY_VALUE_EXCHANGE,
        time,
        version(3, 0),
        version(4, 0),
        VERSION_5);
    this.hostFacts = hostFacts;
  }

  @Override
  void ready() {
    for (var fact : hostFacts.get()) {
      if (KeyValue.isKey(fact.key()) && KeyValue.isValue(fact.value())) {
        // Whether it takes them is the guest's affair.
        ask(
            KeyValueMessage.SET,
            KeyValueMessage.set(KeyValue.Pool.AUTO_EXTERNAL, fact),
            LIMIT_NANOS);
      }
    }
  }

  /// All of a pool, at most {@link #MOST_VALUES}, in the guest's order.
  public List<KeyValue> list(KeyValue.Pool pool)
      throws GuestRefusalException, InterruptedException {
    List<KeyValue> all = new ArrayList<>();
    for (int i = 0; i < MOST_VALUES; i++) {
      byte[] answer;
      try {
        answer = exchange(KeyValueMessage.ENUMERATE, KeyValueMessage.enumerate(pool, i));
      } catch (GuestRefusalException e) {
        if (e.status() == GuestRefusalException.NO_MORE_ITEMS) {
          break;
        }
        throw e;
      }
      var pair = KeyValueMessage.enumerated(answer);
      if (pair == null) {
        throw new GuestRefusalException(GuestRefusalException.INVALID_DATA);
      }
      all.add(pair);
    }
    return all;
  }

  /// The value of a key.
  public String get(KeyValue.Pool pool, String key)
      throws GuestRefusalException, InterruptedException {
    checkKey(key);
    // Not by KVP_OP_GET: Linux's driver does not tell its daemon how much it may answer with, and
    // gives an empty value (kvp_send_key in drivers/hv/hv_kvp.c); nor has it one for what its
    // daemon makes up when it is enumerated.
    for (var pair : list(pool)) {
      if (pair.key().equals(key)) {
        return pair.value();
      }
    }
    throw new GuestRefusalException(GuestRefusalException.NO_MORE_ITEMS);
  }

  /// Adds or changes a value.
  public void set(KeyValue.Pool pool, KeyValue pair)
      throws GuestRefusalException, InterruptedException {
    checkKey(pair.key());
    if (!KeyValue.isValue(pair.value())) {
      throw new IllegalArgumentException(
          "a value has at most 1023 characters, and 2047 bytes in UTF-8");
    }
    exchange(KeyValueMessage.SET, KeyValueMessage.set(pool, pair));
  }

  /// Takes a value away.
  public void delete(KeyValue.Pool pool, String key)
      throws GuestRefusalException, InterruptedException {
    checkKey(key);
    exchange(KeyValueMessage.DELETE, KeyValueMessage.delete(pool, key));
  }

  /// The addresses of a network adapter.
  ///
  /// @param adapter its MAC address as Linux wants it, `00:15:5D:01:02:03`, at most 127 characters
  public AdapterAddresses addresses(String adapter)
      throws GuestRefusalException, InterruptedException {
    if (!KeyValueMessage.isAdapter(adapter)) {
      throw new IllegalArgumentException("an adapter's name has at most 127 characters");
    }
    boolean binary;
    synchronized (this) {
      binary = agreedVersion() >= VERSION_5;
    }
    var addresses =
        KeyValueMessage.addresses(
            exchange(KeyValueMessage.GET_ADDRESSES, KeyValueMessage.getAddresses(adapter, binary)),
            binary);
    if (addresses == null) {
      throw new GuestRefusalException(GuestRefusalException.INVALID_DATA);
    }
    return addresses;
  }

  private byte[] exchange(int operation, byte[] body)
      throws GuestRefusalException, InterruptedException {
    return exchange(operation, body, LIMIT_NANOS);
  }

  private static void checkKey(String key) {
    if (!KeyValue.isKey(key)) {
      throw new IllegalArgumentException(
          "a key has 1 to 255 characters, no control characters, and at most 511 bytes in UTF-8");
    }
  }
}
