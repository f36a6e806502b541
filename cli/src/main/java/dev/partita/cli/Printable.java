package dev.partita.cli;

/// Text from a guest, for a terminal.
final class Printable {
  private Printable() {}

  /// The text with a question mark for each control character: a guest has no business with the
  /// operator's terminal, and its lines are not to look like others.
  static String line(String text) {
    var safe = new StringBuilder();
    text.codePoints()
        .forEach(
            c ->
                safe.appendCodePoint(
                    Character.isISOControl(c)
                            || c == 0x2028
                            || c == 0x2029
                            || Character.getType(c) == Character.FORMAT
                            || Character.getType(c) == Character.SURROGATE
                        ? '?'
                        : c));
    return safe.toString();
  }
}
