/// Benchmarks, side by side with the peer in one run.
@org.jspecify.annotations.NullMarked
module dev.partita.benchmarks {
  requires java.management;
  requires static org.jspecify;
  requires dev.partita.cli;
  requires dev.partita.disk;
  requires dev.partita.hypervisor;
  requires dev.partita.image;
  requires dev.partita.worker;
  requires info.picocli;

  opens dev.partita.benchmarks to
      info.picocli;
}
