package dev.partita.engine.software;

import dev.partita.hypervisor.Intercept;

/// Ends the processor: thrown where the guest cannot go on.
final class ShutdownSignal extends RuntimeException {
  private static final long serialVersionUID = 1L;

  final transient Intercept.Shutdown.Reason reason;

  ShutdownSignal(Intercept.Shutdown.Reason reason, String detail) {
    super(detail, null, false, false);
    this.reason = reason;
  }
}
