/// The guest interface of the Hypervisor Top-Level Functional Specification.
@org.jspecify.annotations.NullMarked
module dev.partita.enlightenment {
  requires jdk.jfr;
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;

  exports dev.partita.enlightenment;
}
