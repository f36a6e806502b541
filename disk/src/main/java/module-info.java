/// Virtual disk formats: raw, VHD and VHDX; fixed, dynamic and differencing.
@org.jspecify.annotations.NullMarked
module dev.partita.disk {
  requires static org.jspecify;

  exports dev.partita.disk;
}
