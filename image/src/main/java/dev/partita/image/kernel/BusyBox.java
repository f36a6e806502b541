package dev.partita.image.kernel;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// Finds what a BusyBox program can do by looking at the program, since the host may not be able
/// to run it.
///
/// BusyBox keeps the names of its applets as one sorted run of zero-ended strings that starts with
/// those of the test command, `[` and `[[` (BusyBox: docs/new-applet-HOWTO.txt and its
/// `applet_names`).
public final class BusyBox {
  private static final byte[] START = {0, '[', 0, '[', '[', 0};
  private static final int LONGEST_NAME = 40;

  private BusyBox() {}

  /// The names of the applets in their order, without `busybox` itself; empty when the program
  /// keeps them in another way.
  public static List<String> applets(byte[] program) {
    for (int at = indexOf(program, 0); at >= 0; at = indexOf(program, at + 1)) {
      List<String> names = namesAt(program, at + 1);
      if (names.contains("sh") && names.contains("mount") && names.contains("poweroff")) {
        return names.stream().filter(name -> !name.equals("busybox")).toList();
      }
    }
    return List.of();
  }

  private static List<String> namesAt(byte[] program, int start) {
    List<String> names = new ArrayList<>();
    String previous = "";
    int at = start;
    while (true) {
      int end = at;
      while (end < program.length && end - at <= LONGEST_NAME && isNameByte(program[end])) {
        end++;
      }
      if (end == at || end == program.length || program[end] != 0) {
        return names;
      }
      String name = new String(program, at, end - at, StandardCharsets.US_ASCII);
      if (name.compareTo(previous) <= 0) {
        return names; // no longer sorted: other strings follow the table
      }
      names.add(name);
      previous = name;
      at = end + 1;
    }
  }

  private static boolean isNameByte(byte b) {
    return b >= 'a' && b <= 'z'
        || b >= 'A' && b <= 'Z'
        || b >= '0' && b <= '9'
        || b == '['
        || b == '-'
        || b == '_'
        || b == '.';
  }

  private static int indexOf(byte[] program, int from) {
    for (int i = from; i <= program.length - START.length; i++) {
      int k = 0;
      while (k < START.length && program[i + k] == START[k]) {
        k++;
      }
      if (k == START.length) {
        return i;
      }
    }
    return -1;
  }
}
