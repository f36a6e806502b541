package dev.partita.network.link;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.network.MacAddress;
import dev.partita.network.nat.NatGateway;
import dev.partita.network.nat.NatSettings;
import dev.partita.network.nat.Publication;
import dev.partita.network.vswitch.PortSettings;
import dev.partita.network.vswitch.SwitchKind;
import dev.partita.network.vswitch.SwitchPort;
import dev.partita.network.vswitch.VirtualSwitch;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// The host's own Linux kernel as the guest: a network namespace at the other end of a TAP
/// device, so that the NAT talks with a TCP, a DHCP client and programs that it has never seen.
/// Needs root and iproute2; skipped elsewhere.
@Timeout(value = 40, unit = TimeUnit.SECONDS)
class KernelGuestTest {
  private static final String MAC = "00:15:5d:00:00:01";

  @TempDir Path folder;
  private final String namespace = "partita-test-" + ProcessHandle.current().pid();
  private final SystemTimeSource time = new SystemTimeSource();
  private final VirtualSwitch network = new VirtualSwitch("nat", SwitchKind.INTERNAL, time);
  private int published;
  private NatGateway gateway;
  private TapDevice tap;
  private SwitchPort guest;

  @BeforeEach
  void begin() throws Exception {
    assumeTrue("root".equals(System.getProperty("user.name")), "needs root");
    assumeTrue(Files.exists(Path.of("/dev/net/tun")), "needs /dev/net/tun");
    assumeTrue(try0("ip", "netns", "add", namespace), "needs network namespaces");
    try (var socket = new ServerSocket(0)) {
      published = socket.getLocalPort();
    }
    var settings =
        NatSettings.standard()
            .withHostAllowed(true)
            .withPublications(List.of(new Publication(null, published, 7777, false, null)));
    gateway = new NatGateway(settings, time);
    tap = TapDevice.open("ptest%d", null, 1500);
    guest = network.connect("guest", tap, PortSettings.adapter(MacAddress.parse(MAC)));
    gateway.attach(network.connect("nat", gateway, PortSettings.host(settings.mac())));
    tap.attach(guest);
    run("ip", "link", "set", tap.name(), "netns", namespace);
    run("ip", "-n", namespace, "link", "set", tap.name(), "name", "eth0", "address", MAC);
    run("ip", "-n", namespace, "link", "set", "lo", "up");
    run("ip", "-n", namespace, "link", "set", "eth0", "up");
  }

  @AfterEach
  void end() throws Exception {
    if (gateway != null) {
      gateway.close();
    }
    if (tap != null) {
      tap.close();
    }
    network.close();
    time.close();
    try0("ip", "netns", "del", namespace);
  }

  private static boolean try0(String... command) throws InterruptedException {
    try {
      var process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getInputStream().readAllBytes();
      return process.waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  private static String run(String... command) throws Exception {
    var process = new ProcessBuilder(command).redirectErrorStream(true).start();
    var text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as("%s: %s", String.join(" ", command), text).isZero();
    return text;
  }

  private Process inGuest(String script) throws IOException {
    return new ProcessBuilder("ip", "netns", "exec", namespace, "bash", "-c", script)
        .redirectErrorStream(true)
        .start();
  }

  private String guest(String script) throws Exception {
    return run("ip", "netns", "exec", namespace, "bash", "-c", script);
  }

  private void addresses() throws Exception {
    guest(
        "ip addr add 172.29.192.20/24 dev eth0; ip route add default via 172.29.192.1;"
            + " for i in $(seq 100); do"
            + " ip -6 addr show dev eth0 | grep fd5e: | grep -qv tentative && exit 0;"
            + " sleep 0.1; done; exit 1");
  }

  private static String digest(byte[] octets) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(octets));
  }

  private static byte[] octets(int length) {
    var octets = new byte[length];
    new SplittableRandom(length).nextBytes(octets);
    return octets;
  }

