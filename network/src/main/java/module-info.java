/// The virtual switch, the NAT in user space, TAP devices, links between processes and packet
/// capture.
@org.jspecify.annotations.NullMarked
module dev.partita.network {
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;

  exports dev.partita.network;
  exports dev.partita.network.capture;
  exports dev.partita.network.link;
  exports dev.partita.network.nat;
  exports dev.partita.network.vswitch;
}
