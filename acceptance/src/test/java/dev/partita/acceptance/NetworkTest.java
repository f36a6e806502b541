package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// The network under the distribution's own driver, by the commands that a person uses.
@Timeout(600)
class NetworkTest {
  /// A boot takes some seconds on an idle machine; a loaded one gets time.
  private static final int BOOT_SECONDS = 240;

  private static final int SECONDS = 90;

  /// What Linux says when it does not like its NIC or its bus.
  private static final String NOTHING_WRONG =
      "dmesg | grep -ciE '(hv_netvsc|hv_vmbus|eth[0-9]).*(fail|error|unable|unhandled|unexpected|invalid"
          + "|timed? ?out)|BUG:|call trace'";

  @TempDir Path runtime;
  @TempDir Path files;

  private String succeed(String... arguments) throws Exception {
    try (var partita = PartitaProcess.start(runtime, arguments)) {
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
      return partita.out();
    }
  }

  /// Runs commands in the guest until they have printed a line.
  private static void inGuest(PartitaProcess guest, String commands, String line) throws Exception {
    guest.type(commands + "\n");
    guest.expect("\n" + line + "\r\n", SECONDS);
  }

  private PartitaProcess boot(String name, String... arguments) throws Exception {
    var command = new java.util.ArrayList<>(java.util.List.of("run", "debian-initramfs"));
    command.addAll(java.util.List.of("--name", name));
    command.addAll(java.util.List.of(arguments));
    return PartitaProcess.start(runtime, command.toArray(String[]::new));
  }

  private static void powerOff(PartitaProcess guest) throws Exception {
    guest.type("poweroff\n");
    assertThat(guest.exitCode(SECONDS)).as("%s", guest).isZero();
  }

  private static final String HAS_ADDRESS =
      "until ip route | grep -q default; do sleep 1; done;"
          + " gw=$(ip route | awk '/default/ {print $3}'); echo address";

