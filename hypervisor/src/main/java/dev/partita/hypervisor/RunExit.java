package dev.partita.hypervisor;

/// Why {@link VirtualProcessor#run} returned.
public enum RunExit {
  /// {@link VirtualProcessor#cancel} or {@link Partition#close} asked for it.
  CANCELLED,
  /// The guest cannot go on; {@link Intercept.Shutdown} told the handler why.
  SHUTDOWN
}
