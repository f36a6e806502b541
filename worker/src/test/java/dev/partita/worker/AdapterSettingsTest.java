package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.network.MacAddress;
import dev.partita.network.vswitch.VlanMode;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AdapterSettingsTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "nat",
        "nat,allow-host,net=10.9.0.0/16",
        "private:lan",
        "internal:lan_2.a-b,mac=00:15:5d:01:02:03,mtu=9000",
        "tap:tap0,bridge=br0,vlan=7",
        "tap:p%d",
        "link:/run/q.sock,vlan=all",
        "udp:192.0.2.1:5000:192.0.2.2:5001,spoofing,dhcp-guard,router-guard",
        "udp:[2001:db8:0:0:0:0:0:1]:5000:[2001:db8:0:0:0:0:0:2]:5000",
        "nat,allow=out+tcp+192.0.2.0/24+port=25+stateful,deny=out",
        "nat,allow=in+udp+own=192.0.2.7+port=5000-5010+from-port=53+stateful=30+weight=9",
        "nat,deny=in+protocol=47+2001:db8:0:0:0:0:0:0/32,deny=in+icmp6,allow=out+icmp,link=down",
        "private:lan,vlan=7+20+21+22,limit=100000000,mirror=source,link=down"
      })
  void whatIsWrittenIsRead(String text) {
    var settings = AdapterSettings.parse(text);
    assertThat(settings).hasToString(text);
    assertThat(AdapterSettings.parse(settings.toString())).isEqualTo(settings);
  }

  @Test
  void rangesAndUnitsAreUnderstood() {
    var settings = AdapterSettings.parse("private:lan,vlan=1+20-22,limit=5M,spoofing=off");
    assertThat(settings.vlan()).isEqualTo(new VlanMode.Trunk(1, List.of(20, 21, 22)));
    assertThat(settings.limit()).isEqualTo(5_000_000);
    assertThat(settings.macSpoofing()).isFalse();
  }

  @Test
  void optionsChangeWhatIsThere() {
    var settings = AdapterSettings.parse("nat,spoofing,limit=5M");
    var changed = settings.with(List.of("spoofing=off", "limit=0", "mac=00155D0A0B0C"));
    assertThat(changed.macSpoofing()).isFalse();
    assertThat(changed.limit()).isZero();
    assertThat(changed.mac()).isEqualTo(MacAddress.parse("00:15:5d:0a:0b:0c"));
    assertThat(changed.attachment()).isEqualTo(settings.attachment());
  }

  @Test
  void rulesAreForBothDirectionsWithoutOneAndInTheirOrder() {
    var settings = AdapterSettings.parse("nat,allow=tcp+port=22+stateful,deny=192.0.2.1");
    assertThat(settings)
        .hasToString(
            "nat,allow=in+tcp+port=22+stateful,allow=out+tcp+port=22+stateful,deny=in+192.0.2.1,"
                + "deny=out+192.0.2.1");
    var port = settings.port(MacAddress.parse("00:15:5d:0a:0b:0c"));
    assertThat(port.rules()).isEqualTo(settings.rules()).hasSize(4);
    assertThat(settings.rules().getFirst().localPorts().first())
        .as("the port of the destination, which is the guest's for what comes in")
        .isEqualTo(22);
    assertThat(settings.rules().get(1).remotePorts().first()).isEqualTo(22);
    assertThat(settings.with(List.of("rules=none", "deny=out"))).hasToString("nat,deny=out");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "bridge",
        "nat:x",
        "nat,bridge=br0",
        "private:lan,allow-host",
        "private:",
        "private:../x",
        "private:a b",
        "private:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "tap:",
        "tap:a/b",
        "link:",
        "udp:1.2.3.4:5",
        "udp:1.2.3.4:0:1.2.3.4:5",
        "nat,mtu=100",
        "nat,mtu=9001",
        "nat,mtu=x",
        "nat,vlan=4095",
        "nat,vlan=1+5-9999",
        "nat,vlan=x",
        "nat,mac=01:00:5e:00:00:01",
        "nat,mac=1",
        "nat,limit=fast",
        "nat,link=sideways",
        "nat,spoofing=perhaps",
        "nat,,",
        "nat,allow=",
        "nat,deny=in+out",
        "nat,deny=sideways",
        "nat,deny=tcp+port=70000",
        "nat,deny=tcp+port=9-5",
        "nat,deny=tcp+port=x",
        "nat,deny=protocol=256",
        "nat,deny=in+stateful",
        "nat,allow=10.0.0.0/8+own=2001:db8:0:0:0:0:0:1",
        "nat,allow=10.0.0.0/33",
        "nat,rules=all",
        "nat,net=10.0.0.0/99",
        "nat,net=fast"
      })
  void nonsenseIsRefusedInOneLine(String text) {
    assertThatThrownBy(() -> AdapterSettings.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .message()
        .isNotBlank()
        .doesNotContain("\n");
  }
}
