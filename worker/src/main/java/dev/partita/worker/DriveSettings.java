package dev.partita.worker;

import dev.partita.disk.DiskFormat;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// A drive that an operator asks for.
///
/// @param kind disk or DVD drive
/// @param file of a disk, or of the medium in a DVD drive; null for an empty DVD drive
/// @param format of a disk's file; null when its name tells
/// @param readOnly whether a disk may not be written; a DVD never is
/// @param lun where it is to be, 0 to 63; null for the first that is free
public record DriveSettings(
    Kind kind,
    @Nullable Path file,
    @Nullable DiskFormat format,
    boolean readOnly,
    @Nullable Integer lun) {
  /// Kinds of drives.
  public enum Kind {
    DISK,
    DVD;

    /// In small letters.
    public String label() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }
  }

  public DriveSettings {
    if (kind == Kind.DISK && file == null) {
      throw new IllegalArgumentException("a disk without a file");
    }
  }

  /// A disk that may be written, in a format that its name tells.
  public static DriveSettings disk(Path file) {
    return new DriveSettings(Kind.DISK, file, null, false, null);
  }

  /// A DVD drive with a medium, or an empty one.
  public static DriveSettings dvd(@Nullable Path file) {
    return new DriveSettings(Kind.DVD, file, null, true, null);
  }
}
