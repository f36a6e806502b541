/// The software engine: an x86-64 processor in pure Java.
@org.jspecify.annotations.NullMarked
module dev.partita.engine.software {
  requires jdk.jfr;
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;

  exports dev.partita.engine.software;
}
