package dev.partita.disk;

/// Hears how far a long operation has come.
@FunctionalInterface
public interface Progress {
  /// Hears nothing.
  Progress SILENT = (_, _) -> {};

  /// One more step is done.
  ///
  /// @param done bytes so far
  /// @param total bytes in all
  void update(long done, long total);
}
