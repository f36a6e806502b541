package dev.partita.image.archive;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/// Reads a Debian binary package (deb(5), format 2.0) as a stream, in memory that does not grow
/// with the package: `debian-binary`, then `control.tar`, then `data.tar`, each of the latter
/// plain or compressed by gzip, xz or zstd.
public final class DebReader {
  private static final int CONTROL_BYTES = 4 << 20;

  private DebReader() {}

  /// Hears what a package holds, in its order.
  public interface Visitor {
    /// The text of the package's `control` file, before any entry.
    default void control(String text) throws IOException {}

    /// One entry of the package's file tree.
    ///
    /// @param content the entry's bytes, good during the call; they need not be read
    void entry(TarEntry entry, InputStream content) throws IOException;
  }

  /// Reads a package to its end.
  ///
  /// @param in the package; the caller closes it
  /// @throws MalformedArchiveException when it is no package or breaks a limit
  public static void read(InputStream in, ArchiveLimits limits, Visitor visitor)
      throws IOException {
    ArReader ar = new ArReader(in);
    ArReader.Member member = ar.next();
    if (member == null || !member.name().equals("debian-binary")) {
      throw new MalformedArchiveException("not a Debian package: debian-binary is not its start");
    }
    String version =
        new String(member.content().readNBytes(16), StandardCharsets.ISO_8859_1).strip();
    if (!version.startsWith("2.")) {
      throw new MalformedArchiveException("a Debian package of a format other than 2");
    }
    boolean controlSeen = false;
    while ((member = ar.next()) != null) {
      String name = member.name();
      if (name.startsWith("_")) {
        continue; // deb(5): to be ignored
      }
      switch (Decompressor.plainName(name)) {
        case "control.tar" -> {
          if (controlSeen) {
            throw new MalformedArchiveException("a Debian package with two control members");
          }
          controlSeen = true;
          readControl(name, member.content(), limits, visitor);
        }
        case "data.tar" -> {
          if (!controlSeen) {
            throw new MalformedArchiveException(
                "a Debian package with its data before its control");
          }
          readData(name, member.content(), limits, visitor);
          return;
        }
        default ->
            throw new MalformedArchiveException(
                "a Debian package with the member %s, which this reader does not know"
                    .formatted(name));
      }
    }
    throw new MalformedArchiveException("a Debian package without data: is it cut short?");
  }

  private static void readControl(
      String name, InputStream content, ArchiveLimits limits, Visitor visitor) throws IOException {
    ArchiveLimits small =
        new ArchiveLimits(
            Math.min(CONTROL_BYTES, limits.totalBytes()),
            CONTROL_BYTES,
            limits.entries(),
            limits.pathBytes(),
            limits.decoderKibibytes());
    TarReader tar = new TarReader(Decompressor.open(name, content, small), small);
    String text = null;
    for (TarEntry entry = tar.next(); entry != null; entry = tar.next()) {
      if (entry.path().equals("control") && entry.type() == TarEntry.Type.REGULAR) {
        text = new String(tar.content().readAllBytes(), StandardCharsets.UTF_8);
      }
    }
    if (text == null) {
      throw new MalformedArchiveException("a Debian package without a control file");
    }
    visitor.control(text);
  }

  private static void readData(
      String name, InputStream content, ArchiveLimits limits, Visitor visitor) throws IOException {
    InputStream plain = Decompressor.open(name, content, limits);
    TarReader tar = new TarReader(plain, limits);
    for (TarEntry entry = tar.next(); entry != null; entry = tar.next()) {
      visitor.entry(entry, tar.content());
    }
    // On to the end, so that the compressor's check sum over the whole is verified too.
    byte[] buffer = new byte[64 << 10];
    while (plain.read(buffer) >= 0) {}
  }
}
