package dev.partita.worker;

import dev.partita.enlightenment.GuestCrash;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/// A guest's report of its own crash, as an operator reads it.
final class GuestPanic {
  /// Of the guest's own words the last lines are shown: an oops and the panic after it.
  private static final int MAXIMUM_LINES = 40;

  /// What Linux puts before each line: `[    1.502378] `.
  private static final Pattern TIMESTAMP = Pattern.compile("^\\[ *[0-9]+\\.[0-9]+\\] ");

  private static final Pattern PANIC = Pattern.compile("panic - not syncing");

  private GuestPanic() {}

  /// What happened, in one line: the last that speaks of a panic, or else the last of all.
  static String summary(GuestCrash crash) {
    var words = words(crash);
    if (words.isEmpty()) {
      return "it reports a crash, without words";
    }
    var telling = words.getLast();
    for (var line : words) {
      if (PANIC.matcher(line).find()) {
        telling = line;
      }
    }
    return TIMESTAMP.matcher(telling).replaceFirst("");
  }

  /// Who, with what parameters, and what it said before.
  static List<String> details(GuestCrash crash) {
    var details = new ArrayList<String>();
    details.add(
        "reported by virtual processor %d, guest OS id %016x"
            .formatted(crash.processorIndex(), crash.guestOsId()));
    details.add(
        "P0 %016x  P1 %016x  P2 %016x  P3 %016x  P4 %016x"
            .formatted(crash.p0(), crash.p1(), crash.p2(), crash.p3(), crash.p4()));
    var words = words(crash);
    details.addAll(words.subList(Math.max(0, words.size() - MAXIMUM_LINES), words.size()));
    return details;
  }

  private static List<String> words(GuestCrash crash) {
    return crash.message().lines().filter(line -> !line.isBlank()).toList();
  }
}
