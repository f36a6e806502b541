package dev.partita.chipset.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.function.Consumer;

/// Writes ACPI Machine Language (ACPI 6.3, chapter 20, "ACPI Machine Language (AML)
/// Specification"). What has contents takes them from a function that is given a writer.
final class AmlWriter {
  private static final int ZERO = 0x00;
  private static final int ONE = 0x01;
  private static final int NAME = 0x08;
  private static final int BYTE_PREFIX = 0x0A;
  private static final int WORD_PREFIX = 0x0B;
  private static final int DWORD_PREFIX = 0x0C;
  private static final int STRING_PREFIX = 0x0D;
  private static final int QWORD_PREFIX = 0x0E;
  private static final int SCOPE = 0x10;
  private static final int BUFFER = 0x11;
  private static final int PACKAGE = 0x12;
  private static final int DUAL_NAME = 0x2E;
  private static final int EXTENDED = 0x5B;
  private static final int DEVICE = 0x82;
  private static final int ROOT = 0x5C;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  byte[] bytes() {
    return out.toByteArray();
  }

  /// `Scope (path) { contents }`
  AmlWriter scope(String path, Consumer<AmlWriter> contents) {
    out.write(SCOPE);
    return block(path, contents);
  }

  /// `Device (name) { contents }`
  AmlWriter device(String name, Consumer<AmlWriter> contents) {
    out.write(EXTENDED);
    out.write(DEVICE);
    return block(name, contents);
  }

  private AmlWriter block(String path, Consumer<AmlWriter> contents) {
    var inner = new AmlWriter();
    inner.path(path);
    contents.accept(inner);
    return sized(inner);
  }

  /// `Name (name, value)` with an integer.
  AmlWriter name(String name, long value) {
    out.write(NAME);
    path(name);
    return integer(value);
  }

  /// `Name (name, "text")`
  AmlWriter name(String name, String text) {
    out.write(NAME);
    path(name);
    out.write(STRING_PREFIX);
    out.writeBytes(text.getBytes(StandardCharsets.US_ASCII));
    out.write(0);
    return this;
  }

  /// `Name (name, EisaId ("PNP0501"))`
  AmlWriter eisaId(String name, String id) {
    return name(name, eisaId(id));
  }

  /// `Name (name, Package () { values })` with integers.
  AmlWriter integers(String name, long... values) {
    out.write(NAME);
    path(name);
    out.write(PACKAGE);
    var inner = new AmlWriter();
    inner.out.write(values.length);
    for (long value : values) {
      inner.integer(value);
    }
    return sized(inner);
  }

  /// `Name (name, ResourceTemplate () { contents })`
  AmlWriter resources(String name, Consumer<ResourceTemplate> contents) {
    var template = new ResourceTemplate();
    contents.accept(template);
    var bytes = template.bytes();
    out.write(NAME);
    path(name);
    out.write(BUFFER);
    var inner = new AmlWriter();
    inner.integer(bytes.length);
    inner.out.writeBytes(bytes);
    return sized(inner);
  }

  private AmlWriter integer(long value) {
    if (value == 0) {
      out.write(ZERO);
    } else if (value == 1) {
      out.write(ONE);
    } else if (value >>> 8 == 0) {
      little(BYTE_PREFIX, value, 1);
    } else if (value >>> 16 == 0) {
      little(WORD_PREFIX, value, 2);
    } else if (value >>> 32 == 0) {
      little(DWORD_PREFIX, value, 4);
    } else {
      little(QWORD_PREFIX, value, 8);
    }
    return this;
  }

  private void little(int prefix, long value, int size) {
    out.write(prefix);
    for (int i = 0; i < size; i++) {
      out.write((int) (value >>> 8 * i));
    }
  }

  /// A name of one segment or two joined by a dot, from the root if it begins with a backslash.
  private void path(String path) {
    String rest = path;
    if (rest.startsWith("\\")) {
      out.write(ROOT);
      rest = rest.substring(1);
    }
    int dot = rest.indexOf('.');
    if (dot >= 0) {
      out.write(DUAL_NAME);
      segment(rest.substring(0, dot));
      rest = rest.substring(dot + 1);
    }
    segment(rest);
  }

  private void segment(String name) {
    if (!name.matches("[A-Z_][A-Z0-9_]{0,3}")) {
      throw new IllegalArgumentException("\"" + name + "\" is no ACPI name");
    }
    out.writeBytes((name + "____").substring(0, 4).getBytes(StandardCharsets.US_ASCII));
  }

  /// Appends contents with their PkgLength (section 20.2.4) before them; it counts itself.
  private AmlWriter sized(AmlWriter inner) {
    int size = inner.out.size();
    if (size + 1 < 1 << 6) {
      out.write(size + 1);
    } else {
      int extra = size + 2 < 1 << 12 ? 1 : size + 3 < 1 << 20 ? 2 : 3;
      int length = size + 1 + extra;
      out.write(extra << 6 | length & 0xF);
      for (int i = 0; i < extra; i++) {
        out.write(length >> 4 + 8 * i);
      }
    }
    out.writeBytes(inner.bytes());
    return this;
  }

  /// An EISA identifier in its compressed form: three letters of five bits, four hexadecimal
  /// digits, most significant byte first (section 19.6.34).
  static long eisaId(String id) {
    int letters = (id.charAt(0) - '@') << 10 | (id.charAt(1) - '@') << 5 | id.charAt(2) - '@';
    int digits = Integer.parseInt(id.substring(3).toLowerCase(Locale.ROOT), 16);
    return Integer.reverseBytes(letters << 16 | digits) & 0xFFFF_FFFFL;
  }
}
