/// The virtual motherboard and the boot loaders.
@org.jspecify.annotations.NullMarked
module dev.partita.chipset {
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;
  requires org.apache.commons.compress;
  requires org.tukaani.xz;

  exports dev.partita.chipset.boot;
}
