package dev.partita.network.nat;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/// One segment after the other: what the gateway's TCP says in each state.
class TcpStatesTest {
  private static final long SECOND = 1_000_000_000L;
  private static final long MILLI = 1_000_000L;
  private static final int FIN = 1;
  private static final int SYN = 2;
  private static final int RST = 4;
  private static final int ACK = 16;
  private static final IpAddress FAR = IpAddress.parse("198.51.100.7");
  private static final IpAddress GUEST = SimulatedLink.GUEST;
  private static final NatSettings SETTINGS = NatSettings.standard();

  /// The guest's side, by hand.
  private static final class Hand implements AutoCloseable {
    final SimulatedLink link;
    final int port;
    int mine = 1000;
    int theirs;

    Hand(SimulatedLink link, int port) {
      this.link = link;
      this.port = port;
    }

    void send(int flags, byte... payload) {
      sendAt(mine, theirs, flags, 1000, payload);
    }

    void sendAt(int sequence, int acknowledgment, int flags, int window, byte... payload) {
      link.fromGuest(
          Packets.tcp(
              GUEST, port, FAR, 80, sequence, acknowledgment, flags, window, new byte[0], payload));
    }

    /// The handshake.
    SimulatedHost.Stream open() {
      send(SYN);
      link.time.advance(2 * MILLI);
      assertThat(flags()).isEqualTo(SYN | ACK);
      theirs = sequence() + 1;
      mine++;
      send(ACK);
      link.received.clear();
      return link.host.streams.getLast();
    }

    private ByteBuffer last() {
      return ByteBuffer.wrap(link.received.getLast());
    }

    int flags() {
      return last().get(47);
    }

    int sequence() {
      return last().getInt(38);
    }

    int acknowledgment() {
      return last().getInt(42);
    }

    byte[] payload() {
      var headers = Headers.of(Frame.of(link.received.getLast()));
      int data = 34 + ((last().get(46) & 0xf0) >> 2);
      return Arrays.copyOfRange(link.received.getLast(), data, headers.packetEnd());
    }

    boolean answered() {
      return !link.received.isEmpty();
    }

    void forget() {
      link.received.clear();
    }

    @Override
    public void close() {
      link.close();
    }
  }

  private static Hand hand() {
    var link = new SimulatedLink(SETTINGS);
    link.received.clear();
    // Router advertisements are not of interest here.
    link.guest =
        frame -> {
          if (Headers.of(Frame.of(frame)).kind() == Headers.Kind.IPV4) {
            link.received.add(frame);
          }
        };
    return new Hand(link, 5000);
  }

  @Test
  void theGuestIsAnsweredOnlyWhenTheHostIsConnected() {
    try (var hand = hand()) {
      hand.send(SYN);
      assertThat(hand.answered()).isFalse();
      hand.send(SYN);
      assertThat(hand.link.host.streams).hasSize(1);
      hand.link.time.advance(2 * MILLI);
      assertThat(hand.flags()).isEqualTo(SYN | ACK);
      assertThat(hand.acknowledgment()).isEqualTo(1001);
    }
  }

  @Test
  void whatTheHostRefusesIsRefused() {
    try (var hand = hand()) {
      hand.link.host.connectFailure = new ConnectException("Connection refused");
      hand.send(SYN);
      hand.link.time.advance(2 * MILLI);
      assertThat(hand.flags()).isEqualTo(RST | ACK);
      assertThat(hand.acknowledgment()).isEqualTo(1001);
      assertThat(hand.link.gateway.usage().connections()).isZero();
      assertThat(hand.link.host.open).isZero();
    }
  }

  @Test
  void whatTheHostCannotReachIsUnreachable() {
    try (var hand = hand()) {
      hand.link.host.connectFailure = new IOException("No route to host");
      hand.send(SYN);
      hand.link.time.advance(2 * MILLI);
      var headers = Headers.of(Frame.of(hand.link.received.getLast()));
      assertThat(headers.icmpType()).isEqualTo(3);
      // It quotes the SYN, so that the guest knows what is meant.
      var quoted = ByteBuffer.wrap(hand.link.received.getLast());
      assertThat(quoted.getInt(42 + 16)).isEqualTo(FAR.v4Bits());
      assertThat(quoted.getShort(42 + 20) & 0xffff).isEqualTo(5000);
      assertThat(quoted.getInt(42 + 24)).isEqualTo(1000);
      assertThat(hand.link.gateway.usage().connections()).isZero();
    }
  }

