package dev.partita.network.nat;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// What the gateway does beside TCP.
class NatServicesTest {
  private static final long SECOND = 1_000_000_000L;
  private static final IpAddress GUEST = SimulatedLink.GUEST;
  private static final IpAddress GUEST6 = SimulatedLink.GUEST6;
  private static final IpAddress FAR = IpAddress.parse("198.51.100.7");
  private static final NatSettings SETTINGS = NatSettings.standard();
  private static final IpAddress GATEWAY = SETTINGS.gateway4();

  @TempDir Path folder;

  private static Headers last(SimulatedLink link) {
    return Headers.of(Frame.of(link.received.getLast()));
  }

  private static byte[] dhcp(int type, int client, IpAddress current, byte[] options) {
    var b = ByteBuffer.allocate(300);
    b.put((byte) 1).put((byte) 1).put((byte) 6).put((byte) 0).putInt(0xabcd_0000 + client);
    b.putInt(0).putInt(current.v4Bits()).position(28);
    b.putShort((short) 0x0015).putInt(0x5d00_0000 + client);
    b.position(236).putInt(0x6382_5363).put((byte) 53).put((byte) 1).put((byte) type);
    b.put(options).put((byte) 255);
    return Packets.udp(
        current, 68, current.isUnspecified() ? IpAddress.BROADCAST4 : GATEWAY, 67, b.array());
  }

  private static byte[] wants(IpAddress address) {
    return ByteBuffer.allocate(6).put((byte) 50).put((byte) 4).putInt(address.v4Bits()).array();
  }

  private static int type(byte[] message) {
    return message[242];
  }

  private static IpAddress given(byte[] message) {
    return IpAddress.v4(ByteBuffer.wrap(message).getInt(16));
  }

  @Test
  void aClientGetsAnAddressAndKeepsIt() {
    try (var link = new SimulatedLink(SETTINGS)) {
      link.fromGuest(dhcp(1, 1, IpAddress.ANY4, new byte[0]));
      var offer = Packets.payload(link.received.getLast());
      assertThat(type(offer)).isEqualTo(2);
      var address = given(offer);
      assertThat(address).isEqualTo(IpAddress.parse("172.29.192.10"));
      link.fromGuest(dhcp(3, 1, IpAddress.ANY4, wants(address)));
      assertThat(type(Packets.payload(link.received.getLast()))).isEqualTo(5);

      // Another one gets another; renewal and a restart keep it.
      link.fromGuest(dhcp(1, 2, IpAddress.ANY4, wants(address)));
      assertThat(given(Packets.payload(link.received.getLast()))).isNotEqualTo(address);
      link.fromGuest(dhcp(3, 1, address, new byte[0]));
      assertThat(type(Packets.payload(link.received.getLast()))).isEqualTo(5);
      link.fromGuest(dhcp(1, 1, IpAddress.ANY4, new byte[0]));
      assertThat(given(Packets.payload(link.received.getLast()))).isEqualTo(address);

      // A lease of another network is refused, so that the client begins anew.
      link.fromGuest(dhcp(3, 3, IpAddress.ANY4, wants(IpAddress.parse("192.168.1.5"))));
      assertThat(type(Packets.payload(link.received.getLast()))).isEqualTo(6);
    }
  }

  @Test
  void leasesAreBoundedByTheNetwork() {
    var small = SETTINGS.withIpv4(dev.partita.network.IpPrefix.parse("172.29.192.0/28"));
    try (var link = new SimulatedLink(small)) {
      var seen = new java.util.HashSet<IpAddress>();
      for (int client = 1; client <= 40; client++) {
        link.received.clear();
        link.fromGuest(dhcp(1, client, IpAddress.ANY4, new byte[0]));
        if (!link.received.isEmpty()) {
          var address = given(Packets.payload(link.received.getLast()));
          assertThat(seen.add(address)).isTrue();
          link.fromGuest(dhcp(3, client, IpAddress.ANY4, wants(address)));
        }
      }
      assertThat(seen).hasSize(13);
      // After a day without renewal they are free again.
      link.time.advance((DhcpServer.LEASE_SECONDS + 1) * SECOND);
      link.received.clear();
      link.fromGuest(dhcp(1, 99, IpAddress.ANY4, new byte[0]));
      assertThat(link.received).hasSize(1);
    }
  }

