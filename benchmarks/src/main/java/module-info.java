/// Benchmarks, side by side with the peer in one run.
@org.jspecify.annotations.NullMarked
module dev.partita.benchmarks {
  requires static org.jspecify;
  requires dev.partita.cli;
}
