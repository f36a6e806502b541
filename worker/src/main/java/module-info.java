/// One partition put together: engine, motherboard, guest interface, console.
@org.jspecify.annotations.NullMarked
module dev.partita.worker {
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;
  requires transitive dev.partita.disk;
  requires transitive dev.partita.network;
  requires dev.partita.engine.kvm;
  requires dev.partita.engine.software;
  requires dev.partita.chipset;
  requires dev.partita.enlightenment;
  requires dev.partita.vmbus;
  requires dev.partita.synthetic;

  exports dev.partita.worker;
}
