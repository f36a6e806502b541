package dev.partita.image.archive;

/// One entry of a tar archive, its path made canonical: relative to the archive's root, components
/// parted by one `/`, none of them `.` or `..`, and empty for the root itself.
///
/// @param path where it goes
/// @param type what it is
/// @param mode permission bits, 0 to 07777
/// @param uid numeric owner
/// @param gid numeric group
/// @param size bytes of content; 0 unless a regular file
/// @param linkTarget the text of a symbolic link, or the canonical path of an earlier entry for a
///     hard link; empty otherwise
/// @param major device number's first part; 0 unless a device
/// @param minor device number's second part; 0 unless a device
public record TarEntry(
    String path,
    Type type,
    int mode,
    long uid,
    long gid,
    long size,
    String linkTarget,
    int major,
    int minor) {

  /// What an entry is.
  public enum Type {
    REGULAR,
    HARD_LINK,
    SYMBOLIC_LINK,
    CHARACTER_DEVICE,
    BLOCK_DEVICE,
    DIRECTORY,
    FIFO
  }
}
