/// The virtual motherboard and the boot loaders.
@org.jspecify.annotations.NullMarked
module dev.partita.chipset {
  requires static org.jspecify;
  requires transitive dev.partita.hypervisor;
  requires org.apache.commons.compress;
  requires org.tukaani.xz;

  exports dev.partita.chipset;
  exports dev.partita.chipset.acpi;
  exports dev.partita.chipset.apic;
  exports dev.partita.chipset.boot;
  exports dev.partita.chipset.bus;
  exports dev.partita.chipset.device;
  exports dev.partita.chipset.interrupt;
  exports dev.partita.chipset.power;
}
