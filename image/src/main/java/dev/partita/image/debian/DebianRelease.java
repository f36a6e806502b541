package dev.partita.image.debian;

import dev.partita.image.ImageException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// A release of Debian.
///
/// @param codename as archives name it: `bookworm`
/// @param version `12`, or the code name where there is no number
/// @param stable whether it has suites for updates and security
record DebianRelease(String codename, String version, boolean stable) {
  /// Older ones do not have one /usr from the start, as the installation here begins with.
  private static final List<DebianRelease> KNOWN =
      List.of(
          new DebianRelease("bookworm", "12", true),
          new DebianRelease("trixie", "13", true),
          new DebianRelease("forky", "14", true),
          new DebianRelease("sid", "sid", false));

  /// A suite of the archive.
  ///
  /// @param name as in sources.list
  /// @param security whether it is in the security archive
  record Suite(String name, boolean security) {}

  /// The release of a version or code name.
  static DebianRelease named(String name) throws ImageException {
    String wanted = name.toLowerCase(Locale.ROOT);
    for (DebianRelease release : KNOWN) {
      if (wanted.equals(release.codename) || wanted.equals(release.version)) {
        return release;
      }
    }
    List<String> names = new ArrayList<>();
    for (DebianRelease release : KNOWN) {
      names.add(
          release.version.equals(release.codename)
              ? release.codename
              : release.version + " (" + release.codename + ")");
    }
    throw new ImageException(
        "no release '%s' of Debian to make a disk from: there is %s"
            .formatted(name, String.join(", ", names)));
  }

  List<Suite> suites() {
    return stable
        ? List.of(
            new Suite(codename, false),
            new Suite(codename + "-updates", false),
            new Suite(codename + "-security", true))
        : List.of(new Suite(codename, false));
  }
}
