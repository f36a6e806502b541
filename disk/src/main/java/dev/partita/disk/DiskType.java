package dev.partita.disk;

import java.util.Locale;

/// How a disk file holds its sectors.
public enum DiskType {
  /// Every sector has its place from the beginning.
  FIXED,
  /// Blocks get a place when they are first written.
  DYNAMIC,
  /// As dynamic; what was never written here is read from a parent disk.
  DIFFERENCING;

  /// The type's name in small letters.
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