  private static int freePort() throws IOException {
    try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static HttpServer serve(byte[] content) throws IOException {
    var server = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          exchange.sendResponseHeaders(200, content.length);
          try (var out = exchange.getResponseBody()) {
            out.write(content);
          }
        });
    server.start();
    return server;
  }

  @Test
  void aGuestIsOnTheNetworkAndItsPublishedPortIsReached() throws Exception {
    var content = new byte[16 << 20];
    new Random(5).nextBytes(content);
    var digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    var server = serve(content);
    int port = server.getAddress().getPort();
    int published = freePort();
    var captured = files.resolve("c.pcapng");
    try (var guest =
        boot("web", "--cpus", "2", "--network", "nat,allow-host", "--publish", published + ":80")) {
      guest.expect("nothing here lasts", BOOT_SECONDS);
      inGuest(guest, HAS_ADDRESS, "address");
      try (var capture =
          PartitaProcess.start(
              runtime,
              "capture",
              "-p",
              "web",
              "--port",
              "nic0",
              "-w",
              captured.toString(),
              "--time",
              "10s")) {
        inGuest(guest, "wget -q -O - http://$gw:%d/ | sha256sum".formatted(port), digest + "  -");
        inGuest(guest, "ping -c 2 -q $gw | grep -c ' 0% packet loss'", "1");
        inGuest(
            guest,
            "gw6=$(ip -6 route | awk '/fd5e/ {print $1}' | sed 's,/64,1,'); ping -6 -c 2 -q $gw6 |"
                + " grep -c ' 0% packet loss'",
            "1");
        assertThat(capture.exitCode(SECONDS)).as("%s", capture).isZero();
      }
      assertThat(Files.readAllBytes(captured))
          .startsWith(0x0A, 0x0D, 0x0D, 0x0A)
          .hasSizeGreaterThan(1000);

      inGuest(guest, "httpd -h /etc && echo serving", "serving");
      try (var client = HttpClient.newHttpClient()) {
        var answer =
            client.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + published + "/hostname"))
                    .build(),
                HttpResponse.BodyHandlers.ofString());
        assertThat(answer.body()).isEqualTo("partita\n");
      }

      assertThat(succeed("list")).containsPattern("web .* \\d+\\.\\d+\\.\\d+\\.\\d+\n");
      assertThat(succeed("switch", "show", "Default Switch")).contains("nic0: adapter 00:15:5d:");
      succeed("nic", "link", "0", "down");
      inGuest(
          guest,
          "until [ $(cat /sys/class/net/eth0/carrier) = 0 ]; do sleep 1; done; echo off",
          "off");
      succeed("nic", "link", "0", "up");
      inGuest(guest, "until ping -c 1 -W 1 $gw >/dev/null; do sleep 1; done; echo on", "on");
      succeed("nic", "add", "--network", "private:lan,mac=00:15:5d:00:00:42");
      inGuest(
          guest,
          "until [ -e /sys/class/net/eth1 ]; do sleep 1; done; cat /sys/class/net/eth1/address",
          "00:15:5d:00:00:42");
      assertThat(succeed("nic", "list").lines()).hasSize(3);
      succeed("nic", "remove", "1");
      inGuest(guest, "while [ -e /sys/class/net/eth1 ]; do sleep 1; done; echo gone", "gone");
      inGuest(
          guest,
          "killall udhcpc; for i in 1 2 3; do modprobe -r hv_netvsc; network; done;"
              + " ping -c 1 -q $gw | grep -c ' 0% packet loss'",
          "1");
      inGuest(guest, NOTHING_WRONG, "0");
      powerOff(guest);
    } finally {
      server.stop(0);
    }
    PartitaProcess.assertNothingLeft(runtime);
  }

  @Test
  void partitionsOnOneSwitchReachEachOtherButNotTheHostsLoopback() throws Exception {
    var server = serve(new byte[] {'x'});
    try (var one = boot("one", "--network", "private:lan,mtu=9000,mac=00:15:5d:00:00:01");
        var other =
            boot(
                "other",
                "--network",
                "private:lan,mtu=9000,mac=00:15:5d:00:00:02",
                "--network",
                "nat")) {
      one.expect("nothing here lasts", BOOT_SECONDS);
      other.expect("nothing here lasts", BOOT_SECONDS);
      // Which card is eth0 is not the same every time.
      var address =
          "killall -q udhcpc network; modprobe hv_netvsc; until [ -e /sys/class/net/eth%d ]; do"
              + " sleep 1; done; lan=$(grep -l 00:15:5d:00:00:0%d /sys/class/net/*/address | cut -d/"
              + " -f5); ip link set $lan up; ip addr add 10.9.0.%d/24 dev $lan; echo set";
      inGuest(one, address.formatted(0, 1, 1), "set");
      inGuest(other, address.formatted(1, 2, 2), "set");
      inGuest(
          one, "until ping -c 1 -W 1 10.9.0.2 >/dev/null; do sleep 1; done; echo there", "there");
      inGuest(one, "httpd -h /etc && echo serving", "serving");
      inGuest(other, "wget -q -O - http://10.9.0.1/hostname", "partita");
      inGuest(
          other,
          "for c in eth0 eth1; do [ $c = $lan ] || network $c; done; " + HAS_ADDRESS,
          "address");
      // The gateway's address stands for the host's loopback only where that is allowed.
      inGuest(
          other,
          "wget -q -O - http://$gw:%d/ 2>&1 | grep -ci refused"
              .formatted(server.getAddress().getPort()),
          "1");
      try (var list = PartitaProcess.start(runtime, "switch", "list")) {
        assertThat(list.exitCode(SECONDS)).as("%s", list).isZero();
        assertThat(list.out().lines().filter(line -> line.startsWith("lan ")))
            .as("%s", list)
            .hasSize(2);
      }
      largeFramesPass(one, other);
      rulesDecide(other);
      linksJoin(one, other);
      inGuest(one, NOTHING_WRONG, "0");
      inGuest(other, NOTHING_WRONG, "0");
      powerOff(one);
      powerOff(other);
    } finally {
      server.stop(0);
    }
  }

  private static void largeFramesPass(PartitaProcess one, PartitaProcess other) throws Exception {
    inGuest(one, "ip link set $lan mtu 9000 && echo large", "large");
    inGuest(other, "ip link set $lan mtu 9000 && echo large", "large");
    inGuest(
        other,
        "until ping -c 1 -W 1 10.9.0.1 >/dev/null; do sleep 1; done;"
            + " ping -c 2 -q -s 8900 10.9.0.1 | grep -c ' 0% packet loss'",
        "1");
    // The last of the kernel's counters of IP: fragments made.
    inGuest(other, "awk '/^Ip: [0-9]/ {print $20}' /proc/net/snmp", "0");
  }

  private void rulesDecide(PartitaProcess other) throws Exception {
    succeed("nic", "set", "-p", "one", "0", "deny=in+icmp");
    inGuest(other, "ping -c 2 -W 1 -q 10.9.0.1 | grep -c ' 100% packet loss'", "1");
    inGuest(other, "wget -q -O - http://10.9.0.1/hostname", "partita");
    assertThat(succeed("nic", "list", "one")).contains("deny=in+icmp");
    assertThat(succeed("switch", "show", "-p", "one", "lan")).contains("1 rules", " denied");
    succeed("nic", "set", "-p", "one", "0", "rules=none");
    inGuest(other, "ping -c 2 -q 10.9.0.1 | grep -c ' 0% packet loss'", "1");
  }

  /// Over a Unix socket, and over UDP, which partitions on other hosts may be at the end of.
  private void linksJoin(PartitaProcess one, PartitaProcess other) throws Exception {
    int here = freePort();
    int there = freePort();
    var socket = files.resolve("l.sock");
    var links =
        java.util.List.of(
            java.util.List.of("link:" + socket, "link:" + socket),
            java.util.List.of(
                "udp:127.0.0.1:%d:127.0.0.1:%d".formatted(here, there),
                "udp:127.0.0.1:%d:127.0.0.1:%d".formatted(there, here)));
    for (int i = 0; i < links.size(); i++) {
      var guests = java.util.List.of(one, other);
      for (int k = 0; k < 2; k++) {
        var mac = "00:15:5d:00:%02d:%02d".formatted(i + 1, k + 1);
        var name = k == 0 ? "one" : "other";
        succeed("nic", "add", "-p", name, "--network", links.get(i).get(k) + ",mac=" + mac);
        inGuest(
            guests.get(k),
            ("until card=$(grep -l %s /sys/class/net/*/address | cut -d/ -f5) && [ $card ]; do sleep 1;"
                    + " done; ip link set $card up; ip addr add 10.9.%d.%d/24 dev $card; echo set")
                .formatted(mac, i + 1, k + 1),
            "set");
      }
      inGuest(
          one,
          "until ping -c 1 -W 1 10.9.%d.2 >/dev/null; do sleep 1; done; echo there"
              .formatted(i + 1),
          "there");
      inGuest(other, "wget -q -O - http://10.9.%d.1/hostname".formatted(i + 1), "partita");
    }
  }

  @Test
  void whatCannotBeIsRefusedInOneLine() throws Exception {
    try (var partita = PartitaProcess.start(runtime, "run", "debian", "--network", "moon")) {
      assertThat(partita.exitCode(SECONDS)).isEqualTo(2);
      assertThat(partita.err()).contains("'moon' is not nat").hasLineCount(1);
    }
    try (var partita =
        PartitaProcess.start(
            runtime, "run", "debian", "--network", "none", "--publish", "2222:22")) {
      assertThat(partita.exitCode(SECONDS)).isEqualTo(2);
      assertThat(partita.err()).contains("--network nat").hasLineCount(1);
    }
    try (var taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        var partita = boot("taken", "--publish", taken.getLocalPort() + ":22")) {
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isEqualTo(3);
      assertThat(partita.err()).contains("cannot publish " + taken.getLocalPort() + ":22");
    }
    PartitaProcess.assertNothingLeft(runtime);
  }
}
