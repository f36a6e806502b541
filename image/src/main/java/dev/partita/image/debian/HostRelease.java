package dev.partita.image.debian;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/// Which distribution a machine runs, from os-release(5).
///
/// @param id the distribution, fit for a file name: `debian`
/// @param codename the release, fit for a file name: `bookworm`
/// @param prettyName both for a person: `Debian GNU/Linux 12 (bookworm)`
record HostRelease(String id, String codename, String prettyName) {

  /// Reads the file; what it does not tell is `unknown`.
  static HostRelease read(Path file) {
    Map<String, String> fields = new HashMap<>();
    try {
      for (String line : Files.readString(file, StandardCharsets.UTF_8).split("\n")) {
        int equals = line.indexOf('=');
        if (equals > 0) {
          fields.put(line.substring(0, equals), unquoted(line.substring(equals + 1).strip()));
        }
      }
    } catch (IOException e) {
      // Not every system has the file.
    }
    String id = fileName(fields.getOrDefault("ID", ""));
    String codename =
        fileName(fields.getOrDefault("VERSION_CODENAME", fields.getOrDefault("VERSION_ID", "")));
    return new HostRelease(id, codename, fields.getOrDefault("PRETTY_NAME", id + " " + codename));
  }

  private static String unquoted(String value) {
    boolean quoted =
        value.length() >= 2
            && (value.startsWith("\"") && value.endsWith("\"")
                || value.startsWith("'") && value.endsWith("'"));
    return quoted ? value.substring(1, value.length() - 1) : value;
  }

  private static String fileName(String value) {
    String clean = value.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9.+-]", "");
    return clean.isEmpty() || clean.startsWith(".") ? "unknown" : clean;
  }
}
