package dev.partita.synthetic.integration;

import java.nio.charset.StandardCharsets;

/// Strings in messages: little-endian UTF-16, with a zero at the end, in fields of fixed size.
///
/// Linux turns them into UTF-8 in fields of as many bytes, and cuts off what does not fit
/// (`drivers/hv/hv_kvp.c`, `drivers/hv/hv_fcopy.c`): hence both forms are limited.
final class WideText {
  private WideText() {}

  /// Whether a text fits in a field.
  ///
  /// @param fieldSize bytes, of the UTF-16 field
  /// @param narrowSize bytes of the UTF-8 field, with its zero
  static boolean fits(String text, int fieldSize, int narrowSize) {
    return text.indexOf('\0') < 0
        && 2 * (text.length() + 1) <= fieldSize
        && text.getBytes(StandardCharsets.UTF_8).length < narrowSize;
  }

  /// Writes a text that fits into a field that is zero.
  ///
  /// @return its bytes with the zero
  static int put(byte[] bytes, int offset, String text) {
    var encoded = text.getBytes(StandardCharsets.UTF_16LE);
    System.arraycopy(encoded, 0, bytes, offset, encoded.length);
    return encoded.length + 2;
  }

  /// Reads up to the zero, or the field's end. What is no UTF-16 becomes U+FFFD.
  ///
  /// @param fieldSize bytes, all of them in the array
  static String get(byte[] bytes, int offset, int fieldSize) {
    int length = 0;
    while (length + 1 < fieldSize
        && (bytes[offset + length] != 0 || bytes[offset + length + 1] != 0)) {
      length += 2;
    }
    return new String(bytes, offset, length, StandardCharsets.UTF_16LE);
  }
}
