package dev.partita.network.nat;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.network.IpAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// A conversation that the input chooses: frames whole or broken, answers of the host, time.
/// Nothing is thrown (the gateway would remember it), the bounds hold, and after the end nothing is
/// left.
class NatGatewayFuzzTest {
  private static final NatSettings SETTINGS =
      NatSettings.standard()
          .withPublications(List.of(Publication.parse("2222:22"), Publication.parse("53:53/udp")))
          .withLimits(new NatSettings.Limits(12, 6, 1 << 16, 1 << 14));
  private static final int[] PORTS = {53, 67, 68, 80, 546, 547, 22, 5000};

  private static int next(ByteBuffer in) {
    return in.hasRemaining() ? in.get() & 0xff : 0;
  }

  private static byte[] some(ByteBuffer in, int most) {
    var octets = new byte[Math.min(in.remaining(), Math.min(next(in), most))];
    octets = Arrays.copyOf(octets, Math.min(octets.length, in.remaining()));
    in.get(octets);
    return octets;
  }

  @FuzzTest
  void fuzz(byte[] input) {
    try (var link = new SimulatedLink(SETTINGS)) {
      var in = ByteBuffer.wrap(input);
      while (in.hasRemaining()) {
        step(link, in);
        link.received.clear();
        var usage = link.gateway.usage();
        assertThat(usage.connections()).isLessThanOrEqualTo(12);
        assertThat(usage.datagramFlows()).isLessThanOrEqualTo(6);
        assertThat(usage.memory()).isBetween(0L, 1L << 16);
        assertThat(usage.fragments()).isLessThanOrEqualTo(Reassembly.MOST);
      }
      link.full = false;
      link.gateway.resume();
      link.time.advance(20_000L * 1_000_000_000L);
      assertThat(link.gateway.usage().connections()).isZero();
      assertThat(link.gateway.usage().memory()).isZero();
      // The published ports alone.
      assertThat(link.host.open).isEqualTo(4);
      if (link.gateway.defect() != null) {
        throw new AssertionError(link.gateway.defect());
      }
    }
  }

  private static void step(SimulatedLink link, ByteBuffer in) {
    int what = next(in);
    boolean v4 = (what & 0x10) != 0;
    var guest = v4 ? SimulatedLink.GUEST : SimulatedLink.GUEST6;
    int target = next(in);
    var far =
        switch (target & 3) {
          case 0 -> v4 ? SETTINGS.gateway4() : SETTINGS.gateway6();
          case 1 -> v4 ? IpAddress.BROADCAST4 : IpAddress.parse("ff02::1:2");
          default -> IpAddress.parse(v4 ? "198.51.100.7" : "2001:db8::7");
        };
    int from = PORTS[target >> 2 & 7];
    int to = PORTS[target >> 5 & 7];
    switch (what & 15) {
      case 0 -> link.fromGuest(some(in, 255));
      case 1 -> link.fromGuest(Packets.udp(guest, from, far, to, some(in, 255)));
      case 2 -> {
        var message = Arrays.copyOf(some(in, 64), 64);
        link.fromGuest(Packets.ip(guest, far, v4 ? 1 : 58, message, 2));
      }
      case 3, 4, 5 -> segment(link, in, guest, from, far, to);
      case 6 -> link.time.advance((long) next(in) * next(in) * 1_000_000L);
      case 7, 8 -> stream(link, in, what);
      case 9 -> {
        if (!link.host.sockets.isEmpty()) {
          var socket = link.host.sockets.get(next(in) % link.host.sockets.size());
          if (!socket.closed) {
            var peer = socket.peer;
            socket.arrive(
                some(in, 255),
                peer != null ? peer : new InetSocketAddress(far.toInetAddress(), from));
          }
        }
      }
      case 10 -> link.full = !link.full;
      case 11 -> link.gateway.resume();
      case 12 ->
          link.host.accept(
              new InetSocketAddress("127.0.0.1", 2222), new InetSocketAddress("127.0.0.1", from));
      case 13 -> {
        var octets = Packets.udp(guest, from, far, to, some(in, 255));
        int at = next(in) % octets.length;
        octets[at] ^= (byte) next(in);
        link.fromGuest(octets);
      }
      case 14 -> {
        var dhcp = new byte[300];
        dhcp[0] = 1;
        dhcp[1] = 1;
        dhcp[2] = 6;
        ByteBuffer.wrap(dhcp).putInt(236, 0x6382_5363);
        var options = some(in, 60);
        System.arraycopy(options, 0, dhcp, 240, options.length);
        link.fromGuest(Packets.udp(IpAddress.ANY4, 68, IpAddress.BROADCAST4, 67, dhcp));
      }
      default -> link.gateway.restore(link.gateway.save());
    }
  }

  /// A segment near the numbers that the connection is at, so that most mean something.
  private static void segment(
      SimulatedLink link, ByteBuffer in, IpAddress guest, int from, IpAddress far, int to) {
    int sequence = 1000 + (byte) next(in);
    int acknowledgment = (byte) next(in);
    for (var connection : link.gateway.save().connections()) {
      if (connection.guestPort() == from && connection.remotePort() == to) {
        sequence = connection.acknowledgment() + (byte) (next(in) % 7 - 2);
        acknowledgment = connection.sequence() - (next(in) % 4 == 0 ? 1 : 0);
      }
    }
    int window = next(in) << (next(in) & 8);
    var options = some(in, 12);
    link.fromGuest(
        Packets.tcp(
            guest,
            from,
            far,
            to,
            sequence,
            acknowledgment,
            next(in),
            window,
            Arrays.copyOf(options, options.length + 3 & ~3),
            some(in, 255)));
  }

  private static void stream(SimulatedLink link, ByteBuffer in, int what) {
    link.time.advance(2_000_000L);
    if (link.host.streams.isEmpty()) {
      return;
    }
    var stream = link.host.streams.get(next(in) % link.host.streams.size());
    if (stream.closed) {
      return;
    }
    switch (next(in) & 7) {
      case 0, 1, 2 -> stream.send(new byte[1 + next(in) * 20]);
      case 3 -> stream.end();
      case 4 -> stream.breakDown();
      case 5 -> stream.room = next(in);
      case 6 -> stream.allow(next(in) * 100L);
      default -> stream.room = Long.MAX_VALUE;
    }
    if ((what & 0x20) != 0) {
      link.time.advance(2_000_000L);
    }
  }

  @Test
  void randomConversationsHold() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 40; i++) {
      var input = new byte[random.nextInt(2000)];
      random.nextBytes(input);
      fuzz(input);
    }
  }
}
