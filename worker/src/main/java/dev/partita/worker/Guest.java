package dev.partita.worker;

import java.util.Optional;
import java.util.function.Supplier;

/// The guest of a partition, for {@link ControlSocket}: what stands behind it changes with every
/// reset.
public final class Guest {
  private final Supplier<Optional<GuestServices>> services;

  /// @param services the running machine's; empty while there is none
  Guest(Supplier<Optional<GuestServices>> services) {
    this.services = services;
  }

  Optional<GuestServices> services() {
    return services.get();
  }
}
