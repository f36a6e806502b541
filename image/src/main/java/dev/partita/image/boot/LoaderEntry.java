package dev.partita.image.boot;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What a boot loader's menu says on one system.
///
/// @param id by which a default names it: the file's name without `.conf`, or the entry's id
/// @param title for people
/// @param version of the kernel; empty if not told
/// @param kernel its path
/// @param initrds their paths, in order
/// @param options the kernel's command line
/// @param volume the UUID of the file system that the paths are in; empty for the entry's own
record LoaderEntry(
    String id,
    String title,
    String version,
    String kernel,
    List<String> initrds,
    String options,
    String volume) {

  private static final Pattern VARIABLE =
      Pattern.compile("\\$(?:\\{([A-Za-z0-9_]+)}|([A-Za-z0-9_]+))");

  /// Reads a file of `loader/entries` (The Boot Loader Specification, "Type #1"). Keys that make it
  /// an entry for something else than a Linux kernel make none of it.
  ///
  /// @param name the file's name
  /// @param variables values for `$name`, as Fedora's loader has them; others are left out
  static Optional<LoaderEntry> parse(String name, String text, Map<String, String> variables) {
    String title = "";
    String version = "";
    String kernel = "";
    List<String> initrds = new ArrayList<>();
    List<String> options = new ArrayList<>();
    for (String line : text.split("\n")) {
      String[] words = line.strip().split("[ \t]+", 2);
      if (words.length < 2 || words[0].startsWith("#")) {
        continue;
      }
      String value = words[1].strip();
      switch (words[0]) {
        case "title" -> title = value;
        case "version" -> version = value;
        case "linux" -> kernel = substitute(value, variables).strip();
        case "initrd" -> {
          // Fedora's loader takes several on one line.
          for (String path : substitute(value, variables).strip().split("[ \t]+")) {
            if (!path.isEmpty()) {
              initrds.add(path);
            }
          }
        }
        case "options" -> options.add(substitute(value, variables));
        default -> {}
      }
    }
    return kernel.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new LoaderEntry(
                name.replaceFirst("\\.conf$", ""),
                title,
                version,
                kernel,
                List.copyOf(initrds),
                String.join(" ", options).replaceAll("\\s+", " ").strip(),
                ""));
  }

  /// Puts values for `$name` and `${name}`; nothing for those that have none.
  static String substitute(String text, Map<String, String> variables) {
    return VARIABLE
        .matcher(text)
        .replaceAll(
            match -> {
              String name = match.group(1) != null ? match.group(1) : match.group(2);
              return Matcher.quoteReplacement(variables.getOrDefault(name, ""));
            });
  }
}
