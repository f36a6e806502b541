package dev.partita.synthetic.network;

import static dev.partita.synthetic.network.TestFrames.GUEST;
import static dev.partita.synthetic.network.TestFrames.OTHER;
import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.network.Frame;
import dev.partita.network.MacAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SyntheticNicTest {
  private final TestPort port = new TestPort();
  private final SyntheticNic nic = nic(4);
  private final TestDriver driver = new TestDriver(nic, 400);

  private static SyntheticNic nic(int queues) {
    return new SyntheticNic(NicSettings.of(new UUID(1, 2), GUEST, queues));
  }

  SyntheticNicTest() {
    nic.connect(port);
  }

  @AfterEach
  void close() {
    driver.close();
  }

  // --- negotiation ---

  @Test
  void everyVersionIsAgreedOn() {
    for (int version :
        new int[] {
          NvspLayout.VERSION_1,
          NvspLayout.VERSION_2,
          NvspLayout.VERSION_4,
          NvspLayout.VERSION_5,
          NvspLayout.VERSION_6,
          NvspLayout.VERSION_6_1
        }) {
      try (var other = new TestDriver(nic(1), 400)) {
        other.begin(version, 1514, 0x88);
        other.setFilter(Adapter.DIRECTED);
        assertThat(other.deliver(TestFrames.plain(GUEST, 100))).isTrue();
        other.nic.endBatch();
        assertThat(other.frames(0)).hasSize(1);
      }
    }
  }

  @Test
  void unknownVersionsAreRefusedAndTheNextIsTried() {
    var answer = driver.exchange(NvspLayout.INIT, 0x7_0000, 0x7_0000);
    assertThat(answer.getInt(0)).isEqualTo(NvspLayout.INIT_COMPLETE);
    assertThat(answer.getInt(12)).isEqualTo(NvspLayout.PROTOCOL_TOO_NEW);
    assertThat(driver.exchange(NvspLayout.INIT, 1, 1).getInt(12))
        .isEqualTo(NvspLayout.PROTOCOL_TOO_OLD);
    answer = driver.exchange(NvspLayout.INIT, NvspLayout.VERSION_1, 0x7_0000);
    assertThat(answer.getInt(12)).isEqualTo(NvspLayout.SUCCESS);
    assertThat(answer.getInt(4)).isEqualTo(NvspLayout.VERSION_6_1);
    assertThat(driver.exchange(NvspLayout.INIT, 2, 2).getInt(12))
        .as("once is enough")
        .isEqualTo(NvspLayout.FAIL);
  }

  @Test
  void sectionsTakeTheLargestFrameThatTheDriverNames() {
    driver.begin(NvspLayout.VERSION_6_1, 9014, 0x88);
    assertThat(driver.sectionSize).isGreaterThan(9014 + 112 + 36);
    assertThat(driver.sectionSize * driver.sections).isLessThanOrEqualTo(400 * 4096);
    assertThat(driver.query(ObjectId.MAXIMUM_FRAME_SIZE).getInt(0)).isEqualTo(9000);
    assertThat(nic.offloads().mtu()).isEqualTo(9000);
    driver.setFilter(Adapter.DIRECTED);
    var frame = TestFrames.udp4(GUEST, OTHER, 99, 8972);
    assertThat(driver.deliver(frame)).isTrue();
    nic.endBatch();
    assertThat(driver.frames(0).getFirst().octets()).isEqualTo(frame);
  }

  @Test
  void theVirtualFunctionsDataPathIsAnsweredByAnEmptyCompletion() {
    driver.begin();
    assertThat(driver.exchange(NvspLayout.SWITCH_DATA_PATH, 1).remaining()).isZero();
    assertThat(driver.exchange(NvspLayout.OID_QUERY_EX, 0x10_0180, 0x10106).getInt(0))
        .isEqualTo(NvspLayout.OID_QUERY_EX_COMPLETE);
    assertThat(driver.exchange(109, 0, 0).remaining()).isZero();
  }

  @Test
  void buffersThatAreNoneAreRefused() {
    driver.exchange(NvspLayout.INIT, NvspLayout.VERSION_6_1, NvspLayout.VERSION_6_1);
    assertThat(driver.exchange(NvspLayout.SEND_RECEIVE_BUFFER, 99, 1).getInt(4))
        .isEqualTo(NvspLayout.FAIL);
    assertThat(driver.exchange(NvspLayout.SEND_SEND_BUFFER, 99, 1).getInt(4))
        .isEqualTo(NvspLayout.FAIL);
    driver.giveBuffers();
    assertThat(
            driver.exchange(NvspLayout.SEND_RECEIVE_BUFFER, TestDriver.RECEIVE_GPADL, 1).getInt(4))
        .as("a second one")
        .isEqualTo(NvspLayout.FAIL);
  }

  @Test
  void aRevokedBufferIsNotTouchedAnyMore() {
    driver.begin();
    driver.deliver(TestFrames.plain(GUEST, 60));
    driver.tell(NvspLayout.REVOKE_RECEIVE_BUFFER, TestDriver.RECEIVE_ID);
    driver.tell(NvspLayout.REVOKE_SEND_BUFFER, 0);
    assertThat(driver.deliver(TestFrames.plain(GUEST, 60))).isTrue();
    nic.endBatch();
    assertThat(driver.line().received).isEmpty();
    assertThat(nic.statistics().receiveDropped()).isEqualTo(1);
    assertThat(driver.sendBySection(0, 0, TestDriver.message(TestFrames.plain(OTHER, 60)), 104))
        .isEqualTo(NvspLayout.INVALID_RNDIS_PACKET);
    driver.giveBuffers();
    driver.deliver(TestFrames.plain(GUEST, 60));
    nic.endBatch();
    assertThat(driver.frames(0)).hasSize(1);
  }

  @Test
  void theMemoryOfABufferIsLetGo() {
    driver.begin();
    driver.channel().gpadlRemoved(TestDriver.RECEIVE_GPADL);
    assertThat(driver.deliver(TestFrames.plain(GUEST, 60))).isTrue();
    nic.endBatch();
    assertThat(driver.line().received).isEmpty();
  }

  // --- configuration ---

  @Test
  void everyObjectOnTheListIsAnswered() {
    driver.begin();
    var list = driver.query(ObjectId.SUPPORTED_LIST);
    assertThat(list.remaining() / 4).isGreaterThan(50);
    while (list.hasRemaining()) {
      int oid = list.getInt();
      if (oid != ObjectId.CONFIG_PARAMETER
          && oid != ObjectId.OFFLOAD_PARAMETERS
          && oid != ObjectId.LINK_PARAMETERS
          && oid != ObjectId.RECEIVE_SCALE_PARAMETERS) {
        assertThat(driver.ask(oid)).as("%08x", oid).isNotNull();
      }
    }
    assertThat(driver.ask(0x0001_0999)).isNull();
  }

  @Test
  void aDriverOfNdis5HearsOnlyOfItsOwnObjects() {
    driver.exchange(NvspLayout.INIT, NvspLayout.VERSION_1, NvspLayout.VERSION_1);
    driver.tell(NvspLayout.SEND_NDIS_VERSION, 5, 1);
    driver.giveBuffers();
    driver.request(RndisLayout.INITIALIZE, 1, 0, 0x4000);
    var list = driver.query(ObjectId.SUPPORTED_LIST);
    while (list.hasRemaining()) {
      assertThat(list.getInt())
          .isNotIn(ObjectId.LINK_STATE, ObjectId.STATISTICS, ObjectId.RECEIVE_SCALE_CAPABILITIES);
    }
  }

  @Test
  void theGuestSeesAddressSpeedAndLink() {
    driver.begin();
    assertThat(driver.query(ObjectId.PERMANENT_ADDRESS).array()).endsWith(0, 0x15, 0x5D, 0, 0, 1);
    assertThat(driver.query(ObjectId.LINK_SPEED).getInt(0)).isEqualTo(100_000_000);
    assertThat(driver.query(ObjectId.MEDIA_CONNECT_STATUS).getInt(0)).isZero();
    assertThat(driver.query(ObjectId.RECEIVE_SCALE_CAPABILITIES).getInt(12)).isEqualTo(4);
    port.up = false;
    assertThat(driver.query(ObjectId.MEDIA_CONNECT_STATUS).getInt(0)).isEqualTo(1);
  }

  @Test
  void offloadsAreDescribedByTheDriversRevision() {
    driver.begin();
    var all = driver.query(ObjectId.OFFLOAD_CAPABILITIES);
    assertThat(all.remaining()).isEqualTo(156);
    assertThat(all.getInt(0)).isEqualTo(156 << 16 | 3 << 8 | 0xA7);
    assertThat(all.getInt(8) & 0x14).as("TCP and options").isEqualTo(0x14);
    assertThat(all.getInt(24) & 0x15).as("with extension headers").isEqualTo(0x15);
    assertThat(all.getInt(80)).as("LSO v2, IPv4").isEqualTo(2);
    assertThat(all.getInt(84)).isEqualTo(0xF53C);
    assertThat(all.getInt(92)).as("LSO v2, IPv6").isEqualTo(2);
    assertThat(all.getInt(104) & 5).isEqualTo(5);
    assertThat(all.getShort(144)).as("joining").isEqualTo((short) 0x0101);
  }

  @Test
  void theDriverIsToldWhatItsOffloadsAreNow() {
    driver.begin();
    var parameters = new byte[28];
    parameters[4] = 1;
    parameters[5] = 1;
    parameters[11] = 1;
    assertThat(driver.set(ObjectId.OFFLOAD_PARAMETERS, parameters)).isZero();
    var told = driver.takeControl();
    assertThat(told.getInt(0)).isEqualTo(RndisLayout.INDICATE_STATUS);
    assertThat(told.getInt(8)).isEqualTo(RndisLayout.CURRENT_OFFLOADS);
    var current = driver.query(ObjectId.OFFLOAD_CURRENT_CONFIG);
    assertThat(current.getInt(8)).as("UDP alone").isEqualTo(0x40);
    assertThat(current.getInt(80)).isZero();
    assertThat(current.getInt(92)).isEqualTo(2);
  }

  @Test
  void theGuestMayChangeItsAddress() {
    driver.begin();
    assertThat(driver.set(ObjectId.CONFIG_PARAMETER, parameter("NetworkAddress", "0A0000000102")))
        .isZero();
    assertThat(nic.address()).isEqualTo(MacAddress.parse("0a:00:00:00:01:02"));
    driver.deliver(TestFrames.plain(GUEST, 60));
    driver.deliver(TestFrames.plain(MacAddress.parse("0a:00:00:00:01:02"), 60));
    nic.endBatch();
    assertThat(driver.frames(0)).hasSize(1);
    assertThat(driver.set(ObjectId.CONFIG_PARAMETER, parameter("NetworkAddress", "FF0000000102")))
        .isEqualTo(RndisLayout.INVALID_DATA);
    assertThat(driver.set(ObjectId.CONFIG_PARAMETER, parameter("NetworkAddress", "what")))
        .isEqualTo(RndisLayout.INVALID_DATA);
    assertThat(driver.query(ObjectId.PERMANENT_ADDRESS).array()).endsWith(0, 0x15, 0x5D, 0, 0, 1);
  }

  @Test
  void theGuestMayNotChangeItsAddressIfItMayNot() {
    var fixed = NicSettings.of(new UUID(1, 2), GUEST, 1).withMacChanges(false);
    try (var other = new TestDriver(new SyntheticNic(fixed), 400)) {
      other.begin();
      var wanted = parameter("NetworkAddress", "0A0000000102");
      assertThat(other.set(ObjectId.CONFIG_PARAMETER, wanted)).isEqualTo(RndisLayout.NOT_SUPPORTED);
      assertThat(other.nic.address()).isEqualTo(GUEST);
    }
  }

  private static byte[] parameter(String name, String value) {
    var nameBytes = name.getBytes(StandardCharsets.UTF_16LE);
    var bytes = value.getBytes(StandardCharsets.UTF_16LE);
    return ByteBuffer.allocate(20 + nameBytes.length + bytes.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(20)
        .putInt(nameBytes.length)
        .putInt(2)
        .putInt(20 + nameBytes.length)
        .putInt(bytes.length)
        .put(nameBytes)
        .put(bytes)
        .array();
  }

  @Test
  void keepaliveAndResetAreAnswered() {
    driver.begin();
    assertThat(driver.request(RndisLayout.KEEPALIVE).getInt(0))
        .isEqualTo(RndisLayout.KEEPALIVE | RndisLayout.COMPLETE);
    var reset = driver.request(RndisLayout.RESET);
    assertThat(reset.getInt(0)).isEqualTo(RndisLayout.RESET | RndisLayout.COMPLETE);
    assertThat(reset.getInt(8)).isZero();
    assertThat(driver.query(ObjectId.CURRENT_PACKET_FILTER).getInt(0)).isZero();
    driver.control(RndisLayout.HALT);
    assertThat(driver.line().received).isEmpty();
  }

  @Test
  void theFilterDecidesWhatTheGuestGets() {
    driver.begin(NvspLayout.VERSION_6_1, 1514, 0x88);
    var group = MacAddress.parse("01:00:5e:00:00:01");
    var otherGroup = MacAddress.parse("01:00:5e:00:00:02");
    driver.set(ObjectId.MULTICAST_LIST, new byte[] {1, 0, 0x5E, 0, 0, 1});
    record Case(int filter, int count) {}
    for (var each :
        new Case[] {
          new Case(0, 0),
          new Case(Adapter.DIRECTED, 1),
          new Case(Adapter.BROADCAST, 1),
          new Case(Adapter.MULTICAST, 1),
          new Case(Adapter.ALL_MULTICAST, 2),
          new Case(Adapter.DIRECTED | Adapter.BROADCAST | Adapter.ALL_MULTICAST, 4),
          new Case(Adapter.PROMISCUOUS, 5)
        }) {
      driver.setFilter(each.filter);
      for (var to : new MacAddress[] {GUEST, OTHER, MacAddress.BROADCAST, group, otherGroup}) {
        assertThat(driver.deliver(TestFrames.plain(to, 60))).isTrue();
      }
      nic.endBatch();
      assertThat(driver.frames(0)).as("filter %x", each.filter).hasSize(each.count);
    }
  }

  // --- sending ---

  @Test
  void framesGoOutAsTheyAre() {
    driver.begin();
    var frame = TestFrames.udp4(OTHER, GUEST, 7, 900);
    assertThat(driver.send(0, TestDriver.message(frame))).isEqualTo(NvspLayout.SUCCESS);
    assertThat(port.sent.getFirst().octets()).isEqualTo(frame);
    assertThat(port.sent.getFirst().tag()).isEqualTo(Frame.NO_TAG);
    assertThat(port.batches).isEqualTo(1);
  }

  @Test
  void aBatchEndsAndIsCompletedWhenTheRingIsRead() {
    driver.begin();
    var message = TestDriver.message(TestFrames.plain(OTHER, 100));
    for (int i = 0; i < 5; i++) {
      driver.push(0, message);
    }
    assertThat(port.sent).hasSize(5);
    assertThat(port.batches).isZero();
    assertThat(driver.line().received).isEmpty();
    driver.runTasks();
    assertThat(port.batches).isEqualTo(1);
    assertThat(driver.line().received).hasSize(5);
  }

  @Test
  void messagesMayLieInTheSendBufferAndInPages() {
    driver.begin();
    var frame = TestFrames.udp4(OTHER, GUEST, 7, 1000);
    var message = TestDriver.message(frame);
    assertThat(driver.sendBySection(0, 3, message, message.length)).isEqualTo(1);
    assertThat(driver.sendBySection(0, 5, message, 44)).isEqualTo(1);
    // Several, each padded to eight octets.
    var padded = Arrays.copyOf(message, message.length + 7 & ~7);
    ByteBuffer.wrap(padded).order(ByteOrder.LITTLE_ENDIAN).putInt(4, padded.length);
    var three = ByteBuffer.allocate(padded.length * 2 + message.length);
    three.put(padded).put(padded).put(message);
    assertThat(driver.sendBySection(0, 7, three.array(), three.capacity())).isEqualTo(1);
    assertThat(driver.sendBySection(0, 9, three.array(), padded.length * 2 + 44)).isEqualTo(1);
    assertThat(port.sent).hasSize(8).allSatisfy(s -> assertThat(s.octets()).isEqualTo(frame));
    assertThat(nic.statistics().sent().frames()).isEqualTo(8);
    assertThat(nic.statistics().sent().octets()).isEqualTo(8L * frame.length);
  }

  @Test
  void checksumsAreCompleted() {
    driver.begin();
    var right = TestFrames.tcp4(OTHER, GUEST, 7, 1001);
    var frame = right.clone();
    frame[24] = frame[25] = 0;
    frame[34 + 16] = 0x55;
    int info = 1 | RndisLayout.SEND_TCP | RndisLayout.SEND_IP_HEADER | 34 << 16;
    assertThat(driver.send(0, TestDriver.message(frame, RndisLayout.CHECKSUM_INFO, info)))
        .isEqualTo(1);
    assertThat(port.sent.getFirst().checksum()).isEqualTo(Frame.Checksum.PARTIAL);
    assertThat(port.sent.getFirst().octets()).isEqualTo(right);
    right = TestFrames.udp4(OTHER, GUEST, 7, 100);
    frame = right.clone();
    frame[34 + 6] = 0x55;
    info = 1 | RndisLayout.SEND_UDP | 34 << 16;
    driver.send(0, TestDriver.message(frame, RndisLayout.CHECKSUM_INFO, info));
    assertThat(port.sent.getLast().octets()).isEqualTo(right);
    right = TestFrames.tcp6(OTHER, GUEST, 7, 100);
    frame = right.clone();
    frame[54 + 16] = 0x55;
    info = 2 | RndisLayout.SEND_TCP | 54 << 16;
    driver.send(0, TestDriver.message(frame, RndisLayout.CHECKSUM_INFO, info));
    assertThat(port.sent.getLast().octets()).isEqualTo(right);
  }

  @Test
  void paddingIsNotSummedUp() {
    driver.begin();
    var right = TestFrames.udp4(OTHER, GUEST, 7, 3);
    var frame = Arrays.copyOf(right, 60);
    Arrays.fill(frame, right.length, 60, (byte) 0x77);
    int info = 1 | RndisLayout.SEND_UDP | 34 << 16;
    driver.send(0, TestDriver.message(frame, RndisLayout.CHECKSUM_INFO, info));
    assertThat(port.sent.getFirst().octets()).startsWith(right);
  }

  @Test
  void largeSegmentsGoOutWhole() {
    driver.begin();
    for (var right :
        new byte[][] {
          TestFrames.tcp4(OTHER, GUEST, 7, 60_000), TestFrames.tcp6(OTHER, GUEST, 7, 60_000)
        }) {
      var frame = right.clone();
      int transport = frame[12] == 8 ? 34 : 54;
      // As Linux has it: lengths zero, and no checksum of the header.
      int lengths = transport == 34 ? 16 : 18;
      frame[lengths] = frame[lengths + 1] = 0;
      if (transport == 34) {
        frame[24] = frame[25] = 0;
      }
      int info = 1448 | transport << 20 | 1 << 30 | (transport == 34 ? 0 : 1 << 31);
      assertThat(driver.send(0, TestDriver.message(frame, RndisLayout.LARGE_SEND_INFO, info)))
          .isEqualTo(NvspLayout.SUCCESS);
      assertThat(port.sent.getLast().segmentSize()).isEqualTo(1448);
      assertThat(port.sent.getLast().octets()).isEqualTo(right);
    }
  }

  @Test
  void aSegmentsSizeIsBounded() {
    driver.begin();
    var frame = TestFrames.tcp4(OTHER, GUEST, 7, 60_000);
    assertThat(driver.send(0, TestDriver.message(frame, RndisLayout.LARGE_SEND_INFO, 1)))
        .isEqualTo(NvspLayout.INVALID_RNDIS_PACKET);
    assertThat(port.sent).isEmpty();
  }

  @Test
  void tagsGoBesideTheFrame() {
    driver.begin();
    var frame = TestFrames.plain(OTHER, 100);
    // Priority 5, VLAN 291.
    driver.send(0, TestDriver.message(frame, RndisLayout.TAG_INFO, 5 | 291 << 4));
    assertThat(port.sent.getFirst().tag()).isEqualTo(5 << 13 | 291);
    assertThat(nic.deliver(Frame.of(TestFrames.plain(GUEST, 60)).tag(0xF123))).isTrue();
    nic.endBatch();
    assertThat(driver.frames(0).getFirst().infos())
        .containsEntry(RndisLayout.TAG_INFO, 7 | 8 | 0x123 << 4);
  }

  @Test
  void whoKnowsNothingOfTagsFindsThemInTheFrame() {
    driver.begin(NvspLayout.VERSION_1, 1514, 0);
    driver.setFilter(Adapter.DIRECTED);
    var octets = TestFrames.plain(GUEST, 60);
    var frame = new Frame().set(ByteBuffer.allocate(64).put(4, octets), 4, 60).tag(0x0123);
    assertThat(nic.deliver(frame)).isTrue();
    assertThat(frame.tag()).isEqualTo(0x0123);
    nic.endBatch();
    var taken = driver.frames(0).getFirst();
    assertThat(taken.infos()).doesNotContainKey(RndisLayout.TAG_INFO);
    assertThat(taken.octets()).hasSize(64).startsWith(Arrays.copyOf(octets, 12));
    assertThat(Arrays.copyOfRange(taken.octets(), 12, 16)).containsExactly(0x81, 0, 1, 0x23);
  }

  @Test
  void framesThatNobodyTakesAreLost() {
    driver.begin();
    port.refuses = true;
    var message = TestDriver.message(TestFrames.plain(OTHER, 60));
    assertThat(driver.send(0, message)).isEqualTo(NvspLayout.SUCCESS);
    nic.disconnect();
    assertThat(driver.send(0, message)).isEqualTo(NvspLayout.SUCCESS);
    assertThat(nic.statistics().sendDropped()).isEqualTo(2);
  }

  @Test
  void framesWaitForBandwidthInTheirOrder() {
    driver.begin();
    port.bandwidth = 1;
    var one = TestDriver.message(TestFrames.plain(OTHER, 104));
    var two = ByteBuffer.allocate(one.length * 2).put(one).put(one).array();
    assertThat(driver.sendBySection(0, 0, two, two.length)).as("no completion yet").isZero();
    var later = TestDriver.message(TestFrames.plain(OTHER, 68));
    assertThat(driver.sendBySection(0, 1, later, later.length)).isZero();
    assertThat(port.sent).hasSize(1);
    port.bandwidth = 1;
    nic.resume();
    driver.runTasks();
    assertThat(port.sent).hasSize(2);
    assertThat(driver.line().received).hasSize(1);
    port.bandwidth = 9;
    nic.resume();
    driver.runTasks();
    assertThat(port.sent.stream().map(s -> s.octets().length)).containsExactly(104, 104, 68);
    assertThat(driver.line().received).hasSize(2);
    assertThat(nic.statistics().sendThrottled()).isEqualTo(2);
  }

  @Test
  void notMoreThanSomeWaitForBandwidth() {
    driver.begin();
    port.bandwidth = 0;
    var message = TestDriver.message(TestFrames.plain(OTHER, 104));
    for (int i = 0; i < 2 * NicChannel.MOST_HELD; i++) {
      driver.sendBySection(0, 0, message, message.length);
    }
    assertThat(nic.statistics().sendDropped()).isEqualTo(NicChannel.MOST_HELD);
  }

  @Test
  void whatIsNoMessageIsRefused() {
    driver.begin();
    var good = TestDriver.message(TestFrames.plain(OTHER, 104));
    for (int at : new int[] {0, 4, 8, 12}) {
      for (int value : new int[] {-1, 0x7FFF_FFFF, 0x8000_0000, 2}) {
        var bad = good.clone();
        ByteBuffer.wrap(bad).order(ByteOrder.LITTLE_ENDIAN).putInt(at, value);
        assertThat(driver.send(0, bad)).isEqualTo(NvspLayout.INVALID_RNDIS_PACKET);
      }
    }
    assertThat(driver.send(0, new byte[0])).isEqualTo(NvspLayout.INVALID_RNDIS_PACKET);
    assertThat(driver.sendBySection(0, 174, good, 0)).as("beyond the buffer").isEqualTo(5);
    assertThat(port.sent).isEmpty();
  }

  // --- receiving ---

  @Test
  void aBatchIsOnePacket() {
    driver.begin();
    for (int i = 0; i < 10; i++) {
      driver.deliver(TestFrames.plain(GUEST, 60 + i));
    }
    assertThat(driver.line().received).isEmpty();
    nic.endBatch();
    assertThat(driver.line().received).hasSize(1);
    assertThat(driver.frames(0).stream().map(f -> f.octets().length))
        .containsExactly(60, 61, 62, 63, 64, 65, 66, 67, 68, 69);
  }

  @Test
  void theGuestHearsThatChecksumsAreRight() {
    driver.begin();
    var wrong = TestFrames.tcp4(GUEST, OTHER, 7, 100);
    wrong[100] ^= 1;
    driver.deliver(TestFrames.tcp4(GUEST, OTHER, 7, 100));
    driver.deliver(TestFrames.udp4(GUEST, OTHER, 7, 100));
    driver.deliver(TestFrames.tcp6(GUEST, OTHER, 7, 100));
    driver.deliver(wrong);
    nic.endBatch();
    assertThat(
            driver.frames(0).stream()
                .map(f -> f.infos().getOrDefault(RndisLayout.CHECKSUM_INFO, 0)))
        .containsExactly(
            RndisLayout.RECEIVE_IP_SUCCEEDED | RndisLayout.RECEIVE_TCP_SUCCEEDED,
            RndisLayout.RECEIVE_IP_SUCCEEDED | RndisLayout.RECEIVE_UDP_SUCCEEDED,
            RndisLayout.RECEIVE_TCP_SUCCEEDED,
            RndisLayout.RECEIVE_IP_SUCCEEDED | RndisLayout.RECEIVE_TCP_FAILED);
  }

  @Test
  void joinedSegmentsComeInFragmentsIfTheDriverTakesThem() {
    driver.begin();
    assertThat(nic.offloads().largestSegment()).isZero();
    var parameters = new byte[28];
    parameters[22] = parameters[23] = 2;
    driver.set(ObjectId.OFFLOAD_PARAMETERS, parameters);
    driver.takeControl();
    assertThat(nic.offloads().largestSegment()).isEqualTo(Frame.MAX_LENGTH);
    var large = TestFrames.tcp4(GUEST, OTHER, 7, 60_000);
    assertThat(driver.deliver(large)).isTrue();
    assertThat(driver.deliver(TestFrames.plain(GUEST, 60))).isTrue();
    nic.endBatch();
    var frames = driver.frames(0);
    assertThat(frames.getFirst().octets()).isEqualTo(large);
    assertThat(frames.get(1).octets()).hasSize(60);
    assertThat(nic.statistics().coalesced()).isEqualTo(1);
    // All 65549 octets that a frame can have.
    var largest = Arrays.copyOf(large, Frame.MAX_LENGTH);
    assertThat(driver.deliver(largest)).isTrue();
    nic.endBatch();
    assertThat(driver.frames(0).getFirst().octets()).isEqualTo(largest);
  }

  @Test
  void withoutSectionsFramesAreRefusedUntilThereAreSome() {
    driver.begin();
    int taken = 0;
    while (driver.deliver(TestFrames.plain(GUEST, 60))) {
      taken++;
    }
    assertThat(taken).as("one is left to control messages").isEqualTo(driver.sections - 1);
    assertThat(port.ready).isZero();
    nic.endBatch();
    var first = driver.line().received.remove();
    driver.giveBack(0, first.id());
    assertThat(port.ready).isEqualTo(1);
    assertThat(driver.deliver(TestFrames.plain(GUEST, 60))).isTrue();
    driver.giveBack(0, first.id());
    driver.giveBack(0, -1);
    driver.giveBack(0, 1L << 40);
    assertThat(port.ready).as("what is given back twice counts once").isEqualTo(1);
    driver.line().received.clear();
    assertThat(driver.query(ObjectId.LINK_SPEED).remaining()).isEqualTo(4);
  }

  @Test
  void withoutRoomInTheRingAFewFramesWaitThere() {
    driver.begin();
    driver.line().room = 0;
    int taken = 0;
    while (driver.deliver(TestFrames.plain(GUEST, 60))) {
      nic.endBatch();
      taken++;
    }
    assertThat(taken).isEqualTo(Receiver.MOST_RANGES);
    driver.line().room = 100;
    driver.channel().roomAvailable();
    assertThat(port.ready).isEqualTo(1);
    assertThat(driver.frames(0)).hasSize(taken);
  }

  @Test
  void completionsWaitForRoomInTheRing() {
    driver.begin();
    driver.line().room = 0;
    var message = TestDriver.message(TestFrames.plain(OTHER, 104));
    assertThat(driver.send(0, message)).isZero();
    assertThat(driver.send(0, message)).isZero();
    driver.line().room = 1;
    driver.channel().roomAvailable();
    assertThat(driver.line().received).hasSize(1);
    driver.line().room = 9;
    driver.channel().roomAvailable();
    assertThat(driver.line().received).hasSize(2);
    assertThat(port.sent).hasSize(2);
  }

  @Test
  void withoutADriverFramesAreLost() {
    assertThat(driver.deliver(TestFrames.plain(GUEST, 60))).isTrue();
    driver.begin();
    driver.channel().closed();
    assertThat(driver.deliver(TestFrames.plain(GUEST, 60))).isTrue();
    assertThat(nic.statistics().received().frames()).isZero();
  }

  // --- link ---

  @Test
  void theGuestHearsOfItsLink() {
    driver.begin();
    port.up = false;
    nic.linkChanged(false);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_DISCONNECT);
    port.up = true;
    nic.linkChanged(true);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_CONNECT);
    assertThat(driver.line().received).isEmpty();
    nic.linkChanged(false);
    nic.linkChanged(true);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8))
        .as("it was down for a moment")
        .isEqualTo(RndisLayout.NETWORK_CHANGE);
  }

  @Test
  void theGuestHearsThatItIsInAnotherNetwork() {
    driver.begin();
    nic.connect(new TestPort());
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.NETWORK_CHANGE);
    nic.disconnect();
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_DISCONNECT);
    nic.connect(port);
    driver.runTasks();
    assertThat(driver.takeControl().getInt(8)).isEqualTo(RndisLayout.MEDIA_CONNECT);
    assertThat(driver.line().received).isEmpty();
  }

  // --- queues ---

  private void openQueues(int count) {
    driver.begin();
    var answer = driver.exchange(NvspLayout.SUB_CHANNEL, 1, count - 1);
    assertThat(answer.getInt(4)).isEqualTo(NvspLayout.SUCCESS);
    assertThat(answer.getInt(8)).isEqualTo(count - 1);
    assertThat(driver.line().subChannels).containsExactly(count - 1);
    for (int i = 1; i < count; i++) {
      driver.open(i);
    }
  }

  @Test
  void theGuestIsToldHowToSpreadWhatItSends() {
    openQueues(3);
    var last = driver.line().received.removeLast();
    assertThat(last.payload().getInt(0)).isEqualTo(NvspLayout.SEND_INDIRECTION_TABLE);
    assertThat(last.payload().getInt(4)).isEqualTo(16);
    int offset = last.payload().getInt(8);
    for (int i = 0; i < 16; i++) {
      assertThat(last.payload().getInt(offset + 4 * i)).isEqualTo(i % 3);
    }
    driver.line().received.clear();
    var message = TestDriver.message(TestFrames.plain(OTHER, 104));
    assertThat(driver.send(2, message)).isEqualTo(NvspLayout.SUCCESS);
    assertThat(nic.statistics().queues().get(2).sentFrames()).isEqualTo(1);
  }

  @Test
  void notMoreChannelsThanThereMayBe() {
    driver.begin();
    assertThat(driver.exchange(NvspLayout.SUB_CHANNEL, 1, 1000).getInt(8)).isEqualTo(3);
    assertThat(driver.exchange(NvspLayout.SUB_CHANNEL, 2, 1).getInt(4)).isEqualTo(NvspLayout.FAIL);
  }

  static byte[] scaling(int flags, byte[] key, int... table) {
    var value =
        ByteBuffer.allocate(40 + table.length * 4 + 40)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(40 << 16 | 2 << 8 | 0x89)
            .putShort((short) flags)
            .putShort((short) 0)
            .putInt(0x1701)
            .putInt(table.length * 4)
            .putInt(40)
            .putInt(40)
            .putInt(40 + table.length * 4)
            .position(40);
    for (int each : table) {
      value.putInt(each);
    }
    return value.put(key).array();
  }

  @Test
  void flowsAreSpreadOverQueues() {
    openQueues(4);
    driver.line().received.clear();
    var table = new int[128];
    Arrays.setAll(table, i -> i % 4);
    var key = ReceiveScalingTest.KEY;
    assertThat(driver.set(ObjectId.RECEIVE_SCALE_PARAMETERS, scaling(0, key, table))).isZero();
    for (int i = 0; i < 60; i++) {
      driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000 + i, 10));
    }
    nic.endBatch();
    int total = 0;
    var scaling = new ReceiveScaling(0x1701, key, new byte[] {0, 1, 2, 3});
    for (int queue = 0; queue < 4; queue++) {
      var frames = driver.frames(queue);
      assertThat(frames).isNotEmpty();
      for (var frame : frames) {
        int hash = scaling.hash(dev.partita.network.Headers.of(Frame.of(frame.octets())));
        assertThat(frame.infos()).containsEntry(RndisLayout.HASH_INFO, hash);
        assertThat(hash & 3).isEqualTo(queue);
      }
      total += frames.size();
    }
    assertThat(total).isEqualTo(60);
    table[77] = 4;
    assertThat(driver.set(ObjectId.RECEIVE_SCALE_PARAMETERS, scaling(0, key, table)))
        .as("a queue that there is not")
        .isEqualTo(RndisLayout.INVALID_DATA);
  }

  @Test
  void aQueueThatIsNotOpenLeavesItsFlowsToTheFirst() {
    openQueues(2);
    driver.line().received.clear();
    driver.set(ObjectId.RECEIVE_SCALE_PARAMETERS, scaling(0, ReceiveScalingTest.KEY, 3, 3, 3, 3));
    driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000, 10));
    nic.endBatch();
    assertThat(driver.frames(0)).hasSize(1);
  }

  @Test
  void sectionsOfAClosedQueueAreFreeAgain() {
    openQueues(2);
    driver.line().received.clear();
    driver.set(ObjectId.RECEIVE_SCALE_PARAMETERS, scaling(0, ReceiveScalingTest.KEY, 1, 1, 1, 1));
    while (driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000, 10))) {
      // until there are no sections left
    }
    driver.channel(1).closed();
    assertThat(port.ready).isEqualTo(1);
    int taken = 0;
    while (driver.deliver(TestFrames.tcp4(GUEST, OTHER, 1000, 10))) {
      taken++;
    }
    assertThat(taken).isEqualTo(driver.sections - 1);
  }
}
