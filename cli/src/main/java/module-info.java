/// The partita command.
@org.jspecify.annotations.NullMarked
module dev.partita.cli {
  requires static org.jspecify;
  requires dev.partita.worker;
  requires dev.partita.image;
  requires dev.partita.disk;
  requires dev.partita.network;
  requires info.picocli;

  opens dev.partita.cli to
      info.picocli;

  provides System.LoggerFinder with
      dev.partita.cli.OperatorLog;
}
