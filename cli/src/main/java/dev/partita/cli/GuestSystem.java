package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.image.GuestFiles;
import dev.partita.image.Images;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Locale;

/// The systems that Partita makes itself.
enum GuestSystem {
  /// Debian's kernel and BusyBox, from the distribution's own packages.
  DEBIAN;

  /// For help and completion.
  static final class Names extends ArrayList<String> {
    private static final long serialVersionUID = 1L;

    Names() {
      for (var system : values()) {
        add(system.label());
      }
    }
  }

  String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /// The system of a name.
  ///
  /// @throws PartitionException if there is none
  static GuestSystem named(String name) {
    for (var system : values()) {
      if (system.label().equals(name)) {
        return system;
      }
    }
    throw new PartitionException(
        "no system \"%s\": there is %s".formatted(name, String.join(", ", new Names())));
  }

  /// Its files, made if they are not there yet; shows progress on standard error.
  GuestFiles files() throws IOException {
    var display = new ProgressDisplay(System.err, Posix.isTerminal(2));
    try {
      return switch (this) {
        case DEBIAN -> Images.debian(Images.defaultCache(), display::update);
      };
    } finally {
      display.finish();
    }
  }
}