  @Test
  void leasesOutliveASave() {
    NatState state;
    try (var link = new SimulatedLink(SETTINGS)) {
      link.fromGuest(dhcp(1, 7, IpAddress.ANY4, wants(IpAddress.parse("172.29.192.77"))));
      link.fromGuest(dhcp(3, 7, IpAddress.ANY4, wants(IpAddress.parse("172.29.192.77"))));
      state = link.gateway.save();
    }
    try (var link = new SimulatedLink(SETTINGS)) {
      link.gateway.restore(state);
      assertThat(link.gateway.guestAddress())
          .isEqualTo(IpAddress.parse("172.29.192.77").toInetAddress());
      link.fromGuest(dhcp(1, 8, IpAddress.ANY4, wants(IpAddress.parse("172.29.192.77"))));
      assertThat(given(Packets.payload(link.received.getLast())).toString())
          .isEqualTo("172.29.192.10");
      assertThat(link.gateway.save().leases()).contains(state.leases().getFirst());
    }
  }

  @Test
  void theGatewayAnswersForItsAddressAlone() {
    try (var link = new SimulatedLink(SETTINGS)) {
      link.received.clear();
      var arp = ByteBuffer.allocate(42);
      arp.putLong(0xffff_ffff_ffff_0015L).putInt(0x5d00_0001).putShort((short) 0x0806);
      arp.putLong(0x0001_0800_0604_0001L).putShort((short) 0x0015).putInt(0x5d00_0001);
      arp.putInt(GUEST.v4Bits()).putShort((short) 0).putInt(0).putInt(GATEWAY.v4Bits());
      link.fromGuest(arp.array());
      assertThat(link.received).hasSize(1);
      var answer = ByteBuffer.wrap(link.received.getFirst());
      assertThat(answer.getShort(20)).isEqualTo((short) 2);
      assertThat(answer.getInt(28)).isEqualTo(GATEWAY.v4Bits());
      assertThat(answer.getLong(22) >>> 16).isEqualTo(SETTINGS.mac().bits());

      arp.putInt(38, IpAddress.parse("172.29.192.99").v4Bits());
      link.fromGuest(arp.array());
      assertThat(link.received).hasSize(1);
    }
  }

  @Test
  void datagramsGoOutFromOneSocketAPortAndOnlyAnswersComeBack() {
    try (var link = new SimulatedLink(SETTINGS)) {
      link.received.clear();
      link.fromGuest(Packets.udp(GUEST, 5000, FAR, 7, "a".getBytes(StandardCharsets.UTF_8)));
      var other = IpAddress.parse("203.0.113.9");
      link.fromGuest(Packets.udp(GUEST, 5000, other, 8, "b".getBytes(StandardCharsets.UTF_8)));
      assertThat(link.host.sockets).hasSize(1);
      var socket = link.host.sockets.getFirst();
      assertThat(socket.sent).hasSize(2);
      assertThat(socket.sent.get(1).peer())
          .isEqualTo(new InetSocketAddress(other.toInetAddress(), 8));

      socket.arrive(new byte[] {1, 2, 3}, new InetSocketAddress(FAR.toInetAddress(), 9));
      assertThat(link.received).hasSize(1);
      assertThat(last(link).source()).isEqualTo(FAR);
      assertThat(last(link).sourcePort()).isEqualTo(9);
      assertThat(Packets.payload(link.received.getLast())).containsExactly(1, 2, 3);
      socket.arrive(new byte[9], new InetSocketAddress("192.0.2.77", 7));
      assertThat(link.received).hasSize(1);

      assertThat(link.gateway.usage().datagramFlows()).isEqualTo(1);
      link.time.advance(UdpFlows.IDLE + 2 * SECOND);
      assertThat(link.gateway.usage().datagramFlows()).isZero();
      assertThat(link.host.open).isZero();
    }
  }

