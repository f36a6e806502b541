package dev.partita.network.nat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.network.IpPrefix;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.List;
import org.junit.jupiter.api.Test;

class NatNetworkTest {
  @Test
  void aPortThatIsTakenIsNamedAndNothingStaysOpen() throws Exception {
    try (var time = new SystemTimeSource();
        var taken = new ServerSocket(0, 1, InetAddress.ofLiteral("127.0.0.1"));
        var other = new ServerSocket(0, 1, InetAddress.ofLiteral("127.0.0.1"))) {
      int free = other.getLocalPort();
      other.close();
      var settings =
          NatSettings.standard()
              .withPublications(
                  List.of(
                      new Publication(null, free, 80, false, null),
                      new Publication(null, taken.getLocalPort(), 22, false, null)));
      assertThatThrownBy(() -> NatNetwork.open(settings, time))
          .hasMessageContaining("cannot publish " + taken.getLocalPort() + ":22");
      try (var network =
          NatNetwork.open(settings.withPublications(settings.publications().subList(0, 1)), time)) {
        assertThat(network.gateway().usage().sockets()).isBetween(1, 2);
        assertThat(network.network().ports()).hasSize(1);
      }
    }
  }

  @Test
  void theGuestsNetworkHidesNoneOfTheHosts() {
    assertThat(HostInterfaces.free(List.of(IpPrefix.parse("192.0.2.1/24"))))
        .isEqualTo(IpPrefix.parse("172.29.192.0/24"));
    assertThat(
            HostInterfaces.free(
                List.of(IpPrefix.parse("172.16.0.0/12"), IpPrefix.parse("192.168.213.7/32"))))
        .isEqualTo(IpPrefix.parse("10.213.192.0/24"));
    assertThat(HostInterfaces.routesIpv6(List.of(IpPrefix.parse("fe80::1/64")))).isFalse();
    assertThat(HostInterfaces.routesIpv6(List.of(IpPrefix.parse("2001:db8::1/64")))).isTrue();
    assertThat(NatSettings.forHost().ipv4().length()).isEqualTo(24);
  }

  @Test
  void publicationsAreReadAndWritten() {
    for (var text : List.of("2222:22", "0.0.0.0:80:8080", "[::1]:5353:53/udp", "1:65535")) {
      var address = text.replace("[::1]", "[0:0:0:0:0:0:0:1]");
      assertThat(Publication.parse(text)).hasToString(address);
    }
    for (var text :
        List.of("22", "a:22", "0:22", "22:65536", "1:2:3:4", "::1:22:22", "22:22/sctp", ":22")) {
      assertThatThrownBy(() -> Publication.parse(text))
          .as(text)
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
