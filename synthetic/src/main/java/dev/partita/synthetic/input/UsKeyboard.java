package dev.partita.synthetic.input;

import dev.partita.synthetic.input.Keystroke.Prefix;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;

/// The 104-key keyboard of the United States: which keys give which text, and what keys are called.
/// The guest must be set to that layout, as it is unless somebody changes it; a boot loader always
/// is.
public final class UsKeyboard {
  /// What a key is: its scan code in set 1.
  private record Key(int code, Prefix prefix) {
    Keystroke press() {
      return new Keystroke(code, prefix, false);
    }

    Keystroke release() {
      return new Keystroke(code, prefix, true);
    }
  }

  private static final Map<String, Key> KEYS = new HashMap<>();

  /// Characters by key.
  private static final Map<Character, Key> PLAIN = new HashMap<>();

  /// Those that need Shift.
  private static final Map<Character, Key> SHIFTED = new HashMap<>();

  private static final Key SHIFT = new Key(0x2A, Prefix.NONE);

  /// What Print Screen becomes while Alt is held: System Request.
  private static final Key SYSTEM_REQUEST = new Key(0x54, Prefix.NONE);

  private static final Key ALT = new Key(0x38, Prefix.NONE);
  private static final Key RIGHT_ALT = new Key(0x38, Prefix.E0);

  /// Pause sends two codes, of which the second has no prefix, and both go up at once.
  private static final String PAUSE = "pause";

  private static final Key PAUSE_FIRST = new Key(0x1D, Prefix.E1);
  private static final Key PAUSE_SECOND = new Key(0x45, Prefix.NONE);

