package dev.partita.image.debian;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A file that a guest gets beside its packages.
///
/// @param phase `before` its packages are installed, or `after`
/// @param permissions as `rw-r--r--`
/// @param path absolute, in the guest
/// @param content its text
record GuestFile(String phase, String permissions, String path, String content) {
  private static final Pattern HEAD =
      Pattern.compile("=== (before|after) ([0-7])([0-7])([0-7]) (/[\\w/.@-]+)");
  private static final Pattern VALUE = Pattern.compile("@([A-Z_]+)@");
  private static final List<String> BITS =
      List.of("---", "--x", "-w-", "-wx", "r--", "r-x", "rw-", "rwx");

  /// Reads the program's text of files, each after a line `=== PHASE MODE PATH`.
  ///
  /// @param values for `@NAME@` in contents
  static List<GuestFile> parse(String text, Map<String, String> values) {
    List<GuestFile> files = new ArrayList<>();
    for (String part : text.split("(?m)^(?==== )")) {
      int end = part.indexOf('\n');
      if (end < 0) {
        continue;
      }
      Matcher head = HEAD.matcher(part.substring(0, end));
      if (!head.matches()) {
        continue; // the comment before the first file
      }
      StringBuilder bits = new StringBuilder();
      for (int group = 2; group <= 4; group++) {
        bits.append(BITS.get(head.group(group).charAt(0) - '0'));
      }
      String content =
          VALUE
              .matcher(part.substring(end + 1))
              .replaceAll(
                  match -> {
                    String value = values.get(match.group(1));
                    if (value == null) {
                      throw new IllegalArgumentException("no value for " + match.group());
                    }
                    return Matcher.quoteReplacement(value);
                  });
      files.add(new GuestFile(head.group(1), bits.toString(), head.group(5), content));
    }
    return files;
  }
}
