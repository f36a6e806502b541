package dev.partita.disk;

/// A run of sectors that are held the same way.
///
/// @param offset where it begins, in bytes
/// @param length its bytes; at least one sector
/// @param kind how it is held
public record Extent(long offset, long length, Kind kind) {
  /// How a run is held.
  public enum Kind {
    /// Its content is in a file.
    DATA,
    /// It reads as zeroes and takes no room.
    ZERO,
    /// This file says nothing of it: the parent is asked.
    PARENT
  }

  /// The byte after the last.
  public long end() {
    return offset + length;
  }
}
