package dev.partita.disk;

import java.util.UUID;
import org.jspecify.annotations.Nullable;

/// How a differencing disk names its parent.
///
/// @param identity of the parent's content (VHDX: its data write GUID; VHD: its unique id)
/// @param secondIdentity another that will do as well: what the parent's will be after a merge that
///     is under way ([MS-VHDX] 2.6.2.6.3 parent_linkage2)
/// @param relativePath from the child's folder to the parent, with the separators of the host
/// @param absolutePath likewise absolute
record ParentLocator(
    UUID identity,
    @Nullable UUID secondIdentity,
    @Nullable String relativePath,
    @Nullable String absolutePath) {

  boolean accepts(UUID parent) {
    return parent.equals(identity) || parent.equals(secondIdentity);
  }

  /// A path as Windows writes it.
  static String toWindows(String path) {
    return path.replace('/', '\\');
  }

  /// A path as this host writes it.
  static String toHost(String path) {
    return path.replace('\\', java.io.File.separatorChar);
  }
}
