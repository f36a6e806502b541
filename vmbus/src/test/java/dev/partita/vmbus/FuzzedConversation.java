package dev.partita.vmbus;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// A guest and a host that say and do what bytes tell them, and a model beside the server that
/// knows which answers are due, which relids are taken and which devices are open.
///
/// Some bytes become messages as a guest would make them, of few relids and handles so that they
/// meet; others become any bytes at all.
final class FuzzedConversation {
  private static final int PROCESSORS = 2;
  private static final long RAM_PAGES = 64;
  private static final int MOST_OFFERS = 8;
  private static final int[] VERSIONS = {
    2 << 16 | 4,
    3 << 16,
    4 << 16,
    4 << 16 | 1,
    5 << 16,
    5 << 16 | 1,
    5 << 16 | 2,
    5 << 16 | 3,
    6 << 16,
    13
  };

  private final ByteBuffer in;
  private VmbusServer server = newServer();
  private final Map<Integer, Offer> offers = new LinkedHashMap<>();
  private int offersMade;

  /// Answers that are due, and how many of each.
  private final Map<String, Integer> due = new HashMap<>();

  /// Version of the contact in force, or 0.
  private int version;

  /// Relids the guest knows and has not released.
  private final Set<Integer> relids = new HashSet<>();

  private final Set<Integer> rescinded = new HashSet<>();

  /// Open devices by the offer's number, and how; closing ones stay until the host is done.
  private final Map<Integer, Opening> open = new LinkedHashMap<>();

  private final Set<Integer> closing = new HashSet<>();
  private final List<int[]> tearDowns = new ArrayList<>();

  FuzzedConversation(byte[] input) {
    in = ByteBuffer.wrap(input).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static VmbusServer newServer() {
    return new VmbusServer(PROCESSORS, page -> page >= 0 && page < RAM_PAGES);
  }

  private int next() {
    return in.hasRemaining() ? in.get() & 0xFF : 0;
  }

  private int next(int bound) {
    return next() % bound;
  }

  /// Mostly one of a few small numbers, now and then any.
  private int number() {
    int small = next();
    return small < 0xF0 || in.remaining() < 4 ? small % 6 : in.getInt();
  }

  void run() {
    while (in.hasRemaining()) {
      step();
      checkBounds();
    }
    // The host does its part; then nothing may be owed.
    while (!closing.isEmpty() || !tearDowns.isEmpty()) {
      finishClose();
      finishTearDown();
    }
    checkNothingOwed();
  }

  private void step() {
    switch (next(18)) {
      case 0 -> {
        int which = next(VERSIONS.length + 1);
        int asked = which < VERSIONS.length ? VERSIONS[which] : number();
        say(GuestMessages.initiateContact(asked >>> 16, asked & 0xFFFF, number(), next()));
      }
      case 1 -> say(GuestMessages.requestOffers());
      case 2 -> gpadlHeader();
      case 3 -> say(GuestMessages.gpadlBody(next(), number(), pages(next(30))));
      case 4 -> say(GuestMessages.open(number(), next(), number(), number() - 1, next(8)));
      case 5 -> say(GuestMessages.close(number()));
      case 6 -> say(GuestMessages.tearDown(number(), number()));
      case 7 -> say(GuestMessages.released(number()));
      case 8 -> say(GuestMessages.modify(number(), number() - 1));
      case 9 -> say(GuestMessages.unload());
      case 10 -> say(GuestMessages.begin(21, 40).putInt(8, next()).array());
      case 11 -> say(raw(next(241)));
      case 12 -> {
        var message = raw(next(241));
        if (message.length >= 4) {
          ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN).putInt(0, next(32));
        }
        say(message);
      }
      case 13 -> offer();
      case 14 -> revoke();
      case 15 -> finishClose();
      case 16 -> finishTearDown();
      default -> saveAndRestore();
    }
  }

  private byte[] raw(int length) {
    var message = new byte[length];
    in.get(message, 0, Math.min(length, in.remaining()));
    return message;
  }

  private long[] pages(int count) {
    var pages = new long[count];
    for (int i = 0; i < count; i++) {
      // One in 64 or so is not RAM.
      pages[i] = next() % (RAM_PAGES + 1);
    }
    return pages;
  }

  private void gpadlHeader() {
    int count = next(40);
    int now = Math.min(next(40), Math.min(count, 26));
    var message = GuestMessages.gpadlHeader(number(), number(), count, pages(now));
    if (next(16) == 0) {
      // Its size or its count of ranges is wrong.
      message[16 + next(4)] = (byte) next();
    }
    say(message);
  }

  // --- the guest ---

  private void say(byte[] message) {
    expect(message);
    apply(server.receive(message));
  }

