/// The partita command.
@org.jspecify.annotations.NullMarked
module dev.partita.cli {
  requires static org.jspecify;
  requires dev.partita.worker;
  requires dev.partita.image;
  requires info.picocli;
}
