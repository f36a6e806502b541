/// The KVM engine: guests on the host's hardware.
@org.jspecify.annotations.NullMarked
module dev.partita.engine.kvm {
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;

  exports dev.partita.engine.kvm;
}
