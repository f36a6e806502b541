/// The partita command.
@org.jspecify.annotations.NullMarked
module dev.partita.cli {
  requires static org.jspecify;
  requires dev.partita.worker;
  requires dev.partita.image;
  requires dev.partita.disk;
  requires dev.partita.network;
  requires info.picocli;
  // Only for run --perf-map.
  requires java.management;

  opens dev.partita.cli to
      info.picocli;

  provides System.LoggerFinder with
      dev.partita.cli.OperatorLog;
}
