/// Makes guest RAM disks from a distribution's packages.
@org.jspecify.annotations.NullMarked
module dev.partita.image {
  requires static org.jspecify;
  requires org.tukaani.xz;
  requires aircompressor.v3;

  exports dev.partita.image;
}
