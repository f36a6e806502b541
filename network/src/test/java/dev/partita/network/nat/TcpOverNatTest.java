package dev.partita.network.nat;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.network.IpAddress;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Whole connections between a guest with a TCP of the test's own and the host's far end, over
/// links that lose, double and reorder, with slow readers on either side.
class TcpOverNatTest {
  private static final IpAddress FAR4 = IpAddress.parse("198.51.100.7");
  private static final IpAddress FAR6 = IpAddress.parse("2001:db8::7");
  private static final long MILLI = 1_000_000L;

  private static byte[] octets(SplittableRandom random, int most) {
    var octets = new byte[random.nextInt(most + 1)];
    random.nextBytes(octets);
    return octets;
  }

  /// Runs time until something holds, and at most so many seconds.
  static void until(SimulatedLink link, int seconds, java.util.function.BooleanSupplier what) {
    for (int i = 0; i < seconds * 100 && !what.getAsBoolean(); i++) {
      link.time.advance(10 * MILLI);
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.01, 0.1, 0.2})
  void bothStreamsArriveWholeWhateverTheLinkDoes(double loss) {
    for (int seed = 0; seed < 20; seed++) {
      exchange(loss, seed, seed % 2 == 0);
    }
  }

  private void exchange(double loss, int seed, boolean published) {
    var random = new SplittableRandom(seed);
    var far = random.nextBoolean() ? FAR4 : FAR6;
    var settings =
        NatSettings.standard()
            .withMtu(random.nextBoolean() ? 1500 : 9000)
            .withPublications(
                java.util.List.of(
                    new Publication(
                        null,
                        2222,
                        22,
                        false,
                        far.isV4() ? SimulatedLink.GUEST : SimulatedLink.GUEST6)));
    try (var link = new SimulatedLink(settings)) {
      var upward = octets(random, 300_000);
      var downward = octets(random, 300_000);
      int remotePort = published ? 5555 : 80;
      int port = published ? 22 : 40_000 + seed;
      if (published) {
        far = far.isV4() ? settings.gateway4() : settings.gateway6();
        introduce(link, far);
      }
      link.random = random.split();
      link.loss = loss;
      link.duplication = random.nextInt(3) * 0.05;
      link.jitter = random.nextInt(3) * 2 * MILLI + 1;
      var peer = new ReferencePeer(link, port, far, remotePort, upward, seed);
      peer.segmentSize = random.nextBoolean() ? 1460 : 536;
      peer.scale = random.nextInt(4) == 0 ? -1 : random.nextInt(10);
      peer.selective = random.nextBoolean();
      peer.buffer = 4096 << random.nextInt(6);
      peer.readRate = random.nextInt(3) == 0 ? 200 + random.nextInt(2000) : Integer.MAX_VALUE;
      link.immediate = false;
      link.guest = peer::receive;
      SimulatedHost.Stream stream;
      if (published) {
        peer.listen();
        stream =
            link.host.accept(
                new java.net.InetSocketAddress("127.0.0.1", 2222),
                new java.net.InetSocketAddress("127.0.0.1", 5555));
      } else {
        peer.open();
        until(link, 60, () -> !link.host.streams.isEmpty());
        stream = link.host.streams.getFirst();
      }
      stream.partial = random.nextBoolean() ? random.split() : null;
      if (random.nextInt(3) == 0) {
        stream.room = 10_000;
        slowly(link, stream, random.nextInt(20) + 1);
      }
      for (int at = 0; at < downward.length; ) {
        int n = Math.min(downward.length - at, 1 + random.nextInt(20_000));
        stream.send(java.util.Arrays.copyOfRange(downward, at, at + n));
        at += n;
      }
      stream.end();
      until(link, 3000, () -> peer.done() && stream.closed);
      assertThat(peer.reset).as("seed %d: reset", seed).isFalse();
      assertThat(peer.got.size()).as("seed %d: to the guest", seed).isEqualTo(downward.length);
      assertThat(peer.got.toByteArray()).as("seed %d: to the guest", seed).isEqualTo(downward);
      assertThat(stream.got.toByteArray()).as("seed %d: to the host", seed).isEqualTo(upward);
      assertThat(stream.shut).as("seed %d: end of the stream", seed).isTrue();
      assertThat(stream.reset).as("seed %d: host reset", seed).isFalse();
      until(link, 400, () -> link.gateway.usage().connections() == 0);
      assertThat(link.gateway.usage().connections()).as("seed %d", seed).isZero();
      assertThat(link.gateway.usage().memory()).as("seed %d", seed).isZero();
      assertThat(link.host.open).as("seed %d", seed).isEqualTo(2);
    }
  }

  /// The guest has been seen: its station is known.
  static void introduce(SimulatedLink link, IpAddress gateway) {
    link.fromGuest(
        Packets.udp(
            gateway.isV4() ? SimulatedLink.GUEST : SimulatedLink.GUEST6,
            9,
            gateway,
            9,
            new byte[0]));
  }

  private static void slowly(SimulatedLink link, SimulatedHost.Stream stream, int millis) {
    link.time
        .timer(
            () -> {
              stream.allow(8192);
              link.gateway.endBatch();
              slowly(link, stream, millis);
            })
        .arm(link.time.nanoTime() + millis * MILLI);
  }
}
