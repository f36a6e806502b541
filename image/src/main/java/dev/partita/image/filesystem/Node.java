package dev.partita.image.filesystem;

/// A file, directory or symbolic link.
///
/// @param id within its file system
/// @param kind what it is
/// @param size bytes of its content
public record Node(long id, Kind kind, long size) {
  /// What nodes are told apart by here.
  public enum Kind {
    /// A regular file.
    FILE,
    /// A directory.
    DIRECTORY,
    /// A symbolic link.
    LINK,
    /// A device, pipe or socket.
    OTHER
  }
}
