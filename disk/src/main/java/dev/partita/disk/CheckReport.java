package dev.partita.disk;

import java.util.List;

/// What a check of a disk file found.
///
/// @param errors what is wrong and still is
/// @param repaired what was wrong and is no longer
/// @param notes what is worth knowing and harms nothing
public record CheckReport(List<String> errors, List<String> repaired, List<String> notes) {
  /// Copies the lists.
  public CheckReport {
    errors = List.copyOf(errors);
    repaired = List.copyOf(repaired);
    notes = List.copyOf(notes);
  }

  /// Whether nothing is wrong.
  public boolean sound() {
    return errors.isEmpty();
  }
}
