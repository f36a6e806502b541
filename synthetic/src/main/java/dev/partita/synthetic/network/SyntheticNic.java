package dev.partita.synthetic.network;

import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.MacAddress;
import dev.partita.network.Offloads;
import dev.partita.network.Port;
import dev.partita.vmbus.Channel;
import dev.partita.vmbus.ChannelHandler;
import dev.partita.vmbus.Offer;
import dev.partita.vmbus.VmbusDevice;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// The synthetic NIC: on one side a device on a partition's VMBus, on the other what is plugged
/// into a port of a switch.
///
///     var nic = new SyntheticNic(NicSettings.of(instance, mac, processors));
///     nic.connect(virtualSwitch.connect("web-1", nic, PortSettings.adapter(mac)));
///     bus.attach(nic);
///
/// Any thread.
public final class SyntheticNic implements VmbusDevice, Endpoint {
  private static final UUID INTERFACE = UUID.fromString("f8615163-df3e-46c5-913f-f2d2f965ed0e");

  private final NicSettings settings;
  private final Offer offer;
  private volatile @Nullable Port port;

  /// A NIC that is plugged in nowhere.
  public SyntheticNic(NicSettings settings) {
    this.settings = settings;
    this.offer = Offer.plain(INTERFACE, settings.instance());
  }

  /// What it is.
  public NicSettings settings() {
    return settings;
  }

  /// The address it has now: its own, or the one the guest gave it.
  public MacAddress address() {
    return settings.mac();
  }

  @Override
  public Offer offer() {
    return offer;
  }

  @Override
  public ChannelHandler open(Channel channel) {
    throw new UnsupportedOperationException();
  }

  /// Plugs the NIC into a port, which was made for it; out of the one it was in before, which is
  /// not closed. The guest learns that it is in another network.
  ///
  /// @return the port it was in before
  public @Nullable Port connect(Port newPort) {
    var before = port;
    port = newPort;
    return before;
  }

  /// Pulls the NIC out of its port, which is not closed. The guest sees its link down.
  ///
  /// @return the port it was in
  public @Nullable Port disconnect() {
    var before = port;
    port = null;
    return before;
  }

  /// The port it is in.
  public @Nullable Port port() {
    return port;
  }

  /// Whether the guest sees its link up: it is plugged into a port that is up.
  public boolean linkUp() {
    var current = port;
    return current != null && current.up();
  }

  /// Tells the guest that it is in another network, though its link was never down: it asks for an
  /// address again. For a partition that was restored elsewhere.
  public void networkChanged() {}

  @Override
  public Offloads offloads() {
    return Offloads.NONE;
  }

  @Override
  public boolean deliver(Frame frame) {
    return true;
  }

  /// What went through it.
  public NicStatistics statistics() {
    var none = new NicStatistics.Traffic(0, 0, 0, 0);
    return new NicStatistics(none, none, 0, 0, 0, 0, 0, 0, 0, 0, List.of());
  }

  /// The state. Only while the bus is paused.
  public NicState state() {
    return new NicState(settings.mac());
  }

  /// Takes a state over, before the bus does, with the same settings.
  ///
  /// @throws IllegalArgumentException if it is impossible with these settings
  public void restore(NicState state) {}
}