  @Test
  void aRealDhcpClientGetsItsAddressAndRenewsIt() throws Exception {
    assumeTrue(try0("sh", "-c", "command -v udhcpc"), "needs udhcpc");
    var script = folder.resolve("bound.sh");
    Files.writeString(
        script,
        """
        #!/bin/sh
        case $1 in bound|renew)
          ip addr replace $ip/$mask dev $interface
          ip route replace default via $router
          echo $1 $ip/$mask $router $dns $mtu $lease;;
        esac
        """);
    script.toFile().setExecutable(true);
    var text = guest("udhcpc -n -q -f -i eth0 -s " + script);
    assertThat(text).contains("bound 172.29.192.10/24 172.29.192.1 172.29.192.1 1500 86400");
    assertThat(gateway.guestAddress()).isEqualTo(InetAddress.ofLiteral("172.29.192.10"));
    assertThat(guest("ping -c 1 -W 5 172.29.192.1 || busybox ping -c 1 172.29.192.1"))
        .contains(" 0% packet loss");
  }

  @Test
  void theKernelMakesItsOwnIpv6Address() throws Exception {
    guest(
        "for i in $(seq 100); do ip -6 addr show dev eth0 | grep -q fd5e:8e5a:c6a1 && exit 0;"
            + " sleep 0.1; done; exit 1");
  }

