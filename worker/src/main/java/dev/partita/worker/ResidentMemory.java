package dev.partita.worker;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

/// How much of this process the host holds in memory, guest RAM and the rest apart (Linux proc(5),
/// `/proc/PID/smaps`).
///
/// @param guestRam resident bytes of the guest's RAM
/// @param rest resident bytes of all else
record ResidentMemory(long guestRam, long rest) {
  private static final Pattern MAPPING = Pattern.compile("([0-9a-f]+)-([0-9a-f]+) .*");
  private static final Pattern RSS = Pattern.compile("Rss: +([0-9]+) kB");

  /// Measures now; takes some milliseconds. Both zero where the host does not tell.
  static ResidentMemory measure(MemorySegment guestRam) {
    try {
      return of(
          Files.readAllLines(Path.of("/proc/self/smaps")),
          guestRam.address(),
          guestRam.address() + guestRam.byteSize());
    } catch (IOException e) {
      return new ResidentMemory(0, 0);
    }
  }

  /// Adds up the lines of smaps.
  ///
  /// @param start first address of guest RAM
  /// @param end the address after it
  static ResidentMemory of(List<String> smaps, long start, long end) {
    long ram = 0;
    long rest = 0;
    boolean isRam = false;
    for (var line : smaps) {
      var mapping = MAPPING.matcher(line);
      if (mapping.matches()) {
        long from = Long.parseUnsignedLong(mapping.group(1), 16);
        long to = Long.parseUnsignedLong(mapping.group(2), 16);
        isRam = Long.compareUnsigned(from, end) < 0 && Long.compareUnsigned(to, start) > 0;
        continue;
      }
      var rss = RSS.matcher(line);
      if (rss.matches()) {
        long bytes = Long.parseLong(rss.group(1)) << 10;
        ram += isRam ? bytes : 0;
        rest += isRam ? 0 : bytes;
      }
    }
    return new ResidentMemory(ram, rest);
  }
}
