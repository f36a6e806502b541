package dev.partita.synthetic.integration;

import static dev.partita.synthetic.integration.Asking.inBackground;
import static dev.partita.synthetic.integration.Asking.refusal;
import static dev.partita.synthetic.integration.TestDriver.BODY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.ManualTimeSource;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// The guest's answers here have the layout of `struct hv_kvp_msg`, made by hand.
@Timeout(60)
class KeyValueExchangeTest {
  private static final int SECOND = 1_000_000_000;

  private final ManualTimeSource time = new ManualTimeSource(0);
  private final List<KeyValue> hostFacts = new ArrayList<>();
  private final KeyValueExchange exchange =
      new KeyValueExchange(time, () -> List.copyOf(hostFacts));

  private static void putText(ByteBuffer message, int offset, String text) {
    message.put(offset, (text + "\0").getBytes(StandardCharsets.UTF_16LE));
  }

  private static String text(ByteBuffer message, int offset, int bytes) {
    var found = new byte[bytes];
    message.get(offset, found);
    return new String(found, StandardCharsets.UTF_16LE);
  }

  private static void putPair(ByteBuffer message, String key, String value) {
    message.putInt(BODY + 8, 1);
    message.putInt(BODY + 12, 2 * key.length() + 2);
    message.putInt(BODY + 16, 2 * value.length() + 2);
    putText(message, BODY + 20, key);
    putText(message, BODY + 532, value);
  }

  /// Answers an enumeration.
  private static void giveAll(TestDriver driver, int pool, List<KeyValue> pairs) throws Exception {
    for (int i = 0; i <= pairs.size(); i++) {
      var request = driver.take();
      assertThat(request.get(BODY)).as("enumerate").isEqualTo((byte) 3);
      assertThat(request.get(BODY + 1)).as("pool").isEqualTo((byte) pool);
      assertThat(request.getInt(BODY + 4)).as("index").isEqualTo(i);
      if (i == pairs.size()) {
        driver.answer(request, GuestRefusalException.NO_MORE_ITEMS);
      } else {
        var pair = pairs.get(i);
        driver.answer(request, 0, answer -> putPair(answer, pair.key(), pair.value()));
      }
    }
  }

  private Future<Void> set(String key, String value) {
    return inBackground(
        () -> {
          exchange.set(KeyValue.Pool.EXTERNAL, new KeyValue(key, value));
          return null;
        });
  }