  static {
    row(0x02, "1234567890-=", "!@#$%^&*()_+");
    row(0x10, "qwertyuiop[]", "QWERTYUIOP{}");
    row(0x1E, "asdfghjkl;'`", "ASDFGHJKL:\"~");
    row(0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?");
    PLAIN.put(' ', new Key(0x39, Prefix.NONE));
    PLAIN.put('\n', new Key(0x1C, Prefix.NONE));
    PLAIN.put('\t', new Key(0x0F, Prefix.NONE));
    for (char c = '0'; c <= '9'; c++) {
      alias(c, String.valueOf(c));
    }
    for (char c = 'a'; c <= 'z'; c++) {
      alias(c, String.valueOf(c));
    }
    alias('-', "minus");
    alias('=', "equal");
    alias('[', "leftbracket");
    alias(']', "rightbracket");
    alias(';', "semicolon");
    alias('\'', "quote");
    alias('`', "backquote");
    alias('\\', "backslash");
    alias(',', "comma");
    alias('.', "period", "dot");
    alias('/', "slash");
    alias(' ', "space");
    alias('\n', "enter", "return");
    alias('\t', "tab");
    name(0x01, Prefix.NONE, "esc", "escape");
    name(0x0E, Prefix.NONE, "backspace");
    name(0x1D, Prefix.NONE, "ctrl", "control", "leftctrl");
    name(0x2A, Prefix.NONE, "shift", "leftshift");
    name(0x36, Prefix.NONE, "rightshift");
    name(0x38, Prefix.NONE, "alt", "leftalt");
    name(0x3A, Prefix.NONE, "capslock");
    name(0x45, Prefix.NONE, "numlock");
    name(0x46, Prefix.NONE, "scrolllock");
    for (int i = 1; i <= 10; i++) {
      name(0x3A + i, Prefix.NONE, "f" + i);
    }
    name(0x57, Prefix.NONE, "f11");
    name(0x58, Prefix.NONE, "f12");
    name(0x37, Prefix.E0, "print", "printscreen", "sysrq");
    name(0x1D, Prefix.E0, "rightctrl");
    name(0x38, Prefix.E0, "rightalt", "altgr");
    name(0x47, Prefix.E0, "home");
    name(0x48, Prefix.E0, "up");
    name(0x49, Prefix.E0, "pageup", "pgup");
    name(0x4B, Prefix.E0, "left");
    name(0x4D, Prefix.E0, "right");
    name(0x4F, Prefix.E0, "end");
    name(0x50, Prefix.E0, "down");
    name(0x51, Prefix.E0, "pagedown", "pgdn");
    name(0x52, Prefix.E0, "insert", "ins");
    name(0x53, Prefix.E0, "delete", "del");
    name(0x5B, Prefix.E0, "meta", "super", "win");
    name(0x5C, Prefix.E0, "rightmeta");
    name(0x5D, Prefix.E0, "menu");
    name(0x1D, Prefix.E1, PAUSE, "break");
    name(0x35, Prefix.E0, "kpslash");
    name(0x37, Prefix.NONE, "kpasterisk");
    name(0x4A, Prefix.NONE, "kpminus");
    name(0x4E, Prefix.NONE, "kpplus");
    name(0x1C, Prefix.E0, "kpenter");
    name(0x53, Prefix.NONE, "kpdot");
    int[] pad = {0x52, 0x4F, 0x50, 0x51, 0x4B, 0x4C, 0x4D, 0x47, 0x48, 0x49};
    for (int i = 0; i < pad.length; i++) {
      name(pad[i], Prefix.NONE, "kp" + i);
    }
  }

  private UsKeyboard() {}

  /// The codes of a row of keys follow one another.
  private static void row(int firstCode, String plain, String shifted) {
    for (int i = 0; i < plain.length(); i++) {
      var key = new Key(firstCode + i, Prefix.NONE);
      PLAIN.put(plain.charAt(i), key);
      SHIFTED.put(shifted.charAt(i), key);
    }
  }

  private static void alias(char character, String... names) {
    var key = PLAIN.get(character);
    if (key == null) {
      throw new AssertionError("no key gives " + character);
    }
    for (var name : names) {
      KEYS.put(name, key);
    }
  }

  private static void name(int code, Prefix prefix, String... names) {
    for (var name : names) {
      KEYS.put(name, new Key(code, prefix));
    }
  }

  /// What keys are called, in alphabetical order.
  public static List<String> names() {
    return List.copyOf(new TreeSet<>(KEYS.keySet()));
  }

  /// The keystrokes of a combination: all keys go down in order, and up in the reverse.
  ///
  /// @param combination names with `-` or `+` between them: `ctrl-alt-del`, `alt-sysrq-h`
  /// @throws IllegalArgumentException if it names no key
  public static List<Keystroke> combination(String combination) {
    List<Key> keys = new ArrayList<>();
    for (var name : combination.toLowerCase(Locale.ROOT).split("[-+]", -1)) {
      var key = KEYS.get(name);
      if (key == null) {
        throw new IllegalArgumentException("no key \"" + name + "\" in \"" + combination + "\"");
      }
      boolean withAlt = keys.contains(ALT) || keys.contains(RIGHT_ALT);
      keys.add(key.equals(KEYS.get("sysrq")) && withAlt ? SYSTEM_REQUEST : key);
    }
    List<Keystroke> strokes = new ArrayList<>();
    for (var key : keys) {
      strokes.add(key.press());
      if (key.equals(PAUSE_FIRST)) {
        strokes.add(PAUSE_SECOND.press());
      }
    }
    for (var key : keys.reversed()) {
      strokes.add(key.release());
      if (key.equals(PAUSE_FIRST)) {
        strokes.add(PAUSE_SECOND.release());
      }
    }
    return strokes;
  }

  /// The keystrokes that type a text.
  ///
  /// @param text characters of ASCII that can be seen, spaces, tabs and line feeds
  /// @throws IllegalArgumentException if there is another character in it
  public static List<Keystroke> text(String text) {
    List<Keystroke> strokes = new ArrayList<>();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      var plain = PLAIN.get(c);
      var shifted = SHIFTED.get(c);
      if (plain != null) {
        strokes.add(plain.press());
        strokes.add(plain.release());
      } else if (shifted != null) {
        strokes.add(SHIFT.press());
        strokes.add(shifted.press());
        strokes.add(shifted.release());
        strokes.add(SHIFT.release());
      } else {
        throw new IllegalArgumentException(
            "no key of a US keyboard gives U+%04X".formatted((int) c));
      }
    }
    return strokes;
  }
}
