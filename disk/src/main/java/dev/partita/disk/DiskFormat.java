package dev.partita.disk;

import java.util.Locale;

/// The formats of disk files.
public enum DiskFormat {
  /// The disk's sectors and nothing else; an ISO image too.
  RAW,
  /// Virtual Hard Disk Image Format Specification, version 1.0.
  VHD,
  /// [MS-VHDX], Virtual Hard Disk v2.
  VHDX;

  /// The format's name in small letters.
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
