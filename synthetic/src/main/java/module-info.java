/// The synthetic devices: what a guest finds on its VMBus.
@org.jspecify.annotations.NullMarked
module dev.partita.synthetic {
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;
  requires transitive dev.partita.vmbus;
  requires transitive dev.partita.disk;
  requires transitive dev.partita.network;
  requires jdk.jfr;

  exports dev.partita.synthetic.input;
  exports dev.partita.synthetic.integration;
  exports dev.partita.synthetic.network;
  exports dev.partita.synthetic.storage;
}