  @Test
  void datagramFlowsAreBounded() {
    var few = SETTINGS.withLimits(new NatSettings.Limits(10, 16, 1 << 20, 1 << 16));
    try (var link = new SimulatedLink(few)) {
      for (int port = 1000; port < 2000; port++) {
        link.fromGuest(Packets.udp(GUEST, port, FAR, 7, new byte[1]));
      }
      assertThat(link.host.open).isEqualTo(16);
    }
  }

  @Test
  void aLargeDatagramComesInFragmentsAndGoesOutWhole() {
    try (var link = new SimulatedLink(SETTINGS)) {
      for (var guest : List.of(GUEST, GUEST6)) {
        boolean v4 = guest.isV4();
        var far = v4 ? FAR : IpAddress.parse("2001:db8::7");
        link.received.clear();
        link.fromGuest(Packets.udp(guest, 5000, far, 7, new byte[1]));
        var payload = new byte[20_000];
        new SplittableRandom(3).nextBytes(payload);
        var socket = link.host.sockets.getLast();
        socket.arrive(payload, new InetSocketAddress(far.toInetAddress(), 7));
        assertThat(link.received).hasSizeBetween(14, 15);

        // What came in fragments is sent back, turned around and in another order.
        var fragments = link.received.stream().map(f -> turned(f, guest, far)).toList();
        var shuffled = new java.util.ArrayList<>(fragments);
        java.util.Collections.shuffle(shuffled, new java.util.Random(5));
        shuffled.forEach(link::fromGuest);
        var sent = socket.sent.getLast().payload();
        assertThat(sent).isEqualTo(payload);
        assertThat(link.gateway.usage().fragments()).isZero();
      }
    }
  }

  /// The same fragment from the other side; a UDP checksum stays right, for the sum of the
  /// addresses and ports stays.
  private static byte[] turned(byte[] fragment, IpAddress guest, IpAddress far) {
    var b = ByteBuffer.wrap(fragment.clone());
    var headers = Headers.of(Frame.of(fragment));
    long gateway = SETTINGS.mac().bits();
    b.putLong(0, gateway << 16 | 0x0015).putInt(8, 0x5d00_0001);
    boolean v4 = guest.isV4();
    b.put(v4 ? 26 : 22, guest.octets()).put(v4 ? 30 : 38, far.octets());
    if (headers.fragmentOffset() == 0) {
      int at = headers.transport();
      short source = b.getShort(at);
      b.putShort(at, b.getShort(at + 2)).putShort(at + 2, source);
    }
    return b.array();
  }

  @Test
  void overlappingFragmentsAreDroppedAndManyAreBounded() {
    try (var link = new SimulatedLink(SETTINGS)) {
      var whole = Packets.udp(GUEST, 5000, FAR, 7, new byte[1000]);
      for (int i = 0; i < 1000; i++) {
        var first = ByteBuffer.wrap(whole.clone());
        first.putShort(18, (short) i).putShort(20, (short) 0x2000);
        first.putShort(24, (short) 0);
        first.putShort(24, (short) dev.partita.network.Checksums.of(first, 14, 20));
        link.fromGuest(first.array());
        if (i == 0) {
          link.fromGuest(first.array());
          assertThat(link.gateway.usage().fragments()).isZero();
        }
      }
      assertThat(link.gateway.usage().fragments()).isEqualTo(Reassembly.MOST);
      link.time.advance(Reassembly.PATIENCE + 2 * SECOND);
      assertThat(link.gateway.usage().fragments()).isZero();
    }
  }

