package dev.partita.worker;

import dev.partita.disk.DiskFormat;
import dev.partita.hypervisor.PartitionException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// The requests of {@link ControlSocket} that are for the partition's drives. Words are encoded as
/// {@link ControlWords} tells; files are absolute paths of the host. Every answer begins with `ok`,
/// or is one line `error TEXT`.
///
/// - `drive-list`: `ok`, then for each drive a line `LUN KIND FORMAT ACCESS SIZE STATE READ WRITTEN
///   FILE`: kind `disk` or `dvd`; format `raw`, `vhd`, `vhdx`, or `-`; access `rw` or `ro`; sizes
///   in bytes; state `in`, `open` or `locked` of a DVD drive, else `-`; the file empty if there is
///   none.
/// - `drive-add KIND FILE FORMAT ACCESS LUN`: `ok LUN`. The file is empty for a DVD drive without a
///   medium, the format `-` if the file's name tells, the LUN `-` for the first that is free.
/// - `drive-remove LUN`: `ok`.
/// - `drive-insert LUN FILE`, `drive-eject LUN` with `ask` or `force`: `ok LUN`. The LUN is `-` for
///   the only DVD drive there is.
final class DriveRequests {
  private static final String NONE = "-";

  private final Drives drives;

  DriveRequests(Drives drives) {
    this.drives = drives;
  }

  /// Whether a request's first word is one of these.
  static boolean isFor(String request) {
    return request.startsWith("drive-");
  }

  /// Does it.
  ///
  /// @return the whole answer
  String serve(String request) {
    try {
      return answer(ControlWords.decode(request));
    } catch (PartitionException | IllegalArgumentException e) {
      return "error " + String.valueOf(e.getMessage()).replaceAll("\\p{Cntrl}", "?") + "\n";
    }
  }

  private String answer(List<String> words) {
    return switch (words.getFirst()) {
      case "drive-list" -> list();
      case "drive-add" -> "ok " + drives.add(settings(words)) + "\n";
      case "drive-remove" -> {
        drives.remove(number(word(words, 1)));
        yield "ok\n";
      }
      case "drive-insert" -> {
        int lun = dvd(words);
        drives.insert(lun, Path.of(word(words, 2)));
        yield "ok " + lun + "\n";
      }
      case "drive-eject" -> {
        int lun = dvd(words);
        drives.eject(lun, choice(word(words, 2), "ask", "force").equals("force"));
        yield "ok " + lun + "\n";
      }
      default -> throw new IllegalArgumentException("unknown request");
    };
  }

  private String list() {
    var lines = new StringBuilder("ok\n");
    for (var each : drives.list()) {
      var format = each.format();
      var counters = each.counters();
      var file = each.file();
      lines
          .append(
              ControlWords.encode(
                  Integer.toString(each.lun()),
                  each.kind().label(),
                  format == null ? NONE : format.label(),
                  each.readOnly() ? "ro" : "rw",
                  Long.toString(each.size()),
                  state(each),
                  Long.toString(counters == null ? 0 : counters.bytesRead()),
                  Long.toString(counters == null ? 0 : counters.bytesWritten()),
                  file == null ? "" : file))
          .append('\n');
    }
    return lines.toString();
  }

  private static String state(Drives.Info drive) {
    var tray = drive.tray();
    return tray == null ? NONE : tray.name().toLowerCase(Locale.ROOT);
  }

  private int dvd(List<String> words) {
    var lun = word(words, 1);
    return lun.equals(NONE) ? drives.onlyDvd() : number(lun);
  }

  private static DriveSettings settings(List<String> words) {
    boolean disk = choice(word(words, 1), "disk", "dvd").equals("disk");
    var file = word(words, 2);
    var lun = word(words, 5);
    if (disk && file.isEmpty()) {
      throw new IllegalArgumentException("a disk needs a file");
    }
    return new DriveSettings(
        disk ? DriveSettings.Kind.DISK : DriveSettings.Kind.DVD,
        file.isEmpty() ? null : Path.of(file),
        format(word(words, 3)),
        choice(word(words, 4), "rw", "ro").equals("ro"),
        lun.equals(NONE) ? null : Integer.valueOf(number(lun)));
  }

  private static @Nullable DiskFormat format(String label) {
    return label.equals(NONE)
        ? null
        : Arrays.stream(DiskFormat.values())
            .filter(each -> each.label().equals(label))
            .findFirst()
            .orElseThrow(() -> new IllegalArgumentException("no format " + label));
  }

  private static String word(List<String> words, int index) {
    if (index >= words.size()) {
      throw new IllegalArgumentException("a word is missing");
    }
    return words.get(index);
  }

  private static String choice(String word, String one, String other) {
    if (!word.equals(one) && !word.equals(other)) {
      throw new IllegalArgumentException("neither " + one + " nor " + other + ": " + word);
    }
    return word;
  }

  private static int number(String word) {
    if (!word.matches("[0-9]{1,4}")) {
      throw new IllegalArgumentException("not a LUN: " + word);
    }
    return Integer.parseInt(word);
  }
}