  @Test
  void anAttemptThatTheGuestGivesUpIsGivenUp() {
    try (var hand = hand()) {
      hand.link.host.silent = true;
      hand.send(SYN);
      hand.mine++;
      hand.send(RST);
      assertThat(hand.link.gateway.usage().connections()).isZero();
      assertThat(hand.link.host.open).isZero();
    }
  }

  @Test
  void aSegmentOfNoConnectionIsReset() {
    try (var hand = hand()) {
      hand.sendAt(77, 88, ACK, 1000, (byte) 1);
      assertThat(hand.flags()).isEqualTo(RST);
      assertThat(hand.sequence()).isEqualTo(88);
      hand.forget();
      hand.sendAt(77, 0, FIN, 1000);
      assertThat(hand.flags()).isEqualTo(RST | ACK);
      assertThat(hand.acknowledgment()).isEqualTo(78);
      hand.forget();
      hand.sendAt(77, 88, RST, 1000);
      assertThat(hand.answered()).isFalse();
    }
  }

  @Test
  void halfClosedByTheGuestTheHostStillSends() {
    try (var hand = hand()) {
      var stream = hand.open();
      hand.send(ACK | FIN, (byte) 'q');
      hand.mine += 2;
      assertThat(stream.shut).isTrue();
      assertThat(stream.closed).isFalse();
      assertThat(stream.got.toByteArray()).containsExactly('q');
      assertThat(hand.acknowledgment()).isEqualTo(hand.mine);
      stream.send(new byte[] {1, 2, 3});
      hand.link.time.advance(MILLI);
      assertThat(hand.payload()).containsExactly(1, 2, 3);
      hand.theirs += 3;
      hand.send(ACK);
      stream.end();
      hand.link.time.advance(MILLI);
      assertThat(hand.flags() & FIN).isEqualTo(FIN);
      assertThat(stream.closed).isTrue();
      hand.theirs++;
      hand.send(ACK);
      assertThat(hand.link.gateway.usage().connections()).isZero();
    }
  }

  @Test
  void halfClosedByTheHostTheGuestStillSends() {
    try (var hand = hand()) {
      var stream = hand.open();
      stream.end();
      hand.link.time.advance(MILLI);
      assertThat(hand.flags() & FIN).isEqualTo(FIN);
      hand.theirs++;
      hand.send(ACK, (byte) 'a', (byte) 'b');
      hand.mine += 2;
      assertThat(stream.got.toByteArray()).containsExactly('a', 'b');
      hand.link.time.advance(3600 * SECOND);
      assertThat(stream.closed).isFalse();
      hand.send(ACK | FIN);
      hand.mine++;
      assertThat(stream.closed).isTrue();
      assertThat(stream.reset).isFalse();
      // TIME_WAIT answers the end again, and then is gone.
      hand.forget();
      hand.sendAt(hand.mine - 1, hand.theirs, ACK | FIN, 1000);
      assertThat(hand.acknowledgment()).isEqualTo(hand.mine);
      assertThat(hand.link.gateway.usage().connections()).isEqualTo(1);
      hand.link.time.advance(61 * SECOND);
      assertThat(hand.link.gateway.usage().connections()).isZero();
    }
  }

  @Test
  void aNewConnectionMayTakeThePortOfOneInTimeWait() {
    try (var hand = hand()) {
      var stream = hand.open();
      stream.end();
      hand.link.time.advance(MILLI);
      hand.theirs++;
      hand.send(ACK | FIN);
      hand.mine++;
      hand.mine += 1000;
      hand.theirs = 0;
      var second = hand.open();
      assertThat(second).isNotSameAs(stream);
      assertThat(hand.link.gateway.usage().connections()).isEqualTo(1);
    }
  }

  @Test
  void aResetOfTheGuestResetsTheHost() {
    try (var hand = hand()) {
      var stream = hand.open();
      hand.send(RST);
      assertThat(stream.reset).isTrue();
      assertThat(hand.answered()).isFalse();
      assertThat(hand.link.gateway.usage().connections()).isZero();
    }
  }

  @Test
  void aResetThatOnlyGuessesTheNumberIsChallenged() {
    try (var hand = hand()) {
      var stream = hand.open();
      hand.sendAt(hand.mine + 100, hand.theirs, RST, 1000);
      assertThat(stream.closed).isFalse();
      assertThat(hand.flags()).isEqualTo(ACK);
      hand.forget();
      hand.link.time.advance(10 * MILLI);
      hand.sendAt(hand.mine - 100, hand.theirs, RST, 1000);
      assertThat(hand.answered()).isFalse();
      hand.sendAt(hand.mine + 5, 0, SYN, 1000);
      assertThat(stream.closed).isFalse();
      assertThat(hand.flags()).isEqualTo(ACK);
    }
  }

