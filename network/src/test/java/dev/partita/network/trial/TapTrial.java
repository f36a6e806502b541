package dev.partita.network.trial;

import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.network.MacAddress;
import dev.partita.network.link.TapDevice;
import dev.partita.network.nat.NatGateway;
import dev.partita.network.nat.NatSettings;
import dev.partita.network.nat.Publication;
import dev.partita.network.vswitch.PortSettings;
import dev.partita.network.vswitch.SwitchKind;
import dev.partita.network.vswitch.VirtualSwitch;
import java.util.Arrays;

/// Runs the NAT with a TAP device as its guest, for trials by hand: `TapTrial NAME MTU
/// PUBLICATION...`. Ends with its standard input.
public final class TapTrial {
  private TapTrial() {}

  public static void main(String[] args) throws Exception {
    try (var time = new SystemTimeSource();
        var network = new VirtualSwitch("nat", SwitchKind.INTERNAL, time)) {
      int mtu = Integer.parseInt(args[1]);
      var settings =
          NatSettings.standard()
              .withMtu(mtu)
              .withHostAllowed(true)
              .withRoutesIpv6(true)
              .withPublications(Arrays.stream(args).skip(2).map(Publication::parse).toList());
      try (var gateway = new NatGateway(settings, time);
          var tap = TapDevice.open(args[0], null, mtu)) {
        var guest =
            network.connect(
                "tap", tap, PortSettings.adapter(MacAddress.parse("00:15:5d:00:00:01")));
        tap.attach(guest);
        gateway.attach(network.connect("nat", gateway, PortSettings.host(settings.mac())));
        System.out.println("ready " + tap.name());
        for (int c = System.in.read(); c >= 0; c = System.in.read()) {
          System.out.println(gateway.usage());
          for (var port : network.ports()) {
            System.out.println(port + " " + port.counters().snapshot());
          }
        }
        System.out.println(gateway.usage());
      }
    }
  }
}
