package dev.partita.image.filesystem;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// Tells what is on a volume.
public final class FileSystems {
  private FileSystems() {}

  /// What a volume holds.
  public sealed interface Found {
    /// A file system that can be read.
    record Readable(FileSystem fileSystem) implements Found {}

    /// Something else.
    ///
    /// @param name what, such as `XFS` or `an LVM physical volume`; empty when it is not known
    record Other(String name) implements Found {}
  }

  /// A signature.
  private record Signature(String name, long offset, byte[] bytes) {
    Signature(String name, long offset, String text) {
      this(name, offset, text.getBytes(StandardCharsets.ISO_8859_1));
    }
  }

  /// As blkid(8) knows them.
  private static final List<Signature> OTHERS =
      List.of(
          new Signature("XFS", 0, "XFSB"),
          new Signature("btrfs", 0x10040, "_BHRfS_M"),
          new Signature("an encrypted volume (LUKS)", 0, "LUKS\u00ba\u00be"),
          new Signature("an LVM physical volume", 512, "LABELONE"),
          new Signature("an LVM physical volume", 0, "LABELONE"),
          new Signature("swap space", 4086, "SWAPSPACE2"),
          new Signature("NTFS", 3, "NTFS    "),
          new Signature("exFAT", 3, "EXFAT   "),
          new Signature("ISO 9660", 0x8001, "CD001"),
          new Signature("squashfs", 0, "hsqs"),
          new Signature("EROFS", 1024, "\u00e2\u00e1\u00f5\u00e0"),
          new Signature("F2FS", 1024, "\u0010\u0020\u00f5\u00f2"),
          new Signature("bcachefs", 4096 + 24, "\u00c6\u0085\u0073\u00f6"),
          new Signature("ReFS", 3, "ReFS"));

  /// Looks at a volume.
  ///
  /// @throws MalformedFileSystemException when what is there contradicts itself
  public static Found detect(Volume volume) throws IOException {
    if (ExtFileSystem.isPresent(volume)) {
      return new Found.Readable(ExtFileSystem.open(volume));
    }
    for (Signature signature : OTHERS) {
      int length = signature.bytes().length;
      if (volume.length() >= signature.offset() + length) {
        ByteBuffer there = volume.structure(signature.offset(), length);
        if (java.util.Arrays.equals(there.array(), signature.bytes())) {
          return new Found.Other(signature.name());
        }
      }
    }
    if (FatFileSystem.isPresent(volume)) {
      return new Found.Readable(FatFileSystem.open(volume));
    }
    return new Found.Other("");
  }
}
