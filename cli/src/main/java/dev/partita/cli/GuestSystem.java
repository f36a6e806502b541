package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.image.GuestFiles;
import dev.partita.image.Images;
import dev.partita.image.SystemDisk;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Locale;

/// The systems that Partita makes itself.
enum GuestSystem {
  /// A Debian on a disk, from the distribution's own packages.
  DEBIAN,

  /// The distribution's kernel with BusyBox in a RAM disk, which keeps nothing.
  DEBIAN_INITRAMFS;

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
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
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

  /// The kernel and RAM disk of a system that needs no disk, made if they are not there yet; shows
  /// progress on standard error.
  static GuestFiles initramfs() throws IOException {
    var display = new ProgressDisplay(System.err, Posix.isTerminal(2));
    try {
      return Images.debian(Images.defaultCache(), display::update);
    } finally {
      display.finish();
    }
  }

  /// The disk of the Debian guest, made if it is not there yet; shows progress on standard error.
  static SystemDisk debianDisk(SystemDisk.Use use) throws IOException {
    var display = new ProgressDisplay(System.err, Posix.isTerminal(2));
    try {
      return SystemDisk.debian(Images.defaultData(), Images.defaultCache(), use, display::update);
    } finally {
      display.finish();
    }
  }
}
