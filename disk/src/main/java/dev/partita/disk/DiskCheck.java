package dev.partita.disk;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Checks the structures of a disk file, and mends what can be mended without guessing: a log to
/// replay, copies that differ, room at the file's end that nothing uses.
public final class DiskCheck {
  private static final int MOST_ERRORS = 100;

  private final List<String> errors = new ArrayList<>();
  private final List<String> repaired = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();
  private final boolean repair;

  private DiskCheck(boolean repair) {
    this.repair = repair;
  }

  /// Checks a file, and its parents as far as that it opens over them.
  ///
  /// @param format null when the name tells it
  /// @param repair whether to mend; the file is then opened for writing
  /// @throws IOException when the file cannot be opened or read at all
  public static CheckReport check(Path path, @Nullable DiskFormat format, boolean repair)
      throws IOException {
    var actual = format == null ? Disks.formatOf(path) : format;
    CheckReport report;
    try (var file = HostFile.open(path, repair)) {
      report = check(file, actual, repair);
    }
    if (!report.sound() || actual == DiskFormat.RAW) {
      return report;
    }
    try (var disk = Disks.open(path, actual, false)) {
      var notes = new ArrayList<>(report.notes());
      if (disk instanceof OpenDisk open && open.parent() != null) {
        notes.addAll(parentNotes(open));
      }
      return new CheckReport(report.errors(), report.repaired(), notes);
    } catch (DiskException e) {
      return new CheckReport(
          List.of(String.valueOf(e.getMessage())), report.repaired(), report.notes());
    }
  }

  private static List<String> parentNotes(OpenDisk disk) throws IOException {
    var notes = new ArrayList<String>();
    var parent = disk.parent();
    if (parent != null
        && disk.image() instanceof VhdImage vhd
        && parent.file() instanceof HostFile file) {
      var header = vhd.structures().header();
      int time = VhdFooter.timestamp(Files.getLastModifiedTime(file.path()).toInstant());
      if (header != null && header.parentTimestamp() != time) {
        notes.add(
            "its parent %s was modified, or copied, after this disk was made"
                .formatted(parent.name()));
      }
    }
    return notes;
  }

  /// Checks a file alone.
  static CheckReport check(DiskFile file, DiskFormat format, boolean repair) throws IOException {
    var check = new DiskCheck(repair);
    try {
      switch (format) {
        case RAW -> check.note("a raw disk has no structures to check");
        case VHD -> check.checkVhd(file);
        case VHDX -> check.checkVhdx(file);
      }
    } catch (DiskException e) {
      check.error(String.valueOf(e.getMessage()));
    }
    return new CheckReport(check.errors, check.repaired, check.notes);
  }

  private void error(String message) {
    if (errors.size() < MOST_ERRORS) {
      errors.add(message);
    } else if (errors.size() == MOST_ERRORS) {
      errors.add("and more");
    }
  }

  private void note(String message) {
    notes.add(message);
  }

  private void repairOrNote(String what, boolean harmless) {
    if (repair) {
      repaired.add(what);
    } else if (harmless) {
      note(what);
    } else {
      error(what + "; repair mends it");
    }
  }

  private void checkVhdx(DiskFile opened) throws IOException {
    boolean headersWhole = VhdxHeaders.bothValid(opened);
    var structures = VhdxStructures.read(opened, this::error);
    if (structures.replayed() > 0) {
      repairOrNote(
          "the log holds %d entries: the disk was not closed; opening it for writing replays them"
              .formatted(structures.replayed()),
          true);
    }
    var file = structures.file();
    if (!headersWhole) {
      repairOrNote("one of the two headers is damaged", false);
      if (repair) {
        structures.headers().update(header -> header);
      }
    }
    if (!VhdxRegions.bothValid(file)) {
      repairOrNote("one of the two region tables is damaged", false);
      if (repair) {
        structures.regions().write(file);
      }
    }
    long end = structures.space().end();
    long holes = structures.space().holes();
    if (holes > 0) {
      note(DiskInfo.bytes(holes) + " within the file are free for further blocks");
    }
    if (file.size() > end && errors.isEmpty() && !structures.metadata().leaveAllocated()) {
      repairOrNote(DiskInfo.bytes(file.size() - end) + " at the file's end are not in use", true);
      if (repair) {
        file.resize(end);
        file.force();
      }
    }
  }

  private void checkVhd(DiskFile file) throws IOException {
    var structures = VhdStructures.read(file, this::error);
    var footer = structures.footer().encode();
    if (!structures.copyWhole()) {
      repairOrNote("the footer's copy at the file's beginning is damaged or differs", false);
      if (repair) {
        file.write(0, footer);
        file.force();
      }
    }
    if (!structures.footerAtEnd()) {
      repairOrNote("the footer at the file's end is damaged", false);
      if (repair && errors.isEmpty()) {
        file.resize(structures.end());
        file.write(structures.end(), footer);
        file.force();
      }
    }
    long gaps = structures.unused();
    // Blocks are aligned, which leaves less than a page before each.
    long ordinary = 4096L * (1 + Arrays.stream(structures.table()).filter(e -> e != -1).count());
    if (gaps > ordinary) {
      note(DiskInfo.bytes(gaps) + " within the file are not in use; converting gives them back");
    }
  }
}