  @Test
  void factsAreEnumeratedUntilTheGuestHasNoMore() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    var facts =
        List.of(new KeyValue("OSName", "Debian GNU/Linux"), new KeyValue("NetworkAddressIPv4", ""));
    var asked = inBackground(() -> exchange.list(KeyValue.Pool.AUTO));
    giveAll(driver, 2, facts);
    assertThat(asked.get()).isEqualTo(facts);
    var one = inBackground(() -> exchange.get(KeyValue.Pool.AUTO, "OSName"));
    giveAll(driver, 2, facts);
    assertThat(one.get()).isEqualTo("Debian GNU/Linux");
    var none = inBackground(() -> exchange.get(KeyValue.Pool.GUEST, "OSName"));
    giveAll(driver, 1, List.of());
    assertThat(refusal(none)).isEqualTo(GuestRefusalException.NO_MORE_ITEMS);
  }

  @Test
  void numbersOfAWindowsGuestAreDecimal() throws Exception {
    var driver = TestDriver.ready(exchange, 5, 0);
    var asked = inBackground(() -> exchange.list(KeyValue.Pool.GUEST));
    driver.answer(
        driver.take(),
        0,
        answer -> {
          putPair(answer, "dword", "");
          answer.putInt(BODY + 8, 4).putInt(BODY + 16, 4).putInt(BODY + 532, -1);
        });
    driver.answer(
        driver.take(),
        0,
        answer -> {
          putPair(answer, "qword", "");
          answer.putInt(BODY + 8, 11).putInt(BODY + 16, 8).putLong(BODY + 532, 1L << 40);
        });
    driver.answer(driver.take(), GuestRefusalException.NO_MORE_ITEMS);
    assertThat(asked.get())
        .containsExactly(
            new KeyValue("dword", "4294967295"), new KeyValue("qword", "1099511627776"));
  }

  @Test
  void settingHasTheLayoutThatLinuxReads() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    var asked = set("greeting", "h\u00e9");
    var request = driver.take();
    assertThat(request.getShort(12)).as("type").isEqualTo((short) 2);
    assertThat(request.getShort(18)).as("size").isEqualTo((short) 2580);
    assertThat(request.getInt(BODY)).as("set, external").isEqualTo(1);
    assertThat(request.getInt(BODY + 4)).as("REG_SZ").isEqualTo(1);
    assertThat(request.getInt(BODY + 8)).as("key size").isEqualTo(18);
    assertThat(request.getInt(BODY + 12)).as("value size").isEqualTo(6);
    assertThat(text(request, BODY + 16, 18)).isEqualTo("greeting\0");
    assertThat(text(request, BODY + 528, 6)).isEqualTo("h\u00e9\0");
    driver.answer(request, 0);
    asked.get();
    var deleted =
        inBackground(
            () -> {
              exchange.delete(KeyValue.Pool.EXTERNAL, "greeting");
              return null;
            });
    request = driver.take();
    assertThat(request.getInt(BODY)).as("delete, external").isEqualTo(2);
    assertThat(request.getInt(BODY + 4)).as("key size").isEqualTo(18);
    assertThat(text(request, BODY + 8, 18)).isEqualTo("greeting\0");
    driver.answer(request, GuestRefusalException.NO_MORE_ITEMS);
    assertThat(refusal(deleted)).isEqualTo(GuestRefusalException.NO_MORE_ITEMS);
  }

  @Test
  void hostTellsOfItselfWheneverTheDriverIsThere() throws Exception {
    hostFacts.add(new KeyValue("HostName", "here"));
    hostFacts.add(new KeyValue("VirtualMachineName", "vm"));
    hostFacts.add(new KeyValue("", "not a key"));
    for (int i = 0; i < 2; i++) {
      var driver = TestDriver.ready(exchange, 4, 0);
      for (var expected : List.of("HostName\0", "VirtualMachineName\0")) {
        var request = driver.take();
        assertThat(request.getShort(BODY)).as("set, auto external").isEqualTo((short) 0x0301);
        assertThat(text(request, BODY + 16, 2 * expected.length())).isEqualTo(expected);
        assertThat(driver.line.pending()).as("one at a time").isZero();
        driver.answer(request, 0);
      }
      assertThat(driver.line.pending()).isZero();
      driver.handler.closed();
    }
  }

  /// Asks without a thread that waits.
  private CompletableFuture<byte[]> ask(int mark) {
    synchronized (exchange) {
      return exchange.ask(1, new byte[] {(byte) mark}, 40L * SECOND);
    }
  }

  @Test
  void oneRequestIsWithTheGuestAtATime() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    var first = ask(1);
    var second = ask(2);
    var request = driver.take();
    assertThat(driver.line.pending()).isZero();
    driver.answer(request, 0);
    assertThat(first.get()).containsExactly(1);
    driver.answer(driver.take(), 0);
    assertThat(second.get()).containsExactly(2);
  }

  @Test
  void guestThatDoesNotAnswerFailsEachRequestInItsTimeAndGetsNoMore() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    var first = ask(1);
    var request = driver.take();
    time.advance(39L * SECOND);
    assertThat(first).isNotDone();
    time.advance(SECOND);
    assertThat(refusal(first)).isEqualTo(GuestRefusalException.TIMED_OUT);
    var second = ask(2);
    time.advance(40L * SECOND);
    assertThat(refusal(second)).isEqualTo(GuestRefusalException.TIMED_OUT);
    assertThat(driver.line.pending()).as("the first is still with the guest").isZero();
    var third = ask(3);
    driver.answer(request, 0);
    assertThat(driver.line.pending()).as("the third").isEqualTo(1);
    driver.answer(driver.take(), 0);
    assertThat(third.get()).containsExactly(3);
  }

  @Test
  void requestsWithoutEndAreTurnedAway() throws Exception {
    TestDriver.ready(exchange, 4, 0);
    for (int i = 0; i < 65; i++) {
      assertThat(ask(i)).as("%d: one with the guest, 64 that wait", i).isNotDone();
    }
    assertThat(refusal(ask(65))).isEqualTo(GuestRefusalException.BUSY);
  }

  @Test
  void closingFailsWhatWaits() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    var asked = set("a", "1");
    driver.take();
    driver.handler.closed();
    assertThat(refusal(asked)).isEqualTo(GuestRefusalException.NOT_CONNECTED);
    assertThat(refusal(set("a", "1"))).isEqualTo(GuestRefusalException.NOT_CONNECTED);
    assertThat(exchange.isAvailable()).isFalse();
  }

  @Test
  void fullRingIsWaitedFor() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    driver.line.room = 0;
    var asked = ask(1);
    assertThat(driver.line.pending()).isZero();
    driver.line.room = 1;
    driver.handler.roomAvailable();
    driver.answer(driver.take(), 0);
    assertThat(asked.get()).containsExactly(1);
  }

  @Test
  void keysAndValuesThatLinuxWouldCutOffAreRefused() {
    assertThat(KeyValue.isKey("k".repeat(255))).isTrue();
    assertThat(KeyValue.isKey("k".repeat(256))).isFalse();
    assertThat(KeyValue.isKey("\u00e9".repeat(255))).isTrue();
    assertThat(KeyValue.isKey("\u20ac".repeat(171))).as("513 bytes in UTF-8").isFalse();
    assertThat(KeyValue.isKey("")).isFalse();
    assertThat(KeyValue.isKey("a\nb")).isFalse();
    assertThat(KeyValue.isValue("v".repeat(1023))).isTrue();
    assertThat(KeyValue.isValue("v".repeat(1024))).isFalse();
    assertThat(KeyValue.isValue("\u20ac".repeat(683))).as("2049 bytes in UTF-8").isFalse();
    assertThat(KeyValue.isValue("a\nb")).isTrue();
    assertThat(KeyValue.isValue("a\0b")).isFalse();
    assertThatThrownBy(() -> exchange.set(KeyValue.Pool.EXTERNAL, new KeyValue("", "")))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void addressesAreReadAsTextBeforeVersion5() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    var asked = inBackground(() -> exchange.addresses("00:15:5D:01:02:03"));
    var request = driver.take();
    assertThat(request.getShort(18)).as("size").isEqualTo((short) 7428);
    assertThat(request.getShort(BODY)).as("get addresses, guest").isEqualTo((short) 0x0104);
    assertThat(text(request, BODY + 2, 36)).isEqualTo("00:15:5D:01:02:03\0");
    driver.answer(
        request,
        0,
        answer -> {
          answer.put(BODY + 259, (byte) 1);
          putText(answer, BODY + 260, "192.168.1.2;fe80::215:5dff:fe01:203;");
          putText(answer, BODY + 2308, "255.255.255.0;/64");
          putText(answer, BODY + 4356, "192.168.1.1");
          putText(answer, BODY + 5380, "9.9.9.9;");
        });
    assertThat(asked.get())
        .isEqualTo(
            new AdapterAddresses(
                true,
                List.of("192.168.1.2", "fe80::215:5dff:fe01:203"),
                List.of("255.255.255.0", "/64"),
                List.of("192.168.1.1"),
                List.of("9.9.9.9")));
  }

  @Test
  void addressesAreBytesFromVersion5() throws Exception {
    var driver = TestDriver.ready(exchange, 5, 0);
    var asked = inBackground(() -> exchange.addresses("{adapter}"));
    var request = driver.take();
    assertThat(text(request, BODY + 28, 20)).isEqualTo("{adapter}\0");
    int[] counts = {2, 1, 1, 0, 0, 1};
    driver.answer(
        request,
        0,
        answer -> {
          for (int i = 0; i < counts.length; i++) {
            answer.putInt(BODY + 4 + 4 * i, counts[i]);
          }
          answer.put(BODY + 288, new byte[] {10, 0, 0, 1, 10, 0, 0, 2});
          var six = new byte[16];
          six[0] = (byte) 0xFE;
          six[1] = (byte) 0x80;
          six[15] = 1;
          answer.put(BODY + 288 + 256, six);
          answer.put(BODY + 288 + 256 + 1024, new byte[] {-1, 0, 0, 0, -1, -1, 0, 0});
          answer.putInt(BODY + 288 + 256 + 1024 + 256, 64);
          answer.put(BODY + 288 + 256 + 1024 + 256 + 256, new byte[] {10, 0, 0, 9});
          answer.put(BODY + 288 + 256 + 1024 + 256 + 256 + 20 + 80 + 256, six);
        });
    assertThat(asked.get())
        .isEqualTo(
            new AdapterAddresses(
                false,
                List.of("10.0.0.1", "10.0.0.2", "fe80:0:0:0:0:0:0:1"),
                List.of("255.0.0.0", "255.255.0.0", "/64"),
                List.of("10.0.0.9"),
                List.of("fe80:0:0:0:0:0:0:1")));
    var lie = inBackground(() -> exchange.addresses("{adapter}"));
    driver.answer(driver.take(), 0, answer -> answer.putInt(BODY + 4, 65));
    assertThat(refusal(lie)).isEqualTo(GuestRefusalException.INVALID_DATA);
  }

  @Test
  void answersThatMakeNoSenseAreRefused() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    for (var field : new int[] {8, 12, 16}) {
      var asked = inBackground(() -> exchange.list(KeyValue.Pool.GUEST));
      driver.answer(
          driver.take(),
          0,
          answer -> {
            putPair(answer, "k", "v");
            answer.putInt(BODY + field, 5000);
          });
      assertThat(refusal(asked)).isEqualTo(GuestRefusalException.INVALID_DATA);
    }
    var asked = inBackground(() -> exchange.list(KeyValue.Pool.GUEST));
    driver.answer(driver.take(), 0, answer -> answer.putShort(18, (short) 12));
    assertThat(refusal(asked)).isEqualTo(GuestRefusalException.INVALID_DATA);
  }

  @Test
  void endlessPoolIsReadToALimit() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    var asked = inBackground(() -> exchange.list(KeyValue.Pool.GUEST));
    for (int i = 0; i < KeyValueExchange.MOST_VALUES; i++) {
      driver.answer(driver.take(), 0, answer -> putPair(answer, "k", "v"));
    }
    assertThat(asked.get()).hasSize(KeyValueExchange.MOST_VALUES);
  }

  @Test
  void unaskedAnswersMeanNothing() throws Exception {
    var driver = TestDriver.ready(exchange, 4, 0);
    var asked = set("a", "1");
    var request = driver.take();
    int transaction = TestDriver.transaction(request);
    for (int i = 0; i < 256; i++) {
      if (i != transaction) {
        byte other = (byte) i;
        driver.answer(request, GuestRefusalException.FAILED, answer -> answer.put(24, other));
      }
    }
    assertThat(asked).isNotDone();
    driver.answer(request, 0);
    asked.get();
    driver.answer(request, 0);
  }

  @Test
  void conversationGoesOnInAFreshObject() throws Exception {
    hostFacts.add(new KeyValue("HostName", "there"));
    var driver = TestDriver.ready(exchange, 4, 0);
    var facts = driver.take();
    var state = exchange.requestingState();
    assertThat(state.awaited()).isEqualTo(TestDriver.transaction(facts));

    var other = new KeyValueExchange(time, () -> List.copyOf(hostFacts));
    other.restore(state);
    var next = new TestDriver(other, true);
    assertThat(other.isAvailable()).isTrue();
    assertThat(next.line.pending()).as("the guest is still busy").isZero();
    next.answer(facts, 0);
    // The host may be another: it tells of itself again.
    var again = next.take();
    assertThat(TestDriver.transaction(again)).isEqualTo(TestDriver.transaction(facts) + 1);
    next.answer(again, 0);
    var asked = inBackground(() -> other.list(KeyValue.Pool.GUEST));
    giveAll(next, 1, List.of(new KeyValue("k", "v")));
    assertThat(asked.get()).containsExactly(new KeyValue("k", "v"));
  }
}
