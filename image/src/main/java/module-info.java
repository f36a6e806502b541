/// Makes guest disks and RAM disks from a distribution's packages, and reads what is on disks.
@org.jspecify.annotations.NullMarked
module dev.partita.image {
  requires static org.jspecify;
  requires dev.partita.disk;
  requires org.tukaani.xz;
  requires aircompressor.v3;

  exports dev.partita.image;
  exports dev.partita.image.boot;
}
