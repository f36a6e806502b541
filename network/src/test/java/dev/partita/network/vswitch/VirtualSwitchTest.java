package dev.partita.network.vswitch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.network.Checksums;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.IpAddress;
import dev.partita.network.IpPrefix;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import dev.partita.network.Port.Outcome;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class VirtualSwitchTest {
  private static final long SECOND = 1_000_000_000L;
  private static final MacAddress A = MacAddress.parse("00:15:5d:00:00:0a");
  private static final MacAddress B = MacAddress.parse("00:15:5d:00:00:0b");
  private static final MacAddress C = MacAddress.parse("00:15:5d:00:00:0c");
  private static final MacAddress STRANGER = MacAddress.parse("00:15:5d:77:77:77");

  private final ManualTimeSource time = new ManualTimeSource(0);
  private final VirtualSwitch network = new VirtualSwitch("test", SwitchKind.EXTERNAL, time);
  private final Station a = new Station();
  private final Station b = new Station();
  private final Station c = new Station();
  private final SwitchPort portA = network.connect("a", a, PortSettings.adapter(A));
  private final SwitchPort portB = network.connect("b", b, PortSettings.adapter(B));
  private final SwitchPort portC = network.connect("c", c, PortSettings.adapter(C));

  @AfterEach
  void close() {
    network.close();
  }

  private static byte[] frame(MacAddress to, MacAddress from, int type, int length) {
    var b = ByteBuffer.allocate(Frame.HEADER + length);
    b.putShort((short) (to.bits() >>> 32)).putInt((int) to.bits());
    b.putShort((short) (from.bits() >>> 32)).putInt((int) from.bits());
    b.putShort((short) type);
    return b.array();
  }

  private static byte[] plain(MacAddress to, MacAddress from) {
    return frame(to, from, 0x88b5, 50);
  }

  private static byte[] ipv4(
      MacAddress to,
      MacAddress from,
      String source,
      String destination,
      int protocol,
      int fragment,
      byte[] transport) {
    var octets = frame(to, from, 0x0800, 20 + transport.length);
    var b = ByteBuffer.wrap(octets);
    b.position(Frame.HEADER);
    b.putShort((short) 0x4500).putShort((short) (20 + transport.length)).putShort((short) 1);
    b.putShort((short) fragment).put((byte) 64).put((byte) protocol).putShort((short) 0);
    b.put(dev.partita.network.IpAddress.parse(source).octets());
    b.put(dev.partita.network.IpAddress.parse(destination).octets()).put(transport);
    b.putShort(Frame.HEADER + 10, (short) Checksums.of(b, Frame.HEADER, 20));
    return octets;
  }

  private static byte[] ports(int source, int destination) {
    return ByteBuffer.allocate(24)
        .putShort((short) source)
        .putShort((short) destination)
        .put(12, (byte) 0x50)
        .array();
  }

  private static Outcome send(SwitchPort port, byte[] octets) {
    var outcome = port.send(Frame.of(octets));
    port.endBatch();
    return outcome;
  }

  private static long drops(SwitchPort port, DropReason reason) {
    return port.counters().snapshot().drops().getOrDefault(reason, 0L);
  }

  @Test
  void aFrameGoesToItsStationAlone() {
    send(portA, plain(B, A));

    assertThat(b.frames).hasSize(1);
    assertThat(c.frames).isEmpty();
    assertThat(b.batches).isEqualTo(1);
    assertThat(c.batches).isZero();
    assertThat(portA.counters().snapshot().framesOut()).isEqualTo(1);
    assertThat(portB.counters().snapshot().octetsIn()).isEqualTo(64);
  }

  @Test
  void broadcastGoesToAllButTheSender() {
    send(portA, plain(MacAddress.BROADCAST, A));

    assertThat(a.frames).isEmpty();
    assertThat(b.frames).hasSize(1);
    assertThat(c.frames).hasSize(1);
    assertThat(portB.counters().snapshot().groupIn()).isEqualTo(1);
  }

  @Test
  void aStrangersFramesAreDroppedUnlessSpoofingIsAllowed() {
    send(portA, plain(B, STRANGER));
    assertThat(b.frames).isEmpty();
    assertThat(drops(portA, DropReason.SPOOFED_SOURCE)).isEqualTo(1);

    portA.configure(portA.settings().withMacSpoofing(true));
    send(portA, plain(B, STRANGER));
    assertThat(b.frames).hasSize(1);

    // Its station was learned.
    send(portB, plain(STRANGER, B));
    assertThat(a.frames).hasSize(1);
    assertThat(c.frames).isEmpty();
  }

  @Test
  void aGroupAsSourceIsAlwaysDropped() {
    portA.configure(portA.settings().withMacSpoofing(true));
    send(portA, plain(B, MacAddress.BROADCAST));
    assertThat(b.frames).isEmpty();
  }

  @Test
  void nobodyCanTakeAnAdaptersAddressOver() {
    portC.configure(portC.settings().withMacSpoofing(true));
    send(portC, plain(B, A));

    send(portB, plain(A, B));
    assertThat(a.frames).hasSize(1);
    assertThat(c.frames).isEmpty();
  }

  @Test
  void unknownStationsAreLookedForOnlyWhereSomeMayBe() {
    var outside = new Station();
    network.connect("out", outside, PortSettings.stations(PortRole.UPLINK));
    send(portA, plain(STRANGER, A));
    assertThat(outside.frames).hasSize(1);
    assertThat(b.frames).isEmpty();
    assertThat(c.frames).isEmpty();
  }

  @Test
  void learnedStationsAgeAndAreBounded() {
    var outside = new Station();
    var uplink = network.connect("out", outside, PortSettings.stations(PortRole.UPLINK));
    for (int i = 0; i < 3 * MacTable.MOST_BY_PORT; i++) {
      send(uplink, plain(A, new MacAddress(0x020000000000L + i)));
    }
    assertThat(network.stationCount()).isEqualTo(MacTable.MOST_BY_PORT);

    time.advance(MacTable.AGEING + SECOND);
    send(uplink, plain(A, STRANGER));
    assertThat(network.stationCount()).isEqualTo(1);
  }

  @Test
  void aPortWithoutItsLinkSendsAndGetsNothing() {
    portB.setUp(false);
    assertThat(b.linkChanges).isEqualTo(1);
    send(portA, plain(MacAddress.BROADCAST, A));
    send(portB, plain(A, B));
    assertThat(b.frames).isEmpty();
    assertThat(a.frames).isEmpty();
    portB.setUp(true);
    send(portA, plain(B, A));
    assertThat(b.frames).hasSize(1);
  }

  @Test
  void accessPortsSeeTheirVlanWithoutTags() {
    portA.configure(portA.settings().withVlan(new VlanMode.Access(5)));
    portB.configure(portB.settings().withVlan(new VlanMode.Access(5)));
    send(portA, plain(MacAddress.BROADCAST, A));
    assertThat(b.frames).hasSize(1);
    assertThat(b.tags).containsExactly(Frame.NO_TAG);
    assertThat(c.frames).isEmpty();

    // Not even if the station is known.
    send(portA, plain(C, A));
    assertThat(c.frames).isEmpty();

    // A tag of its own does not help out of the VLAN, not the same one either.
    portA.send(Frame.of(plain(MacAddress.BROADCAST, A)).tag(6));
    portA.send(Frame.of(plain(MacAddress.BROADCAST, A)).tag(5));
    assertThat(drops(portA, DropReason.WRONG_VLAN)).isEqualTo(2);
  }

  @Test
  void trunkPortsSeeTagsOfTheirVlansAndTheNativeOneWithout() {
    portA.configure(portA.settings().withVlan(new VlanMode.Access(5)));
    portB.configure(portB.settings().withVlan(new VlanMode.Trunk(7, List.of(5, 6))));
    portC.configure(portC.settings().withVlan(new VlanMode.Access(7)));
    portA.send(Frame.of(plain(B, A)));
    assertThat(b.tags).containsExactly(5);

    send(portB, plain(C, B));
    assertThat(c.frames).hasSize(1);

    // A tag within the octets counts as well, and its priority stays.
    var tagged = ByteBuffer.allocate(68);
    tagged.put(plain(A, B), 0, 12).putInt(0x8100_6005).put(new byte[52]);
    send(portB, tagged.array());
    assertThat(a.frames).hasSize(1);
    assertThat(a.tags).containsExactly(Frame.NO_TAG);
    assertThat(a.frames.getFirst()).hasSize(64);

    portB.send(Frame.of(plain(A, B)).tag(9));
    assertThat(drops(portB, DropReason.WRONG_VLAN)).isEqualTo(1);
  }

  @Test
  void aSecondTagCannotHopIntoAnotherVlan() {
    portA.configure(portA.settings().withVlan(new VlanMode.Access(5)));
    portB.configure(portB.settings().withVlan(new VlanMode.Access(5)));
    var doubled = ByteBuffer.allocate(72);
    doubled.put(plain(B, A), 0, 12).putInt(0x8100_0000).putInt(0x8100_0007).put(new byte[52]);
    send(portA, doubled.array());
    assertThat(b.frames).isEmpty();
  }

  @Test
  void theDhcpGuardDropsServersAnswers() {
    portA.configure(portA.settings().withGuards(true, false));
    send(portA, ipv4(B, A, "10.0.0.1", "10.0.0.2", 17, 0, ports(67, 68)));
    // Its first fragment too, which always has the ports.
    send(portA, ipv4(B, A, "10.0.0.1", "10.0.0.2", 17, 0x2000, ports(67, 68)));
    assertThat(b.frames).isEmpty();
    assertThat(drops(portA, DropReason.DHCP_GUARD)).isEqualTo(2);

    // A client's questions pass.
    send(portA, ipv4(B, A, "0.0.0.0", "255.255.255.255", 17, 0, ports(68, 67)));
    assertThat(b.frames).hasSize(1);
  }

  private static byte[] ipv6(int nextHeader, byte[] payload) {
    var octets = frame(B, A, 0x86dd, 40 + payload.length);
    var b = ByteBuffer.wrap(octets);
    b.position(Frame.HEADER);
    b.putInt(0x6000_0000).putShort((short) payload.length).put((byte) nextHeader);
    b.put((byte) 255).put(new byte[32]).put(payload);
    return octets;
  }

  @Test
  void theRouterGuardFindsAdvertisementsBehindExtensionHeaders() {
    portA.configure(portA.settings().withGuards(false, true));
    var advertisement = new byte[16];
    advertisement[0] = (byte) 134;
    send(portA, ipv6(58, advertisement));
    var behind = new byte[24];
    behind[0] = 58;
    behind[8] = (byte) 134;
    send(portA, ipv6(60, behind));
    // A first fragment that hides what it is.
    var hidden = new byte[8];
    hidden[0] = 58;
    hidden[3] = 1;
    send(portA, ipv6(44, hidden));
    assertThat(b.frames).isEmpty();
    assertThat(drops(portA, DropReason.ROUTER_GUARD)).isEqualTo(3);

    var solicitation = new byte[16];
    solicitation[0] = (byte) 133;
    send(portA, ipv6(58, solicitation));
    assertThat(b.frames).hasSize(1);
  }

  @Test
  void aBandwidthLimitMakesTheSenderWait() {
    portA.configure(portA.settings().withLimits(8_000_000, 0));
    var octets = frame(B, A, 0x88b5, 1486);
    int passed = 0;
    for (long until = time.nanoTime() + 10 * SECOND; time.nanoTime() < until; ) {
      if (send(portA, octets) == Outcome.TAKEN) {
        passed++;
      } else {
        int before = a.resumed;
        while (a.resumed == before) {
          time.advance(100_000);
        }
      }
    }
    // A million octets a second, and the burst at the beginning.
    assertThat(passed * 1500L).isBetween(10_000_000L, 10_400_000L);
    assertThat(drops(portA, DropReason.LIMIT)).isZero();
  }

  @Test
  void aLimitTowardAPortRefusesAndResumesTheSender() {
    portB.configure(portB.settings().withLimits(0, 8_000_000));
    var octets = frame(B, A, 0x88b5, 1486);
    int passed = 0;
    while (send(portA, octets) == Outcome.TAKEN) {
      passed++;
    }
    assertThat(passed).isPositive();
    time.advance(SECOND);
    assertThat(a.resumed).isEqualTo(1);
    assertThat(send(portA, octets)).isEqualTo(Outcome.TAKEN);
  }

  @Test
  void aReceiverWithoutRoomIsWaitedForByItsSenderOnly() {
    b.full = true;
    assertThat(send(portA, plain(B, A))).isEqualTo(Outcome.REFUSED);
    assertThat(send(portA, plain(C, A))).isEqualTo(Outcome.TAKEN);
    // To all: who has no room has lost it.
    assertThat(send(portC, plain(MacAddress.BROADCAST, C))).isEqualTo(Outcome.TAKEN);
    assertThat(drops(portB, DropReason.NO_ROOM)).isEqualTo(1);

    // From one who would not wait: it is lost, and counted.
    long waited = portB.counters().snapshot().refused();
    assertThat(portC.sendOrDrop(Frame.of(plain(B, C)))).isEqualTo(Outcome.TAKEN);
    assertThat(drops(portB, DropReason.NO_ROOM)).isEqualTo(2);
    assertThat(portB.counters().snapshot().refused()).isEqualTo(waited);

    b.full = false;
    portB.ready();
    assertThat(a.resumed).isEqualTo(1);
    assertThat(c.resumed).isZero();
    assertThat(send(portA, plain(B, A))).isEqualTo(Outcome.TAKEN);
  }

  @Test
  void mirroringCopiesBothDirectionsOfASource() {
    portA.configure(portA.settings().withMirroring(PortSettings.Mirroring.SOURCE));
    portC.configure(portC.settings().withMirroring(PortSettings.Mirroring.DESTINATION));
    send(portA, plain(B, A));
    send(portB, plain(A, B));
    assertThat(c.frames).hasSize(2);
    send(portA, plain(MacAddress.BROADCAST, A));
    assertThat(c.frames).hasSize(3);
  }

  @Test
  void rulesOfTheLargestWeightDecide() {
    portA.configure(
        portA
            .settings()
            .withRules(
                List.of(
                    AccessRule.of(AccessRule.Action.DENY, AccessRule.Direction.OUTBOUND, 1),
                    AccessRule.of(AccessRule.Action.ALLOW, AccessRule.Direction.OUTBOUND, 10)
                        .withProtocol(6)
                        .withRemoteAddress(IpPrefix.parse("10.0.0.0/8"))
                        .withPorts(AccessRule.PortRange.ANY, new AccessRule.PortRange(80, 80)))));
    send(portA, ipv4(B, A, "10.0.0.1", "10.0.0.2", 6, 0, ports(1000, 80)));
    assertThat(b.frames).hasSize(1);
    send(portA, ipv4(B, A, "10.0.0.1", "10.0.0.2", 6, 0, ports(1000, 81)));
    send(portA, ipv4(B, A, "10.0.0.1", "11.0.0.2", 6, 0, ports(1000, 80)));
    send(portA, ipv4(B, A, "10.0.0.1", "10.0.0.2", 17, 0, ports(1000, 80)));
    send(portA, plain(B, A));
    assertThat(b.frames).hasSize(1);
    assertThat(drops(portA, DropReason.DENIED)).isEqualTo(4);
    send(portA, arp("10.0.0.1", "11.0.0.2"));
    assertThat(b.frames).as("who may speak to one station must find it").hasSize(2);
  }

  private static byte[] arp(String from, String to) {
    var frame = java.nio.ByteBuffer.allocate(42);
    frame.put(plain(MacAddress.BROADCAST, A), 0, 12).putShort((short) 0x0806);
    frame.putShort((short) 1).putShort((short) 0x0800).put((byte) 6).put((byte) 4);
    frame.putShort((short) 1).put(plain(B, A), 6, 6).putInt(IpAddress.parse(from).v4Bits());
    return frame.position(38).putInt(IpAddress.parse(to).v4Bits()).array();
  }

  @Test
  void aStatefulRuleLetsAnswersInUntilItIsIdle() {
    portA.configure(
        portA
            .settings()
            .withRules(
                List.of(
                    AccessRule.of(AccessRule.Action.DENY, AccessRule.Direction.INBOUND, 1),
                    AccessRule.of(AccessRule.Action.ALLOW, AccessRule.Direction.OUTBOUND, 1)
                        .withProtocol(6)
                        .withState(60))));
    var answer = ipv4(A, B, "10.0.0.2", "10.0.0.1", 6, 0, ports(80, 1000));
    send(portB, answer);
    assertThat(a.frames).isEmpty();

    send(portA, ipv4(B, A, "10.0.0.1", "10.0.0.2", 6, 0, ports(1000, 80)));
    send(portB, answer);
    assertThat(a.frames).hasSize(1);
    send(portB, ipv4(A, B, "10.0.0.2", "10.0.0.1", 6, 0, ports(80, 1001)));
    assertThat(a.frames).hasSize(1);

    time.advance(50 * SECOND);
    send(portB, answer);
    time.advance(50 * SECOND);
    send(portB, answer);
    assertThat(a.frames).hasSize(3);
    time.advance(61 * SECOND);
    send(portB, answer);
    assertThat(a.frames).hasSize(3);
  }

  @Test
  void largeSegmentsAreCutForWhoCannotTakeThem() {
    var payload = new byte[5000];
    for (int i = 0; i < payload.length; i++) {
      payload[i] = (byte) (i * 31);
    }
    var tcp = ByteBuffer.allocate(20 + payload.length);
    tcp.putShort((short) 1000).putShort((short) 80).putInt(0xffff_ff00).putInt(7);
    tcp.putShort((short) 0x5019).putShort((short) 500).putInt(0).put(payload);
    var octets = ipv4(B, A, "10.0.0.1", "10.0.0.2", 6, 0, tcp.array());
    // As a NIC's driver leaves them.
    ByteBuffer.wrap(octets).putShort(16, (short) 0).putShort(24, (short) 0);
    portA.send(Frame.of(octets).segmentSize(1448).partial(34, 16));

    assertThat(b.frames).hasSize(4);
    var joined = new byte[0];
    int sequence = 0xffff_ff00;
    for (int i = 0; i < 4; i++) {
      var headers = Headers.of(Frame.of(b.frames.get(i)));
      assertThat(headers.headerChecksumRight()).isTrue();
      assertThat(headers.transportChecksumRight()).isTrue();
      var wire = ByteBuffer.wrap(b.frames.get(i));
      assertThat(wire.getInt(38)).isEqualTo(sequence);
      assertThat(wire.get(47) & 0xff).isEqualTo(i == 3 ? 0x19 : 0x10);
      var part = Arrays.copyOfRange(b.frames.get(i), 54, headers.packetEnd());
      sequence += part.length;
      int before = joined.length;
      joined = Arrays.copyOf(joined, before + part.length);
      System.arraycopy(part, 0, joined, before, part.length);
    }
    assertThat(joined).isEqualTo(payload);

    c.offloads = Offloads.ALL;
    var toC = ipv4(C, A, "10.0.0.1", "10.0.0.2", 6, 0, tcp.array());
    portA.send(Frame.of(toC).segmentSize(1448).partial(34, 16));
    assertThat(c.frames).hasSize(1);
    assertThat(c.segmentSizes).containsExactly(1448);
  }

  @Test
  void whatIsLargerThanTheReceiversMtuIsDropped() {
    send(portA, frame(B, A, 0x88b5, 1501));
    assertThat(b.frames).isEmpty();
    assertThat(drops(portB, DropReason.TOO_LONG)).isEqualTo(1);
    b.offloads = Offloads.NONE.withMtu(9000);
    send(portA, frame(B, A, 0x88b5, 9000));
    assertThat(b.frames).hasSize(1);
  }

  @Test
  void eachKindOfSwitchHasItsPorts() {
    try (var internal = new VirtualSwitch("i", SwitchKind.INTERNAL, time);
        var closed = new VirtualSwitch("p", SwitchKind.PRIVATE, time)) {
      assertThatThrownBy(() -> internal.connect("u", a, PortSettings.stations(PortRole.UPLINK)))
          .hasMessageContaining("UPLINK");
      assertThatThrownBy(() -> closed.connect("h", a, PortSettings.host(A)))
          .hasMessageContaining("HOST");
      internal.connect("h", a, PortSettings.host(A));
    }
  }

  @Test
  void namesAndAddressesAreUnique() {
    assertThatThrownBy(() -> network.connect("a", b, PortSettings.adapter(STRANGER)))
        .hasMessageContaining("'a'");
    assertThatThrownBy(() -> network.connect("d", b, PortSettings.adapter(A)))
        .hasMessageContaining(A.toString());
    assertThatThrownBy(() -> portB.configure(portB.settings().withMac(A)))
        .hasMessageContaining("'a'");
    portA.close();
    network.connect("a", b, PortSettings.adapter(A));
  }

  @Test
  void aRestoredSwitchGoesOnInTheMiddle() {
    var rules =
        List.of(
            AccessRule.of(AccessRule.Action.DENY, AccessRule.Direction.INBOUND, 1),
            AccessRule.of(AccessRule.Action.ALLOW, AccessRule.Direction.OUTBOUND, 1).withState(60));
    portA.configure(portA.settings().withRules(rules));
    var uplink = network.connect("out", new Station(), PortSettings.stations(PortRole.UPLINK));
    send(uplink, plain(B, STRANGER));
    send(portA, ipv4(B, A, "10.0.0.1", "10.0.0.2", 6, 0, ports(1000, 80)));
    portC.setUp(false);
    var state = network.save();

    var laterTime = new ManualTimeSource(0);
    laterTime.advance(1234 * SECOND);
    try (var other = new VirtualSwitch("test", SwitchKind.EXTERNAL, laterTime)) {
      var a2 = new Station();
      var b2 = new Station();
      var out2 = new Station();
      other.connect("a", a2, PortSettings.adapter(A));
      var portB2 = other.connect("b", b2, PortSettings.adapter(B));
      other.connect("c", new Station(), PortSettings.adapter(C));
      other.connect("out", out2, PortSettings.stations(PortRole.UPLINK));
      other.restore(state);
      assertThat(other.save().ports()).isEqualTo(state.ports());

      send(portB2, ipv4(A, B, "10.0.0.2", "10.0.0.1", 6, 0, ports(80, 1000)));
      assertThat(a2.frames).hasSize(1);
      send(portB2, ipv4(A, B, "10.0.0.2", "10.0.0.1", 6, 0, ports(81, 1000)));
      assertThat(a2.frames).hasSize(1);
      assertThat(other.stationCount()).isEqualTo(1);
      laterTime.advance(61 * SECOND);
      send(portB2, ipv4(A, B, "10.0.0.2", "10.0.0.1", 6, 0, ports(80, 1000)));
      assertThat(a2.frames).hasSize(1);
    }
  }

  @Test
  void anOperatorSeesPortsAndWhatWasDropped() {
    portA.configure(portA.settings().withVlan(new VlanMode.Access(5)).withLimits(8_000_000, 0));
    send(portA, plain(B, STRANGER));
    var info = SwitchInfo.of(network);
    assertThat(SwitchInfo.list(List.of(info))).element(1).asString().matches("test +external +3");
    assertThat(info.show())
        .contains(
            "test: external switch, 3 ports, 0 learned stations",
            "  a: adapter 00:15:5d:00:00:0a, link up, VLAN access 5, out 8.0 Mbit/s",
            "    dropped: 1 spoofed source");
  }
}