  private Path resolvConf(String text) throws IOException {
    return Files.writeString(folder.resolve("resolv.conf"), text);
  }

  private static byte[] query(int id) {
    return ByteBuffer.allocate(29)
        .putShort((short) id)
        .putShort((short) 0x0100)
        .putLong(0x0001_0000_0000_0000L)
        .array();
  }

  @Test
  void queriesGoToTheHostsResolversAndToTheNextWhenOneIsSilent() throws IOException {
    var conf = resolvConf("# c\nnameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch a.example\n");
    try (var link = new SimulatedLink(SETTINGS, conf)) {
      link.received.clear();
      link.fromGuest(Packets.udp(GUEST, 5000, GATEWAY, 53, query(0x1234)));
      assertThat(link.host.sockets).hasSize(1);
      var first = link.host.sockets.getFirst();
      assertThat(first.peer).isEqualTo(new InetSocketAddress("192.0.2.53", 53));
      // The guest asks again: still one query.
      link.fromGuest(Packets.udp(GUEST, 5000, GATEWAY, 53, query(0x1234)));
      assertThat(link.host.sockets).hasSize(1);

      link.time.advance(5 * SECOND);
      assertThat(first.closed).isTrue();
      var second = link.host.sockets.get(1);
      var server = new InetSocketAddress("192.0.2.54", 53);
      assertThat(second.peer).isEqualTo(server);
      var asked = ByteBuffer.wrap(second.sent.getFirst().payload());
      // A forged answer does not know the identifier.
      var forged = query(asked.getShort(0) + 1);
      forged[2] = (byte) 0x81;
      second.arrive(forged, server);
      assertThat(link.received).isEmpty();
      var answer = query(asked.getShort(0));
      answer[2] = (byte) 0x81;
      second.arrive(answer, server);
      assertThat(link.received).hasSize(1);
      assertThat(last(link).sourcePort()).isEqualTo(53);
      assertThat(Packets.payload(link.received.getLast())).startsWith(0x12, 0x34, 0x81);
      assertThat(link.host.open).isZero();
    }
  }

  @Test
  void queriesUnderWayAreBoundedAndEnd() throws IOException {
    try (var link = new SimulatedLink(SETTINGS, resolvConf("nameserver 192.0.2.53\n"))) {
      for (int id = 0; id < 2000; id++) {
        link.fromGuest(Packets.udp(GUEST, 5000, GATEWAY, 53, query(id)));
      }
      assertThat(link.gateway.usage().queries()).isEqualTo(DnsRelay.MOST);
      assertThat(link.host.open).isEqualTo(DnsRelay.MOST);
      link.time.advance(30 * SECOND);
      assertThat(link.gateway.usage().queries()).isZero();
      assertThat(link.host.open).isZero();
    }
  }

  @Test
  void theHostsLoopbackIsOutOfReachUnlessAllowed() {
    var forbidden =
        List.of(
            GATEWAY,
            IpAddress.LOOPBACK4,
            IpAddress.parse("127.9.9.9"),
            IpAddress.parse("0.0.0.0"),
            IpAddress.parse("0.1.2.3"),
            IpAddress.parse("169.254.169.254"),
            IpAddress.parse("240.0.0.1"));
    var forbidden6 =
        List.of(
            SETTINGS.gateway6(),
            NatSettings.linkLocal6(),
            IpAddress.LOOPBACK6,
            IpAddress.ANY6,
            IpAddress.LOOPBACK4,
            new IpAddress(0, 0x7f00_0001),
            IpAddress.parse("fe80::99"));
    try (var link = new SimulatedLink(SETTINGS)) {
      for (var target : forbidden) {
        link.fromGuest(Packets.udp(GUEST, 5000, target, 8080, new byte[1]));
        link.fromGuest(syn(GUEST, target));
      }
      for (var target : forbidden6) {
        link.fromGuest(
            asIpv6(Packets.udp(GUEST6, 5000, SETTINGS.gateway6(), 8080, new byte[1]), target));
        link.fromGuest(asIpv6(syn(GUEST6, SETTINGS.gateway6()), target));
      }
      assertThat(link.host.streams).isEmpty();
      assertThat(link.host.sockets).isEmpty();
    }
    try (var link = new SimulatedLink(SETTINGS.withHostAllowed(true))) {
      link.fromGuest(syn(GUEST, GATEWAY));
      link.fromGuest(syn(GUEST6, SETTINGS.gateway6()));
      assertThat(link.host.streams).hasSize(2);
      assertThat(link.host.streams.get(0).to.getAddress().getHostAddress()).isEqualTo("127.0.0.1");
      assertThat(link.host.streams.get(1).to.getAddress().isLoopbackAddress()).isTrue();
    }
  }