  /// Notes the answers that a message must have.
  private void expect(byte[] message) {
    var type = message.length < 4 ? null : MessageType.of(GuestMessages.type(message));
    if (type == null || message.length < type.size) {
      return;
    }
    var body = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN).position(8);
    switch (type) {
      case INITIATE_CONTACT -> {
        endContact();
        owe("version");
      }
      case UNLOAD -> {
        endContact();
        owe("unload");
      }
      default -> {
        if (version != 0) {
          expectInContact(type, body);
        }
      }
    }
  }

  private void expectInContact(MessageType type, ByteBuffer body) {
    switch (type) {
      case REQUEST_OFFERS -> owe("offers");
      case GPADL_HEADER -> owe("gpadl " + body.getInt() + " " + body.getInt());
      case OPEN_CHANNEL -> owe("open " + body.getInt() + " " + body.getInt());
      case GPADL_TEARDOWN -> {
        int relid = body.getInt();
        int id = body.getInt();
        // Two of the same at a time are one.
        if (server.state().channels().stream()
            .noneMatch(c -> c.relid() == relid && c.tearingDown().contains(id))) {
          owe("tear down " + id);
        }
      }
      case TL_CONNECT_REQUEST -> {
        if (version >= ProtocolVersion.V4_1) {
          owe("connect");
        }
      }
      case OPEN_RESERVED_CHANNEL -> owe("open " + body.getInt() + " 0");
      case CLOSE_RESERVED_CHANNEL -> owe("close reserved " + body.getInt());
      case MODIFY_CHANNEL -> {
        if (version >= ProtocolVersion.V5_3) {
          owe("modify " + body.getInt());
        }
      }
      case RELID_RELEASED -> {
        int relid = body.getInt();
        // Of an open channel only after it was rescinded.
        boolean isOpen =
            open.entrySet().stream()
                .anyMatch(o -> o.getValue().relid() == relid && !closing.contains(o.getKey()));
        if (rescinded.remove(relid) || !isOpen) {
          relids.remove(relid);
        }
      }
      default -> {}
    }
  }

  private void endContact() {
    due.clear();
    relids.clear();
    rescinded.clear();
    version = 0;
  }

  private void owe(String answer) {
    due.merge(answer, 1, Integer::sum);
  }

  private void heard(byte[] message) {
    var body = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN).position(8);
    var type = Objects.requireNonNull(MessageType.of(GuestMessages.type(message)));
    assertThat(message).hasSize(type.size);
    switch (type) {
      case OFFER_CHANNEL -> {
        assertThat(version).as("an offer outside of a contact").isNotZero();
        int relid = body.getInt(184);
        assertThat(relid).isBetween(1, VmbusServer.MOST_CHANNELS);
        assertThat(relids.add(relid)).as("relid %s is in use", relid).isTrue();
      }
      case RESCIND_CHANNEL_OFFER -> {
        int relid = body.getInt();
        assertThat(relids).as("rescinds what was offered").contains(relid);
        assertThat(rescinded.add(relid)).as("once").isTrue();
      }
      case ALL_OFFERS_DELIVERED -> paid("offers");
      case OPEN_CHANNEL_RESULT -> paid("open " + body.getInt() + " " + body.getInt());
      case GPADL_CREATED -> paid("gpadl " + body.getInt() + " " + body.getInt());
      case GPADL_TORNDOWN -> paid("tear down " + body.getInt());
      case VERSION_RESPONSE -> {
        paid("version");
        assertThat(open).as("devices of the contact before").isEmpty();
        if (message[8] != 0) {
          version = Objects.requireNonNull(server.contact()).version();
        }
      }
      case UNLOAD_RESPONSE -> {
        paid("unload");
        assertThat(open).as("devices of the contact before").isEmpty();
      }
      case TL_CONNECT_RESULT -> paid("connect");
      case CLOSE_RESERVED_RESPONSE -> paid("close reserved " + body.getInt());
      case MODIFY_CHANNEL_RESPONSE -> paid("modify " + body.getInt());
      default -> throw new AssertionError("a host does not say " + type);
    }
  }

  private void paid(String answer) {
    var count = due.get(answer);
    assertThat(count).as("an answer nobody asked for: %s", answer).isNotNull();
    if (due.merge(answer, -1, Integer::sum) == 0) {
      due.remove(answer);
    }
  }

  // --- the host ---

  private void apply(List<VmbusAction> actions) {
    for (var action : actions) {
      switch (action) {
        case VmbusAction.Send send -> {
          assertThat(send.processor()).isBetween(0, PROCESSORS - 1);
          assertThat(send.source()).isBetween(1, 15);
          heard(send.message());
        }
        case VmbusAction.Open(int number, Opening opening) -> {
          assertThat(offers).as("opens what is offered").containsKey(number);
          assertThat(open.put(number, opening)).as("open already").isNull();
        }
        case VmbusAction.Close(int number) -> {
          assertThat(closing.add(number)).as("closing already").isTrue();
        }
        case VmbusAction.Retarget(int number, int processor) -> {
          assertThat(open).containsKey(number);
          assertThat(processor).isBetween(-1, PROCESSORS - 1);
        }
        case VmbusAction.TearDown(int number, int gpadl) -> {
          assertThat(open).containsKey(number);
          tearDowns.add(new int[] {number, gpadl});
        }
        case VmbusAction.Discard _ -> {}
      }
    }
  }

  private void offer() {
    int n = next(4);
    int subChannel = next(3);
    boolean there =
        offers.values().stream()
            .anyMatch(
                o -> o.instanceId().getLeastSignificantBits() == n && o.subChannel() == subChannel);
    if (there || offers.size() >= MOST_OFFERS || offersMade >= 64) {
      return;
    }
    offersMade++;
    var id = new UUID(1, n);
    var offer = Offer.plain(id, id).withSubChannel(subChannel);
    var offered = server.offer(offer);
    offers.put(offered.channel(), offer);
    apply(offered.actions());
  }

  private void revoke() {
    var number = pick(offers.keySet());
    if (number != null) {
      // Before its actions: from now on nothing may open it.
      offers.remove(number);
      apply(server.revoke(number));
    }
  }

  private void finishClose() {
    var number = pick(closing);
    if (number != null) {
      closing.remove(number);
      open.remove(number);
      tearDowns.removeIf(tearDown -> tearDown[0] == number);
      apply(server.closed(number));
    }
  }

  private void finishTearDown() {
    if (!tearDowns.isEmpty()) {
      var which = tearDowns.remove(next(tearDowns.size()));
      apply(server.tornDown(which[0], which[1]));
    }
  }

  private @Nullable Integer pick(Set<Integer> from) {
    if (from.isEmpty()) {
      return null;
    }
    return new ArrayList<>(from).get(next(from.size()));
  }

  private void saveAndRestore() {
    var saved = server.state();
    var fresh = newServer();
    var again = new ArrayDeque<>(offers.values());
    offers.clear();
    for (var offer : again) {
      offers.put(fresh.offer(offer).channel(), offer);
    }
    server = fresh;
    open.clear();
    closing.clear();
    tearDowns.clear();
    apply(fresh.restore(saved));
    assertThat(comparable(fresh.state())).isEqualTo(comparable(saved));
  }

  private static List<String> comparable(VmbusServerState state) {
    var lines = new ArrayList<String>();
    lines.add(state.contact() + " " + state.offersRequested() + " " + state.closing());
    for (var partial : state.partialGpadls()) {
      lines.add(
          "%d %d %d %d %s"
              .formatted(
                  partial.id(),
                  partial.relid(),
                  partial.rangeCount(),
                  partial.size(),
                  Arrays.toString(partial.data())));
    }
    state.channels().stream()
        .map(
            c ->
                "%s %d %d %b %b %b %s %s %s %s"
                    .formatted(
                        c.instanceId(),
                        c.subChannel(),
                        c.relid(),
                        c.revoked(),
                        c.released(),
                        c.closing(),
                        text(c.opening()),
                        text(c.nextOpening()),
                        c.gpadls().stream().map(FuzzedConversation::text).toList(),
                        c.tearingDown()))
        .sorted()
        .forEach(lines::add);
    return lines;
  }

  private static String text(@Nullable Opening opening) {
    return opening == null
        ? "-"
        : "%d %d %s %d %d %s"
            .formatted(
                opening.relid(),
                opening.openId(),
                text(opening.ring()),
                opening.downstreamPage(),
                opening.processor(),
                Arrays.toString(opening.userData()));
  }

  private static String text(Gpadl gpadl) {
    var text = new StringBuilder().append(gpadl.id());
    for (var range : gpadl.ranges()) {
      text.append(' ').append(range.byteCount()).append('+').append(range.byteOffset());
      text.append(Arrays.toString(range.pages()));
    }
    return text.toString();
  }

  // --- what must always hold ---

  private void checkBounds() {
    var state = server.state();
    long pages = 0;
    for (var channel : state.channels()) {
      pages += channel.gpadls().stream().mapToLong(Gpadl::pageCount).sum();
      assertThat(channel.tearingDown().size()).isLessThanOrEqualTo(channel.gpadls().size());
    }
    for (var partial : state.partialGpadls()) {
      assertThat(partial.data().length).isLessThan(partial.size());
      pages += partial.size() / 8;
    }
    assertThat(pages).isLessThanOrEqualTo(GpadlTable.MOST_PAGES);
    // Of revoked ones, those that the guest has not released.
    assertThat(state.channels().size()).isLessThanOrEqualTo(offers.size() + offersMade);
  }

  private void checkNothingOwed() {
    var state = server.state();
    var excused = new HashMap<>(due);
    for (var partial : state.partialGpadls()) {
      excused.remove("gpadl " + partial.relid() + " " + partial.id());
    }
    assertThat(excused).as("answers that never came").isEmpty();
  }
}
