package dev.partita.worker;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/// What a partition has cost so far.
///
/// @param instructions guest instructions retired, all processors
/// @param nanos wall-clock nanoseconds since the first power-on
/// @param counters intercepts by cause (`exits.port-read`), the engine's own (`engine.halts`), and
///     those of drives by LUN (`drive.0.reads`) and NICs by number
/// @param residentBeyondRam bytes of the process's resident set that are not guest RAM, at the
///     end of the last machine's life; 0 when not known
/// @param residentRam bytes of guest RAM that the host holds in memory then
public record Statistics(
    long instructions,
    long nanos,
    Map<String, Long> counters,
    long residentBeyondRam,
    long residentRam) {

  /// Nothing yet.
  public static final Statistics NONE = new Statistics(0, 0, Map.of(), 0, 0);

  public Statistics {
    counters = Map.copyOf(counters);
  }

  /// This and a later machine's: sums, and the later one's memory.
  Statistics plus(Statistics later) {
    var sum = new TreeMap<String, Long>(counters);
    later.counters.forEach((cause, count) -> sum.merge(cause, count, Long::sum));
    return new Statistics(
        instructions + later.instructions,
        nanos + later.nanos,
        sum,
        later.residentBeyondRam,
        later.residentRam);
  }

  /// This with further counters.
  Statistics with(Map<String, Long> more) {
    var all = new TreeMap<String, Long>(counters);
    all.putAll(more);
    return new Statistics(instructions, nanos, all, residentBeyondRam, residentRam);
  }

  /// Guest instructions a second, in millions.
  public double mips() {
    return nanos == 0 ? 0 : instructions * 1e3 / nanos;
  }

  /// One `key value` a line, for people and scripts alike.
  public List<String> lines() {
    var lines = new ArrayList<String>();
    lines.add("instructions %d".formatted(instructions));
    lines.add(String.format(Locale.ROOT, "seconds %.3f", nanos / 1e9));
    lines.add(String.format(Locale.ROOT, "mips %.1f", mips()));
    new TreeMap<>(counters).forEach((name, count) -> lines.add(name + " " + count));
    lines.add("resident.beyond-ram.kib %d".formatted(residentBeyondRam >> 10));
    lines.add("resident.ram.kib %d".formatted(residentRam >> 10));
    return lines;
  }
}