  private static byte[] syn(IpAddress from, IpAddress to) {
    return Packets.tcp(from, 5000, to, 8080, 1, 0, 2, 1000, new byte[0], new byte[0]);
  }

  /// The frame with another IPv6 destination, of which the sixteen octets are given as they are,
  /// and the checksum made right.
  private static byte[] asIpv6(byte[] frame, IpAddress target) {
    var b = ByteBuffer.wrap(frame.clone());
    b.putLong(38, target.high()).putLong(46, target.low());
    int at = 54;
    int field = at + (b.get(20) == 6 ? 16 : 6);
    b.putShort(field, (short) 0);
    long sum = dev.partita.network.Checksums.sum(b, at, frame.length - at);
    sum += dev.partita.network.Checksums.sum(b, 22, 32) + b.get(20) + frame.length - at;
    b.putShort(field, (short) ~dev.partita.network.Checksums.fold(sum));
    return b.array();
  }

  @Test
  void anAddressThatIsLeasedToOneStationIsNoOthers() {
    try (var link = new SimulatedLink(SETTINGS)) {
      var mine = IpAddress.parse("172.29.192.50");
      // The lease goes to the station that the frame comes from.
      link.fromGuest(dhcp(3, 1, IpAddress.ANY4, wants(mine)));
      var stolen = ByteBuffer.wrap(syn(mine, FAR));
      link.fromGuest(stolen.array());
      assertThat(link.host.streams).hasSize(1);
      link.fromGuest(stolen.put(11, (byte) 0x99).array());
      link.fromGuest(
          ByteBuffer.wrap(Packets.udp(mine, 1, FAR, 2, new byte[1])).put(11, (byte) 0x99).array());
      assertThat(link.host.streams).hasSize(1);
      assertThat(link.host.sockets).isEmpty();
    }
  }

  @Test
  void theGatewayAnswersEchoesAndSaysWhyItDoesNotForward() {
    try (var link = new SimulatedLink(SETTINGS)) {
      link.received.clear();
      var message = new byte[100];
      new SplittableRandom(1).nextBytes(message);
      message[0] = 8;
      message[1] = 0;
      link.fromGuest(Packets.ip(GUEST, GATEWAY, 1, message, 2));
      var answer = last(link);
      assertThat(answer.icmpType()).isZero();
      assertThat(Arrays.copyOfRange(link.received.getLast(), 38, 134))
          .isEqualTo(Arrays.copyOfRange(message, 4, 100));
      message[0] = (byte) 128;
      link.fromGuest(Packets.ip(GUEST6, SETTINGS.gateway6(), 58, message, 2));
      assertThat(last(link).icmpType()).isEqualTo(129);

      // Nobody listens at the gateway.
      link.fromGuest(Packets.udp(GUEST, 5000, GATEWAY, 9999, new byte[4]));
      assertThat(last(link).icmpType()).isEqualTo(3);
      assertThat(link.received.getLast()[35]).isEqualTo((byte) 3);

      // The first hop shows itself to traceroute.
      var hop = ByteBuffer.wrap(Packets.udp(GUEST, 5000, FAR, 33434, new byte[4]));
      hop.put(22, (byte) 1).putShort(24, (short) 0);
      hop.putShort(24, (short) dev.partita.network.Checksums.of(hop, 14, 20));
      link.fromGuest(hop.array());
      assertThat(last(link).icmpType()).isEqualTo(11);
      assertThat(link.host.sockets).isEmpty();
    }
  }

