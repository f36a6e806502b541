package dev.partita.image.archive;

/// How much an archive may ask for before reading it stops with a {@link
/// MalformedArchiveException}. They bound memory, time and disk against archives made to hurt.
///
/// @param totalBytes bytes after decompression, for the whole of one compressed member
/// @param entryBytes bytes of one file
/// @param entries files, directories and links in all
/// @param pathBytes bytes of one path or link target
/// @param decoderKibibytes memory that a decompressor may take for its dictionary, in KiB
public record ArchiveLimits(
    long totalBytes, long entryBytes, int entries, int pathBytes, int decoderKibibytes) {

  /// Enough for a distribution's full kernel: 2 GiB in all, 512 MiB in one file, 200,000 entries,
  /// paths of PATH_MAX (Linux, 4096), and 96 MiB for the decompressor (`xz -9` takes 65 MiB, `zstd
  /// -19` 8 MiB).
  public static final ArchiveLimits PACKAGE =
      new ArchiveLimits(2L << 30, 512L << 20, 200_000, 4096, 96 << 10);
}