  @Test
  void aResetEndsEveryState() {
    for (int state = 0; state < 5; state++) {
      try (var hand = hand()) {
        var stream = hand.open();
        switch (state) {
          case 1 -> {
            hand.send(ACK | FIN);
            hand.mine++;
          }
          case 2 -> {
            stream.end();
            hand.link.time.advance(MILLI);
          }
          case 3 -> {
            stream.end();
            hand.link.time.advance(MILLI);
            hand.theirs++;
            hand.send(ACK);
          }
          case 4 -> {
            stream.end();
            hand.link.time.advance(MILLI);
            // Both at once: CLOSING.
            hand.send(ACK | FIN);
            hand.mine++;
          }
          default -> {}
        }
        assertThat(hand.link.gateway.usage().connections()).as("state %d", state).isEqualTo(1);
        hand.send(RST | ACK);
        assertThat(hand.link.gateway.usage().connections()).as("state %d", state).isZero();
        assertThat(hand.link.host.open).as("state %d", state).isZero();
      }
    }
  }

  @Test
  void aBrokenHostConnectionResetsTheGuest() {
    try (var hand = hand()) {
      var stream = hand.open();
      stream.breakDown();
      hand.link.time.advance(MILLI);
      assertThat(hand.flags() & RST).isEqualTo(RST);
      assertThat(hand.sequence()).isEqualTo(hand.theirs);
      assertThat(hand.link.gateway.usage().connections()).isZero();
    }
    try (var hand = hand()) {
      var stream = hand.open();
      stream.broken = new IOException("Broken pipe");
      hand.send(ACK, (byte) 1);
      assertThat(hand.flags() & RST).isEqualTo(RST);
      assertThat(hand.link.gateway.usage().connections()).isZero();
    }
  }

  @Test
  void aSlowHostClosesTheWindowAndOpensItAgain() {
    try (var hand = hand()) {
      var stream = hand.open();
      stream.room = 0;
      var payload = new byte[1460];
      int window = Integer.MAX_VALUE;
      for (int i = 0; i < 1000 && window > 0; i++) {
        hand.send(ACK, payload);
        hand.link.time.advance(50 * MILLI);
        hand.mine = hand.acknowledgment();
        window = hand.last().getShort(48) & 0xffff;
      }
      assertThat(window).isZero();
      int held = hand.mine - 1001;
      assertThat(held).isLessThanOrEqualTo(1 << 18);
      // A probe is answered and changes nothing.
      hand.forget();
      hand.send(ACK, (byte) 9);
      assertThat(hand.acknowledgment()).isEqualTo(hand.mine);
      hand.forget();
      stream.allow(Long.MAX_VALUE / 2);
      hand.link.time.advance(MILLI);
      assertThat(hand.last().getShort(48) & 0xffff).isPositive();
      assertThat(stream.got.size()).isEqualTo(held);
    }
  }

  @Test
  void aClosedWindowIsProbedForHoursAndNotOverrun() {
    try (var hand = hand()) {
      var stream = hand.open();
      hand.sendAt(hand.mine, hand.theirs, ACK, 0);
      stream.send(new byte[5000]);
      hand.forget();
      for (int i = 0; i < 3600; i++) {
        hand.link.time.advance(SECOND);
        if (hand.answered()) {
          assertThat(hand.payload()).isEmpty();
          hand.forget();
          hand.sendAt(hand.mine, hand.theirs, ACK, 0);
        }
      }
      assertThat(hand.link.gateway.usage().connections()).isEqualTo(1);
      hand.sendAt(hand.mine, hand.theirs, ACK, 700);
      assertThat(hand.link.received.stream().mapToInt(f -> f.length - 54).sum()).isEqualTo(536);
    }
  }

  @Test
  void aSilentGuestIsGivenUp() {
    try (var hand = hand()) {
      var stream = hand.open();
      stream.send(new byte[100]);
      hand.link.time.advance(2000 * SECOND);
      assertThat(stream.reset).isTrue();
      assertThat(hand.link.gateway.usage().connections()).isZero();
      assertThat(hand.link.gateway.usage().memory()).isZero();
      // It was sent again and again, less and less often.
      assertThat(hand.link.received.size()).isBetween(8, 16);
    }
  }