  @Test
  void errorsAreNotAnsweredAndNotTooMany() {
    try (var link = new SimulatedLink(SETTINGS)) {
      link.received.clear();
      for (int i = 0; i < 5000; i++) {
        link.fromGuest(Packets.udp(GUEST, 5000, GATEWAY, 9999, new byte[4]));
      }
      assertThat(link.received.size()).isLessThanOrEqualTo(100);
      link.received.clear();
      link.time.advance(2 * SECOND);
      link.received.clear();
      var error = new byte[36];
      error[0] = 3;
      link.fromGuest(Packets.ip(GUEST, FAR, 1, error, 2));
      assertThat(link.received).isEmpty();
    }
  }

  @Test
  void routersAreFoundAndNeighborsAnswered() {
    try (var link = new SimulatedLink(SETTINGS.withRoutesIpv6(true).withMtu(9000))) {
      // The advertisement came when the gateway was plugged in.
      var advertisement = ByteBuffer.wrap(link.received.getFirst());
      assertThat(advertisement.get(54)).isEqualTo((byte) 134);
      assertThat(advertisement.getShort(60)).isEqualTo((short) 1800);
      link.received.clear();
      link.time.advance(10 * SECOND);
      var solicitation = new byte[16];
      solicitation[0] = (byte) 133;
      var fromNowhere = IpAddress.parse("fe80::215:5dff:fe00:1");
      link.fromGuest(Packets.ip(fromNowhere, IpAddress.parse("ff02::2"), 58, solicitation, 2));
      assertThat(last(link).icmpType()).isEqualTo(134);

      var ask = ByteBuffer.allocate(24).put(0, (byte) 135);
      ask.putLong(8, SETTINGS.gateway6().high()).putLong(16, SETTINGS.gateway6().low());
      link.fromGuest(Packets.ip(GUEST6, SETTINGS.gateway6(), 58, ask.array(), 2));
      assertThat(last(link).icmpType()).isEqualTo(136);
      assertThat(last(link).destination()).isEqualTo(GUEST6);
    }
  }

  @Test
  void aPublishedDatagramPortLeadsToTheGuestAndBack() {
    var settings = SETTINGS.withPublications(List.of(Publication.parse("0.0.0.0:5353:53/udp")));
    try (var link = new SimulatedLink(settings)) {
      TcpOverNatTest.introduce(link, GATEWAY);
      link.received.clear();
      var socket = link.host.sockets.getFirst();
      assertThat(socket.port).isEqualTo(5353);
      var client = new InetSocketAddress("192.0.2.9", 4444);
      socket.arrive(new byte[] {1}, client);
      // The client appears under its own address.
      assertThat(last(link).source().toString()).isEqualTo("192.0.2.9");
      assertThat(last(link).destinationPort()).isEqualTo(53);
      link.fromGuest(Packets.udp(GUEST, 53, last(link).source(), 4444, new byte[] {2}));
      assertThat(socket.sent.getLast().peer()).isEqualTo(client);
      assertThat(socket.sent.getLast().payload()).containsExactly(2);

      // One of the host itself under the gateway's.
      var local = new InetSocketAddress("127.0.0.1", 4444);
      socket.arrive(new byte[] {3}, local);
      assertThat(last(link).source()).isEqualTo(GATEWAY);
      link.fromGuest(Packets.udp(GUEST, 53, GATEWAY, last(link).sourcePort(), new byte[] {4}));
      assertThat(socket.sent.getLast().peer()).isEqualTo(local);
    }
  }
}
