package dev.partita.worker;

import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// Words on a line of the control protocol: with a space between, each as in a query of a URL
/// (`application/x-www-form-urlencoded`, UTF-8), so that a word can hold anything. The empty word
/// is `%`.
public final class ControlWords {
  private static final String EMPTY = "%";

  private ControlWords() {}

  /// A line without its end.
  public static String encode(String... words) {
    var line = new StringBuilder();
    for (var word : words) {
      if (!line.isEmpty()) {
        line.append(' ');
      }
      line.append(word.isEmpty() ? EMPTY : URLEncoder.encode(word, StandardCharsets.UTF_8));
    }
    return line.toString();
  }

  /// The words of a line without its end.
  ///
  /// @throws IllegalArgumentException if it is not encoded so
  public static List<String> decode(String line) {
    List<String> words = new ArrayList<>();
    for (var word : line.split(" ", -1)) {
      words.add(word.equals(EMPTY) ? "" : URLDecoder.decode(word, StandardCharsets.UTF_8));
    }
    return words;
  }
}
