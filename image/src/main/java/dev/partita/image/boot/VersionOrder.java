package dev.partita.image.boot;

import java.util.Comparator;

/// Orders versions as people count them: runs of digits as numbers, the rest by character, `~`
/// before everything (Debian Policy 5.6.12; The Boot Loader Specification orders the same way).
final class VersionOrder implements Comparator<String> {
  static final VersionOrder INSTANCE = new VersionOrder();

  private VersionOrder() {}

  @Override
  public int compare(String a, String b) {
    int i = 0;
    int j = 0;
    while (i < a.length() || j < b.length()) {
      while (i < a.length() && !isDigit(a, i) || j < b.length() && !isDigit(b, j)) {
        int order = Integer.compare(rank(a, i), rank(b, j));
        if (order != 0) {
          return order;
        }
        i++;
        j++;
      }
      int startA = i;
      int startB = j;
      while (isDigit(a, i)) {
        i++;
      }
      while (isDigit(b, j)) {
        j++;
      }
      int order = compareNumbers(a.substring(startA, i), b.substring(startB, j));
      if (order != 0) {
        return order;
      }
    }
    return 0;
  }

  private static int compareNumbers(String a, String b) {
    String x = a.replaceFirst("^0+", "");
    String y = b.replaceFirst("^0+", "");
    return x.length() != y.length() ? Integer.compare(x.length(), y.length()) : x.compareTo(y);
  }

  private static boolean isDigit(String text, int at) {
    return at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9';
  }

  /// The end and digits before letters, letters before other characters.
  private static int rank(String text, int at) {
    if (at >= text.length() || isDigit(text, at)) {
      return 0;
    }
    char c = text.charAt(at);
    return c == '~' ? -1 : Character.isLetter(c) ? c : c + (1 << 16);
  }
}
