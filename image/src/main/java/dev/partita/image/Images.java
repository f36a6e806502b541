package dev.partita.image;

import dev.partita.image.debian.DebianDisk;
import dev.partita.image.debian.DebianGuest;
import java.io.IOException;
import java.nio.file.Path;

/// The guests that this project can make by itself. Thread-safe, and safe against other processes
/// that use the same cache.
public final class Images {
  private Images() {}

  /// The directory that is only a cache, and may be deleted at any time: the system property
  /// `partita.cache`, or else the environment's `PARTITA_CACHE`, or else `partita` in the XDG cache
  /// directory (XDG Base Directory Specification 0.8), that is `~/.cache/partita`.
  public static Path defaultCache() {
    return directory("partita.cache", "PARTITA_CACHE", "XDG_CACHE_HOME", ".cache");
  }

  /// The directory of the disks that guests write to: the system property `partita.data`, or else
  /// the environment's `PARTITA_DATA`, or else `partita` in the XDG data directory, that is
  /// `~/.local/share/partita`.
  public static Path defaultData() {
    return directory("partita.data", "PARTITA_DATA", "XDG_DATA_HOME", ".local/share");
  }

  private static Path directory(
      String property, String variable, String standard, String belowHome) {
    String asked = System.getProperty(property, "");
    if (!asked.isEmpty()) {
      return Path.of(asked).toAbsolutePath();
    }
    String own = environment(variable);
    if (!own.isEmpty()) {
      return Path.of(own).toAbsolutePath();
    }
    String xdg = environment(standard);
    if (xdg.startsWith("/")) { // the specification: others are to be ignored
      return Path.of(xdg, "partita");
    }
    return Path.of(System.getProperty("user.home"), belowHome, "partita").toAbsolutePath();
  }

  /// The kernel of this machine's distribution, and a RAM disk with BusyBox and the kernel's
  /// modules. When the cache holds them this takes milliseconds; otherwise packages are downloaded
  /// and unpacked, which takes seconds and more.
  ///
  /// @param cache a directory, made when missing; {@link #defaultCache} is the usual one
  /// @throws ImageException when they cannot be made; its message is for the person who asked
  /// @throws IOException when the cache cannot be read or written
  public static GuestFiles debian(Path cache, Progress progress) throws IOException {
    return DebianGuest.ofHost(cache).prepare(false, progress);
  }

  /// As {@link #debian}, from the newest packages that the distribution offers now.
  public static GuestFiles refreshDebian(Path cache, Progress progress) throws IOException {
    return DebianGuest.ofHost(cache).prepare(true, progress);
  }

  /// Makes a disk with a Debian that boots, from the release's packages.
  ///
  /// @param cache a directory, made when missing, that keeps the packages for the next time
  /// @param output the file to be: .vhdx, .vhd or .raw; it appears when it is complete
  /// @param replace whether a file of that name may be replaced
  /// @throws ImageException when it cannot be made; its message is for the person who asked
  public static void buildDebian(
      Path cache, DebianDiskRequest request, Path output, boolean replace, Progress progress)
      throws IOException {
    DebianDisk.make(cache, request, output, replace, progress);
  }

  private static String environment(String name) {
    String value = System.getenv(name);
    return value == null ? "" : value;
  }
}
