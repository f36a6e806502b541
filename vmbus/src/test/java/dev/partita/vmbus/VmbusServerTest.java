package dev.partita.vmbus;

import static dev.partita.vmbus.GuestMessages.*;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VmbusServerTest {
  private static final int FAILED = 0xC000_0001;
  private static final long RAM_PAGES = 1 << 20;

  private final VmbusServer server = server();
  private final List<VmbusAction> done = new ArrayList<>();

  private static VmbusServer server() {
    return new VmbusServer(2, page -> page >= 0 && page < RAM_PAGES);
  }

  private static Offer device(int n) {
    return Offer.plain(
        UUID.fromString("57164f39-9115-4e78-ab55-382f3bd5422d"), new UUID(0x1234, n));
  }

  /// The messages a guest gets for one of its own.
  private List<int[]> say(byte[] message) {
    done.clear();
    done.addAll(server.receive(message));
    return sent(done);
  }

  private static List<int[]> sent(List<VmbusAction> actions) {
    var messages = new ArrayList<int[]>();
    for (var action : actions) {
      if (action instanceof VmbusAction.Send send) {
        messages.add(fields(send.message()));
      }
    }
    return messages;
  }

  private void connect() {
    assertThat(say(initiateContact(5, 3, 1, 2))).hasSize(1);
    say(requestOffers());
  }

  /// Opens the channel with relid 1: GPADL 7, pages 16 to 23.
  private void openFirst() {
    say(gpadl(1, 7, 16, 17, 18, 19, 20, 21, 22, 23));
    assertThat(say(open(1, 55, 7, 1, 4))).containsExactly(new int[] {6, 1, 55, 0});
  }

  @ParameterizedTest
  @CsvSource({
    "2,4,0x20004",
    "3,0,0x30000",
    "4,0,0x40000",
    "4,1,0x40001",
    "5,0,4",
    "5,1,4",
    "5,2,4",
    "5,3,4"
  })
  void supportedVersionsAreAccepted(int major, int minor, int connection) {
    assertThat(say(initiateContact(major, minor, 1, 2)))
        .containsExactly(new int[] {15, 1, connection});
    assertThat(done).hasSize(1);
    var sent = (VmbusAction.Send) done.getFirst();
    assertThat(sent.processor()).as("of the guest's choice since 3.0").isEqualTo(major < 3 ? 0 : 1);
    assertThat(sent.source()).isEqualTo(2);
  }

  @ParameterizedTest
  @CsvSource({"0,13", "1,1", "5,4", "6,0", "65535,0"})
  void otherVersionsAreAnsweredToo(int major, int minor) {
    var answers = say(initiateContact(major, minor, 0, 2));
    assertThat(answers).hasSize(1);
    assertThat(answers.getFirst()[0]).isEqualTo(15);
    assertThat(answers.getFirst()[1]).isZero();
    assertThat(say(requestOffers())).as("no contact").isEmpty();
  }

  @Test
  void sourceIsTheGuestsChoiceFromVersion5On() {
    say(initiateContact(5, 3, 0, 5));
    assertThat(((VmbusAction.Send) done.getFirst()).source()).isEqualTo(5);
    say(initiateContact(4, 1, 0, 5));
    assertThat(((VmbusAction.Send) done.getLast()).source()).isEqualTo(2);
    say(initiateContact(5, 3, 99, 200));
    assertThat(((VmbusAction.Send) done.getLast()).source()).isEqualTo(2);
    assertThat(((VmbusAction.Send) done.getLast()).processor()).isZero();
  }

  @Test
  void offerIsLaidOutAsTheDriverReadsIt() {
    var pipe =
        Offer.pipe(
            UUID.fromString("57164f39-9115-4e78-ab55-382f3bd5422d"),
            UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"));
    server.offer(pipe.withSubChannel(3));
    say(initiateContact(5, 3, 0, 2));
    say(requestOffers());
    var message = ((VmbusAction.Send) done.getFirst()).message();
    var hex = HexFormat.of().formatHex(message);
    assertThat(message).hasSize(196);
    assertThat(hex)
        .startsWith(
            "0100000000000000"
                + "394f16571591784eab55382f3bd5422d"
                + "33221100554477668899aabbccddeeff"
                + "00000000000000000000000000000000"
                + "11000000" // enumerate, pipe
                + "04000000"); // a pipe of messages
    // Sub-channel 3, relid 1, no monitor, an interrupt of its own, connection 0x2001.
    assertThat(hex).endsWith("03000000" + "01000000" + "0000" + "0100" + "01200000");
    assertThat(fields(((VmbusAction.Send) done.getLast()).message())).containsExactly(4);
  }

  @Test
  void offersAreSentOnceAContact() {
    server.offer(device(1));
    server.offer(device(2));
    say(initiateContact(5, 3, 0, 2));
    assertThat(say(requestOffers())).hasSize(3);
    assertThat(say(requestOffers())).as("only the end").containsExactly(new int[] {4});
    var hot = sent(server.offer(device(3)).actions());
    assertThat(hot).hasSize(1);
    assertThat(hot.getFirst()[0]).isEqualTo(1);
    assertThatThrownBy(() -> server.offer(device(3))).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void openedChannelHasItsTwoRings() {
    var number = server.offer(device(1)).channel();
    connect();
    openFirst();
    var open = (VmbusAction.Open) done.getLast();
    assertThat(open.channel()).isEqualTo(number);
    assertThat(open.opening().incomingPages()).containsExactly(16, 17, 18, 19);
    assertThat(open.opening().outgoingPages()).containsExactly(20, 21, 22, 23);
    assertThat(open.opening().processor()).isEqualTo(1);
    assertThat(say(open(1, 56, 7, 1, 4)))
        .as("open already")
        .containsExactly(new int[] {6, 1, 56, FAILED});
  }

  @Test
  void impossibleOpeningsAreAnsweredWithFailure() {
    server.offer(device(1));
    server.offer(device(2));
    connect();
    say(gpadl(1, 7, 16, 17, 18, 19));
    int[] failed = {6, 1, 1, FAILED};
    assertThat(say(open(1, 1, 8, 0, 2))).as("no GPADL").containsExactly(failed);
    assertThat(say(open(1, 1, 7, 2, 2))).as("no processor").containsExactly(failed);
    assertThat(say(open(1, 1, 7, 0, 1))).as("ring without data").containsExactly(failed);
    assertThat(say(open(1, 1, 7, 0, 3))).as("ring without data").containsExactly(failed);
    assertThat(say(open(1, 1, 7, 0, -1))).as("page -1").containsExactly(failed);
    assertThat(say(open(2, 1, 7, 0, 2)))
        .as("another's GPADL")
        .containsExactly(new int[] {6, 2, 1, FAILED});
    assertThat(say(open(99, 1, 7, 0, 2)))
        .as("no channel")
        .containsExactly(new int[] {6, 99, 1, FAILED});
    assertThat(say(open(1, 2, 7, -1, 2))).containsExactly(new int[] {6, 1, 2, 0});
    assertThat(((VmbusAction.Open) done.getLast()).opening().processor())
        .isEqualTo(Opening.NO_PROCESSOR);
  }

  @Test
  void ringIsGivenBackOnlyWhenTheDeviceHasLetGo() {
    int number = server.offer(device(1)).channel();
    connect();
    openFirst();
    assertThat(say(close(1))).isEmpty();
    assertThat(done).containsExactly(new VmbusAction.Close(number));
    assertThat(say(tearDown(1, 7))).as("not yet").isEmpty();
    assertThat(say(gpadl(1, 8, 32, 33, 34, 35))).containsExactly(new int[] {10, 1, 8, 0});
    assertThat(say(open(1, 56, 8, 0, 2))).as("not yet").isEmpty();
    var closed = server.closed(number);
    assertThat(sent(closed)).containsExactly(new int[] {12, 7}, new int[] {6, 1, 56, 0});
    assertThat(closed.getLast()).isInstanceOf(VmbusAction.Open.class);
    assertThat(server.gpadl(number, 7)).isNull();
  }

  @Test
  void otherGpadlsAreTakenFromAnOpenChannel() {
    int number = server.offer(device(1)).channel();
    connect();
    openFirst();
    say(gpadl(1, 9, 40));
    assertThat(server.gpadl(number, 9)).isNotNull();
    assertThat(say(tearDown(1, 9))).isEmpty();
    assertThat(done).containsExactly(new VmbusAction.TearDown(number, 9));
    assertThat(server.gpadl(number, 9)).as("no new use").isNull();
    assertThat(sent(server.tornDown(number, 9))).containsExactly(new int[] {12, 9});
    assertThat(server.tornDown(number, 9)).isEmpty();
    assertThat(say(tearDown(1, 9)))
        .as("unknown, but waited for")
        .containsExactly(new int[] {12, 9});
  }

  @Test
  void gpadlInManyMessagesIsPutTogether() {
    int number = server.offer(device(1)).channel();
    connect();
    assertThat(say(gpadlHeader(1, 7, 5, 100, 101))).isEmpty();
    assertThat(say(gpadlBody(1, 7, 102, 103))).isEmpty();
    assertThat(say(gpadlBody(2, 8, 1, 2))).as("of no GPADL").isEmpty();
    assertThat(say(gpadlBody(2, 7, 104, 105, 106)))
        .as("more than announced")
        .containsExactly(new int[] {10, 1, 7, 0});
    assertThat(requireNonNull(server.gpadl(number, 7)).ranges().getFirst().pages())
        .containsExactly(100, 101, 102, 103, 104);
    assertThat(say(gpadlBody(3, 7, 1))).as("one more").isEmpty();
    assertThat(server.ignored()).isEqualTo(2);
  }

  @Test
  void impossibleGpadlsAreAnsweredWithFailure() {
    server.offer(device(1));
    connect();
    int[] failed = {10, 1, 7, FAILED};
    assertThat(say(gpadl(1, 7, RAM_PAGES))).as("not RAM").containsExactly(failed);
    assertThat(say(gpadl(1, 7, -1))).as("not RAM").containsExactly(failed);
    assertThat(say(gpadl(9, 7, 1))).containsExactly(new int[] {10, 9, 7, FAILED});
    assertThat(say(gpadlHeader(1, 7, -1))).as("size of 0").containsExactly(failed);
    var twice = gpadl(1, 7, 1);
    twice[18] = 2;
    assertThat(say(twice)).as("two ranges in the space of one").containsExactly(failed);
    assertThat(say(gpadl(1, 7, 1))).containsExactly(new int[] {10, 1, 7, 0});
    assertThat(say(gpadl(1, 7, 1))).as("id in use").containsExactly(failed);
  }

  @Test
  void gpadlsAreBoundedAndTheBoundIsGivenBack() {
    server.offer(device(1));
    connect();
    int id = 1;
    List<int[]> answers;
    do {
      answers = say(gpadlHeader(1, id++, 8000));
    } while (answers.isEmpty() && id < 1000);
    assertThat(answers).containsExactly(new int[] {10, 1, id - 1, 0xC000_009A});
    assertThat(id).isBetween(30, 40);
    for (int i = 1; i < id - 1; i++) {
      assertThat(say(tearDown(1, i)))
          .as("two requests, two answers")
          .containsExactly(new int[] {10, 1, i, FAILED}, new int[] {12, i});
    }
    assertThat(say(gpadlHeader(1, 5, 8000))).isEmpty();
    connect();
    for (int i = 1; i < 30; i++) {
      assertThat(say(gpadlHeader(1, i, 8000))).isEmpty();
    }
  }

  @Test
  void newContactClosesEverythingBeforeItIsAnswered() {
    int first = server.offer(device(1)).channel();
    int second = server.offer(device(2)).channel();
    connect();
    openFirst();
    say(gpadl(2, 8, 40, 41, 42, 43));
    say(open(2, 1, 8, 0, 2));
    say(gpadlHeader(1, 9, 100, 1));
    assertThat(say(initiateContact(5, 2, 0, 2))).isEmpty();
    assertThat(done)
        .containsExactly(
            new VmbusAction.Discard(1, 2),
            new VmbusAction.Close(first),
            new VmbusAction.Close(second));
    assertThat(say(requestOffers())).as("not in contact").isEmpty();
    assertThat(server.closed(second)).isEmpty();
    assertThat(say(initiateContact(4, 0, 1, 2))).as("again").isEmpty();
    assertThat(sent(server.closed(first))).containsExactly(new int[] {15, 1, 4 << 16});
    assertThat(say(requestOffers())).hasSize(3);
    openFirst();
  }

  @Test
  void unloadIsAlwaysAnswered() {
    assertThat(say(unload())).as("without contact").containsExactly(new int[] {17});
    int number = server.offer(device(1)).channel();
    connect();
    openFirst();
    assertThat(say(unload())).isEmpty();
    var answer = server.closed(number);
    assertThat(sent(answer)).containsExactly(new int[] {17});
    assertThat(((VmbusAction.Send) answer.getFirst()).processor()).isEqualTo(1);
    assertThat(say(requestOffers())).isEmpty();
    connect();
    openFirst();
  }

  @Test
  void revokedChannelKeepsItsRelidUntilTheGuestLetsGo() {
    int number = server.offer(device(1)).channel();
    connect();
    openFirst();
    var actions = server.revoke(number);
    assertThat(sent(actions)).containsExactly(new int[] {2, 1});
    assertThat(actions.getLast()).isEqualTo(new VmbusAction.Close(number));
    assertThat(sent(server.offer(device(1)).actions()).getFirst()[45]).as("relid").isEqualTo(2);
    assertThat(say(released(1))).isEmpty();
    assertThat(server.closed(number)).isEmpty();
    assertThat(sent(server.offer(device(3)).actions()).getFirst()[45]).as("relid").isEqualTo(1);
    assertThat(server.revoke(number)).as("gone").isEmpty();
  }

  @Test
  void gpadlOfARevokedChannelIsTakenUntilTheGuestLetsGo() {
    int number = server.offer(device(1)).channel();
    connect();
    server.revoke(number);
    assertThat(say(gpadl(1, 9, 1))).containsExactly(new int[] {10, 1, 9, 0});
    assertThat(say(released(1))).isEmpty();
    assertThat(say(gpadl(1, 9, 1))).as("gone").containsExactly(new int[] {10, 1, 9, FAILED});
  }

  @Test
  void subChannelThatTheGuestGivesUpByItselfIsFree() {
    int number = server.offer(device(1).withSubChannel(1)).channel();
    connect();
    openFirst();
    say(released(1));
    assertThat(server.ignored()).as("while it is open").isEqualTo(1);
    say(close(1));
    say(released(1));
    assertThat(say(gpadl(1, 9, 1))).as("given up").containsExactly(new int[] {10, 1, 9, FAILED});
    assertThat(sent(server.offer(device(3)).actions()).getFirst()[45]).as("closing").isEqualTo(2);
    server.closed(number);
    assertThat(server.revoke(number)).as("the guest does not know it").isEmpty();
    assertThat(sent(server.offer(device(2)).actions()).getFirst()[45]).isEqualTo(1);
  }

  @Test
  void modificationMovesInterruptsAndIsAnsweredFrom53On() {
    int number = server.offer(device(1)).channel();
    connect();
    openFirst();
    assertThat(say(modify(1, 0))).containsExactly(new int[] {24, 1, 0});
    assertThat(done).contains(new VmbusAction.Retarget(number, 0));
    assertThat(say(modify(1, 2))).containsExactly(new int[] {24, 1, FAILED});
    assertThat(say(modify(9, 0))).containsExactly(new int[] {24, 9, FAILED});
    say(initiateContact(5, 2, 0, 2));
    server.closed(number);
    say(requestOffers());
    openFirst();
    assertThat(say(modify(1, 0))).isEmpty();
    assertThat(done).containsExactly(new VmbusAction.Retarget(number, 0));
  }

  @Test
  void interruptsAreNotSwitchedOffOrOnByModification() {
    server.offer(device(1));
    connect();
    openFirst();
    assertThat(say(modify(1, -1))).containsExactly(new int[] {24, 1, FAILED});
    server.offer(device(2));
    say(gpadl(2, 8, 40, 41, 42, 43));
    assertThat(say(open(2, 1, 8, -1, 2))).containsExactly(new int[] {6, 2, 1, 0});
    assertThat(say(modify(2, 0))).containsExactly(new int[] {24, 2, FAILED});
    assertThat(done).hasSize(1);
  }

  @Test
  void ringThatIsTakenFromAnOpenChannelClosesIt() {
    int number = server.offer(device(1)).channel();
    connect();
    openFirst();
    assertThat(say(tearDown(1, 7))).as("the device has it yet").isEmpty();
    assertThat(done).containsExactly(new VmbusAction.Close(number));
    assertThat(sent(server.closed(number))).containsExactly(new int[] {12, 7});
    openFirst();
  }

  @Test
  void halfAGpadlOfAChannelThatIsGivenUpIsRefused() {
    server.offer(device(1));
    connect();
    assertThat(say(gpadlHeader(1, 7, 100, 1))).isEmpty();
    assertThat(say(released(1))).containsExactly(new int[] {10, 1, 7, FAILED});
    assertThat(say(gpadlBody(0, 7, 2))).isEmpty();
  }

  @Test
  void guestThatOnlyResetsPilesUpNothing() {
    say(initiateContact(6, 0, 1, 3));
    say(unload());
    assertThat(done.getFirst()).isEqualTo(new VmbusAction.Discard(1, 3));
    assertThat(sent(done)).containsExactly(new int[] {17});
    say(initiateContact(5, 3, 0, 2));
    assertThat(done.getFirst()).isEqualTo(new VmbusAction.Discard(1, 3));
    say(unload());
    assertThat(done.getFirst()).isEqualTo(new VmbusAction.Discard(0, 2));
  }

  @Test
  void otherTrustLevelsHaveNoBus() {
    var contact = begin(14, 40).putInt(5 << 16 | 3).putInt(0).put((byte) 2).put((byte) 2).array();
    assertThat(say(contact)).containsExactly(new int[] {15, 0, 0});
  }

  @Test
  void reservedChannelsAreRefusedWhereTheRequestSays() {
    server.offer(device(1));
    connect();
    say(gpadl(1, 7, 16, 17, 18, 19));
    var open = begin(18, 28).putInt(1).putInt(0).putInt(5).putInt(7).putInt(2).array();
    assertThat(say(open)).containsExactly(new int[] {6, 1, 0, FAILED});
    assertThat(((VmbusAction.Send) done.getFirst()).processor()).isZero();
    assertThat(((VmbusAction.Send) done.getFirst()).source()).isEqualTo(5);
    var close = begin(19, 20).putInt(1).putInt(77).putInt(77).array();
    assertThat(say(close)).containsExactly(new int[] {20, 1});
    assertThat(((VmbusAction.Send) done.getFirst()).source()).isEqualTo(2);
  }

  @Test
  void socketRequestsAreRefused() {
    connect();
    var request = begin(21, 40).putLong(1).putLong(2).putLong(3).putLong(4).array();
    assertThat(say(request)).containsExactly(new int[] {23, 1, 0, 2, 0, 3, 0, 4, 0, 0xC000_0236});
    say(initiateContact(4, 0, 0, 2));
    assertThat(say(request)).as("no answer is known before 4.1").isEmpty();
  }

  @Test
  void nonsenseIsIgnored() {
    connect();
    for (int type : new int[] {0, 1, 2, 4, 6, 10, 12, 15, 17, 20, 23, 24, 25, 99, -1}) {
      assertThat(say(begin(type, 240).array())).as("type %d", type).isEmpty();
    }
    for (int length = 0; length < 12; length++) {
      assertThat(say(Arrays.copyOf(close(1), length))).isEmpty();
    }
  }

  @Test
  void stateGoesOnInAnotherServer() {
    server.offer(device(1));
    server.offer(device(2));
    server.offer(device(3));
    connect();
    openFirst();
    say(gpadl(2, 8, 40, 41, 42, 43));
    say(open(2, 1, 8, 0, 2));
    say(close(2));
    say(tearDown(2, 8));
    say(gpadlHeader(1, 9, 3, 1, 2));
    var state = server.state();

    var other = server();
    other.offer(device(3));
    int otherSecond = other.offer(device(2)).channel();
    int otherFirst = other.offer(device(1)).channel();
    var actions = other.restore(state);
    assertThat(actions).contains(new VmbusAction.Close(otherSecond));
    assertThat(actions).anyMatch(a -> a instanceof VmbusAction.Open o && o.channel() == otherFirst);
    assertThat(actions).hasSize(2);
    assertThat(other.state()).usingRecursiveComparison().ignoringCollectionOrder().isEqualTo(state);
    assertThat(sent(other.closed(otherSecond))).containsExactly(new int[] {12, 8});
    assertThat(sent(other.receive(gpadlBody(1, 9, 3)))).containsExactly(new int[] {10, 1, 9, 0});
    assertThat(sent(other.receive(open(3, 1, 9, 0, 2))))
        .containsExactly(new int[] {6, 3, 1, FAILED});
  }

  /// A guest that sends valid messages, changed at random.
  @Test
  void noSequenceOfMessagesThrowsOrGrows() {
    var random = new Random(3);
    for (int run = 0; run < 60; run++) {
      var victim = server();
      for (int i = 0; i < 4; i++) {
        victim.offer(device(i));
      }
      var closing = new ArrayList<Integer>();
      var open = new ArrayList<Integer>();
      for (int i = 0; i < 3000; i++) {
        var message = message(random);
        for (int flips = random.nextInt(4) == 0 ? random.nextInt(4) : 0; flips > 0; flips--) {
          message[random.nextInt(message.length)] = (byte) random.nextInt(256);
        }
        if (random.nextInt(20) == 0) {
          message = Arrays.copyOf(message, random.nextInt(241));
        }
        var actions = new ArrayList<>(victim.receive(message));
        if (random.nextInt(40) == 0) {
          int number = random.nextInt(6);
          actions.addAll(victim.revoke(number));
        }
        if (!closing.isEmpty() && random.nextInt(3) == 0) {
          actions.addAll(victim.closed(closing.remove(random.nextInt(closing.size()))));
        }
        actions.addAll(victim.tornDown(random.nextInt(4), random.nextInt(4)));
        for (var action : actions) {
          switch (action) {
            case VmbusAction.Open(int number, Opening _) -> {
              assertThat(open).as("opened twice").doesNotContain(number);
              assertThat(closing).as("opened while closing").doesNotContain(number);
              open.add(number);
            }
            case VmbusAction.Close(int number) -> {
              assertThat(open.remove((Integer) number)).as("closed when open").isTrue();
              closing.add(number);
            }
            case VmbusAction.Send send ->
                assertThat(send.message().length).isLessThanOrEqualTo(240);
            default -> {}
          }
        }
        if (i % 500 == 0) {
          var copy = server();
          copy.restore(victim.state());
        }
      }
      var state = victim.state();
      int pages =
          state.channels().stream()
              .flatMap(c -> c.gpadls().stream())
              .mapToInt(Gpadl::pageCount)
              .sum();
      assertThat(pages).isLessThanOrEqualTo(GpadlTable.MOST_PAGES);
      // Whatever happened, a new guest gets what it needs.
      victim.receive(initiateContact(5, 3, 0, 2));
      for (int number : closing) {
        victim.closed(number);
      }
      for (int number : open) {
        victim.closed(number);
      }
      assertThat(victim.contact()).isNotNull();
      assertThat(sent(victim.receive(requestOffers())).getLast()).containsExactly(4);
    }
  }

  private static byte[] message(Random random) {
    int relid = random.nextInt(6);
    int gpadl = random.nextInt(5);
    return switch (random.nextInt(14)) {
      case 0 -> random.nextInt(20) == 0 ? initiateContact(5, 3, 0, 2) : requestOffers();
      case 1 -> random.nextInt(30) == 0 ? unload() : initiateContact(5, random.nextInt(5), 0, 2);
      case 2, 3 -> requestOffers();
      case 4, 5 -> open(relid, random.nextInt(), gpadl, random.nextInt(3) - 1, 2);
      case 6 -> close(relid);
      case 7 -> tearDown(relid, gpadl);
      case 8 -> released(relid);
      case 9 -> modify(relid, random.nextInt(3));
      case 10 -> gpadlHeader(relid, gpadl, 5, 1, 2);
      case 11 -> gpadlBody(1, gpadl, 3, 4, 5);
      default -> gpadl(relid, gpadl, 1, 2, 3, 4, 5);
    };
  }
}
