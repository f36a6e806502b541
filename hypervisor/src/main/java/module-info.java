/// The contract between an engine, which runs guest code, and everything above it.
@org.jspecify.annotations.NullMarked
module dev.partita.hypervisor {
  requires static transitive org.jspecify;

  exports dev.partita.hypervisor;
}
