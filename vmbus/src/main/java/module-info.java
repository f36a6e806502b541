/// The VMBus: the host's end of the bus on which a guest finds its synthetic devices.
@org.jspecify.annotations.NullMarked
module dev.partita.vmbus {
  requires jdk.jfr;
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;
  requires transitive dev.partita.enlightenment;

  exports dev.partita.vmbus;
}
