package dev.partita.image.debian;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/// One version of a package as an archive offers it, from a stanza that `apt-cache show` prints
/// (deb-control(5), Debian Policy 5.1).
///
/// @param name the package's name
/// @param version its version
/// @param size bytes of its .deb file
/// @param sha256 the digest of that file, 64 lower-case hexadecimal digits
/// @param depends the names in its Depends, of alternatives the first, without versions
public record PackageRecord(
    String name, String version, long size, String sha256, List<String> depends) {

  // Debian Policy 5.6.7 and 5.6.12. They keep file names and arguments of commands harmless.
  private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9+.-]{0,127}");
  private static final Pattern VERSION = Pattern.compile("[A-Za-z0-9][A-Za-z0-9.+~:-]{0,127}");
  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
  private static final Pattern SIZE = Pattern.compile("[0-9]{1,12}");

  /// Reads all stanzas of a text; those that lack a name, a version, a size or a digest, as that
  /// of a package installed from nowhere does, are left out.
  public static List<PackageRecord> parse(String text) {
    List<PackageRecord> records = new ArrayList<>();
    for (String stanza : text.split("\n[ \t]*\n")) {
      read(fields(stanza)).ifPresent(records::add);
    }
    return records;
  }

  /// The file's name in a cache.
  public String fileName() {
    return name + "_" + version.replace(":", "%3a") + "_amd64.deb";
  }

  private static Optional<PackageRecord> read(Map<String, String> fields) {
    String name = fields.getOrDefault("package", "");
    String version = fields.getOrDefault("version", "");
    String size = fields.getOrDefault("size", "");
    String sha256 = fields.getOrDefault("sha256", "").toLowerCase(Locale.ROOT);
    if (!isName(name) || !isVersion(version) || !isSize(size) || !isDigest(sha256)) {
      return Optional.empty();
    }
    String relations =
        fields.getOrDefault("pre-depends", "") + "," + fields.getOrDefault("depends", "");
    List<String> depends = new ArrayList<>();
    for (String relation : relations.split(",")) {
      String first = relation.split("\\|", -1)[0].strip();
      String target = first.split("[ (:\\[<]", 2)[0];
      if (isName(target)) {
        depends.add(target);
      }
    }
    return Optional.of(
        new PackageRecord(name, version, Long.parseLong(size), sha256, List.copyOf(depends)));
  }

  private static Map<String, String> fields(String stanza) {
    Map<String, String> fields = new LinkedHashMap<>();
    String last = "";
    for (String line : stanza.split("\n")) {
      if (line.startsWith(" ") || line.startsWith("\t")) {
        fields.computeIfPresent(last, (k, value) -> value + line);
      } else {
        int colon = line.indexOf(':');
        if (colon > 0) {
          last = line.substring(0, colon).toLowerCase(Locale.ROOT);
          fields.put(last, line.substring(colon + 1).strip());
        }
      }
    }
    return fields;
  }

  static boolean isName(String text) {
    return NAME.matcher(text).matches();
  }

  static boolean isVersion(String text) {
    return VERSION.matcher(text).matches();
  }

  static boolean isSize(String text) {
    return SIZE.matcher(text).matches();
  }

  static boolean isDigest(String text) {
    return SHA256.matcher(text).matches();
  }
}
