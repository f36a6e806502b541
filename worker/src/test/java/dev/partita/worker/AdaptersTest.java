package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.PartitionException;
import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.network.nat.Publication;
import dev.partita.network.vswitch.PortRole;
import dev.partita.network.vswitch.SwitchInfo;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class AdaptersTest {
  @TempDir Path folder;

  private Adapters adapters(String identity, String... networks) {
    var adapters = new Adapters(identity, folder.resolve("s"), 2, SystemTimeSource::new);
    adapters.open(
        new NetworkSettings(
            List.of(networks).stream().map(AdapterSettings::parse).toList(), List.of()));
    return adapters;
  }

  private static List<String> ports(Adapters adapters) {
    return adapters.switchList().stream()
        .flatMap(one -> one.ports().stream().map(port -> one.name() + "/" + port.name()))
        .sorted()
        .toList();
  }

  @Test
  void addressesFollowFromThePartition() {
    try (var one = adapters("a", "nat", "private:lan");
        var other = adapters("b", "nat")) {
      var macs = one.list().stream().map(Adapters.Info::mac).toList();
      assertThat(macs).doesNotHaveDuplicates();
      assertThat(macs).allSatisfy(mac -> assertThat(mac.toString()).startsWith("00:15:5d:"));
      assertThat(other.list().getFirst().mac()).isNotIn(macs);
      try (var again = adapters("a", "nat")) {
        assertThat(again.list().getFirst().mac()).isEqualTo(macs.getFirst());
      }
    }
  }

  @Test
  void nicsComeAndGoAndSwitchesWithThem() {
    try (var adapters = adapters("a", "nat")) {
      assertThat(ports(adapters)).containsExactly("Default Switch/nat", "Default Switch/nic0");
      assertThat(adapters.add(AdapterSettings.parse("private:lan,vlan=7"))).isEqualTo(1);
      assertThat(adapters.add(AdapterSettings.parse("private:lan"))).isEqualTo(2);
      assertThat(ports(adapters)).contains("lan/nic1", "lan/nic2");
      adapters.remove(1);
      assertThat(ports(adapters)).contains("lan/nic2").doesNotContain("lan/nic1");
      adapters.move(2, new Attachment.Nat(false, null));
      assertThat(ports(adapters))
          .containsExactly("Default Switch/nat", "Default Switch/nic0", "Default Switch/nic2");
      adapters.remove(0);
      adapters.remove(2);
      assertThat(adapters.switchList()).isEmpty();
      assertThatThrownBy(() -> adapters.remove(2)).isInstanceOf(PartitionException.class);
    }
  }

  @Test
  void aNicIsChangedInPlace() {
    try (var adapters = adapters("a", "private:lan")) {
      adapters.change(
          0, List.of("vlan=9", "link=down", "mac=00:15:5d:01:02:03", "dhcp-guard", "limit=1M"));
      var port = adapters.switchList().getFirst().ports().getFirst();
      assertThat(port.vlan()).isEqualTo("access 9");
      assertThat(port.up()).isFalse();
      assertThat(port.mac()).isEqualTo("00:15:5d:01:02:03");
      assertThat(port.features()).contains("DHCP guard", "out 1.0 Mbit/s");
      assertThatThrownBy(() -> adapters.change(0, List.of("colour=red")))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("colour=red");
      assertThat(adapters.list().getFirst().settings().toString()).contains("vlan=9");
    }
  }

  @Test
  void whatCannotBeIsRefused() {
    try (var adapters = adapters("a", "nat,mac=00:15:5d:01:02:03", "private:lan")) {
      assertThatThrownBy(
              () -> adapters.add(AdapterSettings.parse("private:x,mac=00:15:5d:01:02:03")))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("NIC 0 has the address");
      assertThatThrownBy(() -> adapters.add(AdapterSettings.parse("nat,allow-host")))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("NAT already");
      assertThatThrownBy(() -> adapters.add(AdapterSettings.parse("internal:lan")))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("both kinds");
      assertThatThrownBy(() -> adapters.add(AdapterSettings.parse("link:" + folder + "/no/s")))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("/no/s");
      for (int i = 2; i < Adapters.MOST; i++) {
        adapters.add(AdapterSettings.parse("private:lan"));
      }
      assertThatThrownBy(() -> adapters.add(AdapterSettings.standard()))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("8 NICs");
    }
  }

  @Test
  void aTakenPortOfTheHostIsNamed() throws Exception {
    try (var taken = new ServerSocket()) {
      taken.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      var port = taken.getLocalPort() + ":22";
      try (var adapters = new Adapters("a", folder, 1, SystemTimeSource::new)) {
        assertThatThrownBy(
                () ->
                    adapters.open(
                        new NetworkSettings(
                            List.of(AdapterSettings.standard()), List.of(Publication.parse(port)))))
            .isInstanceOf(PartitionException.class)
            .hasMessageContaining("cannot publish " + port);
      }
    }
  }

  @Test
  void publishedPortsCloseWithTheLastCardOnTheNatAndOpenWithTheNext() throws Exception {
    int port;
    try (var free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    try (var adapters = new Adapters("a", folder, 1, SystemTimeSource::new)) {
      adapters.open(
          new NetworkSettings(
              List.of(AdapterSettings.standard()), List.of(Publication.parse(port + ":22"))));
      assertThat(isTaken(port)).isTrue();
      adapters.move(0, AdapterSettings.parse("private:lan").attachment());
      assertThat(isTaken(port)).isFalse();
      adapters.move(0, AdapterSettings.standard().attachment());
      assertThat(isTaken(port)).isTrue();
    }
    assertThat(isTaken(port)).isFalse();
  }

  private static boolean isTaken(int port) throws IOException {
    try (var socket = new ServerSocket()) {
      socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      return false;
    } catch (BindException e) {
      return true;
    }
  }

  @Test
  void partitionsMeetAtASharedSwitchAndItOutlivesItsFirst() throws Exception {
    try (var second = new Adapters("b", folder.resolve("s"), 1, SystemTimeSource::new);
        var third = new Adapters("c", folder.resolve("s"), 1, SystemTimeSource::new)) {
      var lan = new NetworkSettings(List.of(AdapterSettings.parse("private:lan")), List.of());
      try (var first = adapters("a", "private:lan")) {
        second.open(lan);
        third.open(lan);
        await(() -> links(first) == 2);
        assertThat(links(second)).isEqualTo(1);
        assertThat(links(third)).isEqualTo(1);
      }
      await(() -> links(second) == 1 && links(third) == 1);
      second.close();
      await(() -> links(third) == 0);
      try (var fourth = adapters("d", "private:lan")) {
        await(() -> links(third) == 1 && links(fourth) == 1);
      }
    }
  }

  @Test
  void whoComesFirstToALinksSocketWaitsForTheOthers() throws Exception {
    var link = "link:" + folder.resolve("l.sock");
    try (var first = adapters("a", link)) {
      assertThat(links(first)).isZero();
      try (var second = adapters("b", link)) {
        assertThat(links(second)).isEqualTo(1);
        await(() -> links(first) == 1);
      }
      await(() -> links(first) == 0);
    }
    assertThat(folder.resolve("l.sock")).doesNotExist();
  }

  @Test
  void aFileThatIsNoSocketStaysAsItIs() throws Exception {
    var file = Files.writeString(folder.resolve("thesis.txt"), "years of work");
    try (var adapters = adapters("a", "private:lan")) {
      assertThatThrownBy(() -> adapters.add(AdapterSettings.parse("link:" + file)))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("is no socket");
    }
    assertThat(file).hasContent("years of work");
  }

  @Test
  void aSharedSwitchHasOneKind() {
    try (var first = adapters("a", "internal:lan")) {
      assertThat(ports(first)).containsExactly("lan/nat", "lan/nic0");
      try (var second = new Adapters("b", folder.resolve("s"), 1, SystemTimeSource::new)) {
        assertThatThrownBy(
                () ->
                    second.open(
                        new NetworkSettings(
                            List.of(AdapterSettings.parse("private:lan")), List.of())))
            .isInstanceOf(PartitionException.class)
            .hasMessageContaining("internal:lan");
      }
    }
  }

  private static long links(Adapters adapters) {
    return adapters.switchList().stream()
        .flatMap(one -> one.ports().stream())
        .filter(port -> port.role() == PortRole.LINK)
        .count();
  }

  private interface Condition {
    boolean holds();
  }

  private static void await(Condition condition) throws InterruptedException {
    while (!condition.holds()) {
      Thread.onSpinWait();
      Thread.yield();
    }
  }

  @Test
  void switchesCrossTheControlSocketAsTheyAre() {
    try (var adapters =
        adapters("a", "nat", "private:lan,vlan=7+8,spoofing,limit=1M,link=down,mirror=source")) {
      List<SwitchInfo> switches = adapters.switchList();
      assertThat(SwitchWords.decode(SwitchWords.encode(switches).lines().toList()))
          .isEqualTo(switches);
    }
  }

  @Test
  void captureIsAPcapngStreamOfTheNamedPort() throws Exception {
    try (var adapters = adapters("a", "nat", "private:lan")) {
      var out = new ByteArrayOutputStream();
      adapters.capture(out, List.of("lan/nic1"), 128).close();
      var octets = ByteBuffer.wrap(out.toByteArray()).order(ByteOrder.LITTLE_ENDIAN);
      // Section header block and byte-order magic (draft-ietf-opsawg-pcapng, 4.1).
      assertThat(octets.getInt(0)).isEqualTo(0x0A0D0D0A);
      assertThat(octets.getInt(8)).isEqualTo(0x1A2B3C4D);
      assertThatThrownBy(() -> adapters.capture(out, List.of("nic7"), 128))
          .isInstanceOf(PartitionException.class)
          .hasMessageContaining("nic7")
          .hasMessageContaining("lan/nic1");
    }
  }
}