  @Test
  void whatTheGuestSendsArrivesWholeAndItsEndToo() throws Exception {
    addresses();
    for (var far : List.of("172.29.192.1", "fd5e:8e5a:c6a1::1")) {
      var sent = octets(20_000_000);
      var file = Files.write(folder.resolve("up"), sent);
      try (var server = server(1, loopback(far))) {
        // The answer comes after the end of what was sent: a half-closed connection.
        var client =
            inGuest(
                "exec 3<>/dev/tcp/%s/%d; cat %s >&3; exec 4<&3 3>&-; cat <&4"
                    .formatted(far, server.getLocalPort(), file));
        try (var socket = server.accept()) {
          assertThat(digest(socket.getInputStream().readNBytes(sent.length)))
              .isEqualTo(digest(sent));
          socket.getOutputStream().write("thanks".getBytes(StandardCharsets.UTF_8));
        }
        assertThat(new String(client.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
            .isEqualTo("thanks");
      }
    }
    nothingIsLeft();
  }

  /// Accepting cannot be interrupted: it ends by itself when no guest comes.
  private static ServerSocket server(int backlog, InetAddress address) throws IOException {
    var server = new ServerSocket(0, backlog, address);
    server.setSoTimeout(15_000);
    return server;
  }

  private static InetAddress loopback(String far) {
    return InetAddress.ofLiteral(far.indexOf(':') < 0 ? "127.0.0.1" : "::1");
  }

  @Test
  void whatTheGuestReadsSlowlyArrivesWhole() throws Exception {
    addresses();
    var sent = octets(30_000_000);
    try (var server = server(1, loopback(""))) {
      var client =
          inGuest(
              "exec 3<>/dev/tcp/172.29.192.1/%d; for i in 1 2 3 4; do sleep 0.3; head -c 1000000"
                      .formatted(server.getLocalPort())
                  + " <&3; done | sha256sum; sleep 0.5; sha256sum <&3");
      try (var socket = server.accept()) {
        socket.getOutputStream().write(sent);
        socket.shutdownOutput();
        var text = new String(client.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(text).contains(digest(java.util.Arrays.copyOf(sent, 4_000_000)));
        assertThat(text)
            .contains(digest(java.util.Arrays.copyOfRange(sent, 4_000_000, sent.length)));
      }
    }
    nothingIsLeft();
  }

  @Test
  void aPublishedPortLeadsToAServerInTheGuest() throws Exception {
    assumeTrue(try0("sh", "-c", "command -v socat"), "needs socat");
    addresses();
    guest("ping -c 1 172.29.192.1 >/dev/null");
    var server = inGuest("exec socat TCP-LISTEN:7777,reuseaddr,fork EXEC:cat");
    try {
      guest("while ! grep -q ':1E61 ' /proc/net/tcp; do sleep 0.05; done");
      for (int i = 0; i < 20; i++) {
        try (var socket = new Socket("127.0.0.1", published)) {
          var sent = octets(100_000 + i);
          var writer = Thread.ofVirtual().start(() -> write(socket, sent));
          assertThat(socket.getInputStream().readNBytes(sent.length)).isEqualTo(sent);
          writer.join();
          socket.shutdownOutput();
          assertThat(socket.getInputStream().read()).isEqualTo(-1);
        }
      }
    } finally {
      server.destroy();
    }
    nothingIsLeft();
  }

  private static void write(Socket socket, byte[] octets) {
    try {
      socket.getOutputStream().write(octets);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void resetsGoThroughBothWays() throws Exception {
    addresses();
    try (var server = server(1, loopback(""))) {
      var client =
          inGuest(
              "exec 3<>/dev/tcp/172.29.192.1/%d; echo x >&3; cat <&3; echo end $?"
                  .formatted(server.getLocalPort()));
      try (var socket = server.accept()) {
        socket.getInputStream().read();
        socket.setSoLinger(true, 0);
      }
      assertThat(new String(client.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
          .contains("reset by peer")
          .contains("end 1");
    }
    assertThat(
            new String(
                inGuest("exec 3<>/dev/tcp/172.29.192.1/1").getInputStream().readAllBytes(),
                StandardCharsets.UTF_8))
        .contains("Connection refused");
    nothingIsLeft();
  }

  @Test
  void thousandsOfConnectionsComeAndGo() throws Exception {
    addresses();
    try (var server = server(512, loopback(""))) {
      var acceptor =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      while (true) {
                        var socket = server.accept();
                        Thread.ofVirtual().start(() -> echo(socket));
                      }
                    } catch (IOException e) {
                      // The test is over.
                    }
                  });
      var text =
          guest(
              ("for r in 1 2 3 4 5 6 7 8; do for i in $(seq 250); do"
                      + " exec {f}<>/dev/tcp/172.29.192.1/%d; fds[i]=$f; done;"
                      + " for i in $(seq 250); do echo $r.$i >&${fds[i]}; done;"
                      + " for i in $(seq 250); do read -u ${fds[i]} x; [ $x = $r.$i ] || echo wrong;"
                      + " f=${fds[i]}; exec {f}>&-; done; done; echo all")
                  .formatted(server.getLocalPort()));
      assertThat(text.strip()).isEqualTo("all");
      server.close();
      acceptor.join();
    }
    assertThat(gateway.usage().opened()).isEqualTo(2000);
    nothingIsLeft();
  }

  private static void echo(Socket socket) {
    try (socket;
        InputStream in = socket.getInputStream();
        OutputStream out = socket.getOutputStream()) {
      in.transferTo(out);
    } catch (IOException e) {
      // The other side has what it wanted.
    }
  }

  @Test
  void datagramsGoBothWaysAndLargeOnesInFragments() throws Exception {
    addresses();
    try (var socket = new java.net.DatagramSocket(new InetSocketAddress("127.0.0.1", 0))) {
      var sent = octets(20_000);
      var file = Files.write(folder.resolve("datagram"), sent);
      var client =
          inGuest(
              "exec 3<>/dev/udp/172.29.192.1/%d; dd if=%s bs=20000 count=1 status=none >&3;"
                      .formatted(socket.getLocalPort(), file)
                  + " dd bs=20000 count=1 status=none <&3 | sha256sum");
      var packet = new java.net.DatagramPacket(new byte[30_000], 30_000);
      socket.receive(packet);
      assertThat(java.util.Arrays.copyOf(packet.getData(), packet.getLength())).isEqualTo(sent);
      socket.send(packet);
      assertThat(new String(client.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
          .contains(digest(sent));
    }
  }

  /// Gives way, and ends with the test's time.
  private void pause() {
    if (Thread.interrupted()) {
      throw new AssertionError("still in use: " + gateway.usage() + gateway.save());
    }
    Thread.onSpinWait();
  }

  /// Connections in TIME_WAIT may remain; nothing else.
  private void nothingIsLeft() {
    while (gateway.save().connections().stream().anyMatch(c -> !c.state().equals("TIME_WAIT"))) {
      pause();
    }
    // Two listening sockets and, beside UDP, nothing.
    while (gateway.usage().sockets() - gateway.usage().datagramFlows() > 2) {
      pause();
    }
    while (gateway.usage().memory() > 0) {
      pause();
    }
    assertThat(tap.lost()).isLessThan(1000);
  }
}
