package dev.partita.network.nat;

import dev.partita.hypervisor.TimeSource;
import dev.partita.network.vswitch.PortSettings;
import dev.partita.network.vswitch.SwitchKind;
import dev.partita.network.vswitch.VirtualSwitch;
import java.io.IOException;

/// An internal switch whose host port is the NAT: what a partition has when its user asks for
/// nothing else. Adapters are connected to {@link #network}.
public final class NatNetwork implements AutoCloseable {
  /// The name that Hyper-V gives such a switch.
  public static final String NAME = "Default Switch";

  private static final String NAT_PORT = "nat";

  private final VirtualSwitch network;
  private final NatGateway gateway;

  private NatNetwork(VirtualSwitch network, NatGateway gateway) {
    this.network = network;
    this.gateway = gateway;
  }

  /// Makes it and opens the published ports.
  ///
  /// @throws IOException if a published port cannot be opened; the message names it
  public static NatNetwork open(NatSettings settings, TimeSource time) throws IOException {
    var network = new VirtualSwitch(NAME, SwitchKind.INTERNAL, time);
    var gateway = new NatGateway(settings, time);
    try {
      gateway.attach(network.connect(NAT_PORT, gateway, PortSettings.host(settings.mac())));
    } catch (IOException e) {
      gateway.close();
      network.close();
      throw e;
    }
    return new NatNetwork(network, gateway);
  }

  /// The switch.
  public VirtualSwitch network() {
    return network;
  }

  /// The gateway.
  public NatGateway gateway() {
    return gateway;
  }

  /// Resets all connections, closes the host's sockets and unplugs everything.
  @Override
  public void close() {
    gateway.close();
    network.close();
  }
}