  @Test
  void anIdleConnectionIsKeptForTwoHoursAndThenAskedFor() {
    try (var hand = hand()) {
      var stream = hand.open();
      hand.link.time.advance((2 * 3600 + 3 * 60) * SECOND);
      assertThat(hand.answered()).isFalse();
      hand.link.time.advance(90 * SECOND);
      assertThat(hand.sequence()).isEqualTo(hand.theirs - 1);
      // The guest is there.
      hand.send(ACK);
      hand.forget();
      hand.link.time.advance(3600 * SECOND);
      assertThat(hand.answered()).isFalse();
      hand.link.time.advance(2 * 3600 * SECOND);
      assertThat(stream.reset).isTrue();
    }
  }

  @Test
  void connectionsAreBoundedAndThoseThatOnlyWaitGoFirst() {
    var few = SETTINGS.withLimits(new NatSettings.Limits(8, 8, 1 << 20, 1 << 16));
    try (var link = new SimulatedLink(few)) {
      link.host.silent = true;
      for (int port = 1; port <= 100; port++) {
        new Hand(link, port).send(SYN);
      }
      assertThat(link.gateway.usage().connections()).isEqualTo(8);
      assertThat(link.host.open).isEqualTo(8);
    }
    try (var link = new SimulatedLink(few)) {
      for (int port = 1; port <= 100; port++) {
        link.received.clear();
        var hand = new Hand(link, port);
        var stream = hand.open();
        stream.end();
        link.time.advance(MILLI);
        hand.theirs++;
        hand.send(ACK | FIN);
        assertThat(stream.closed).isTrue();
      }
      assertThat(link.gateway.usage().connections()).isLessThanOrEqualTo(8);
    }
  }

  @Test
  void buffersOfManyConnectionsKeepToTheirBudget() {
    var little = SETTINGS.withLimits(new NatSettings.Limits(1000, 8, 1 << 20, 1 << 18));
    try (var link = new SimulatedLink(little)) {
      for (int port = 1; port <= 200; port++) {
        link.received.clear();
        var hand = new Hand(link, port);
        var stream = hand.open();
        stream.room = 0;
        stream.send(new byte[1 << 18]);
        for (int i = 0; i < 60; i++) {
          hand.send(ACK, new byte[1400]);
          hand.mine += 1400;
        }
      }
      assertThat(link.gateway.usage().memory()).isBetween(1L << 19, 1L << 20);
      link.gateway.save();
    }
  }

  @Test
  void aLinkWithoutRoomDelaysButLosesNothing() {
    try (var hand = hand()) {
      var stream = hand.open();
      hand.link.full = true;
      stream.send(new byte[3000]);
      // Longer than any number of retries.
      hand.link.time.advance(3000 * SECOND);
      assertThat(stream.closed).isFalse();
      hand.link.full = false;
      hand.link.gateway.resume();
      assertThat(hand.link.received.stream().mapToInt(f -> f.length - 54).sum()).isEqualTo(536);
    }
  }

  @Test
  void restoredConnectionsAreResetAtOnce() {
    NatState state;
    int theirs;
    int mine;
    try (var hand = hand()) {
      hand.open();
      hand.send(ACK, (byte) 1);
      state = hand.link.gateway.save();
      theirs = hand.theirs;
      mine = hand.mine + 1;
    }
    try (var link = new SimulatedLink(SETTINGS)) {
      link.received.clear();
      link.gateway.restore(state);
      assertThat(link.received).hasSize(1);
      var hand = new Hand(link, 5000);
      assertThat(hand.flags()).isEqualTo(RST | ACK);
      assertThat(hand.sequence()).isEqualTo(theirs);
      assertThat(hand.acknowledgment()).isEqualTo(mine);
    }
  }

  @Test
  void aClientOfAPublishedPortIsTurnedAwayWhileThereIsNoGuest() {
    var settings = SETTINGS.withPublications(List.of(Publication.parse("2222:22")));
    try (var link = new SimulatedLink(settings)) {
      var at = new InetSocketAddress("127.0.0.1", 2222);
      assertThat(link.host.accept(at, new InetSocketAddress("127.0.0.1", 1)).reset).isTrue();
      TcpOverNatTest.introduce(link, SETTINGS.gateway4());
      link.received.clear();
      var stream = link.host.accept(at, new InetSocketAddress("127.0.0.1", 2));
      assertThat(stream.closed).isFalse();
      var headers = Headers.of(Frame.of(link.received.getLast()));
      assertThat(headers.destinationPort()).isEqualTo(22);
      assertThat(headers.source()).isEqualTo(SETTINGS.gateway4());
      // Nobody answers there.
      link.time.advance(200 * SECOND);
      assertThat(stream.reset).isTrue();
    }
  }
}
