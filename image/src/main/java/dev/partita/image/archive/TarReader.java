package dev.partita.image.archive;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Reads the tar archives that deb(5) allows: v7, ustar, and of the GNU extensions long names,
/// long link targets and base-256 numbers. Any other type of entry is an error, as it is for dpkg.
///
/// Layout: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
/// Every number, path and size is checked against the {@link ArchiveLimits} before it is used. Not
/// thread-safe.
public final class TarReader {
  private static final int BLOCK = 512;
  private static final int NAME = 0;
  private static final int MODE = 100;
  private static final int UID = 108;
  private static final int GID = 116;
  private static final int SIZE = 124;
  private static final int CHECKSUM = 148;
  private static final int TYPE = 156;
  private static final int LINK = 157;
  private static final int MAGIC = 257;
  private static final int MAJOR = 329;
  private static final int MINOR = 337;
  private static final int PREFIX = 345;

  private final InputStream in;
  private final ArchiveLimits limits;
  private int entries;
  private int padding;
  private @Nullable MemberInput body;

  /// Reads from `in`, which the caller closes.
  public TarReader(InputStream in, ArchiveLimits limits) {
    this.in = in;
    this.limits = limits;
  }

  /// Goes to the next entry, past what was not read of this one.
  ///
  /// @return the entry, or null at the archive's end
  /// @throws MalformedArchiveException when the input breaks the format or a limit
  public @Nullable TarEntry next() throws IOException {
    String longName = null;
    String longLink = null;
    while (true) {
      finishBody();
      byte[] header = in.readNBytes(BLOCK);
      if (header.length == 0 || isZero(header)) {
        return null; // dpkg writes two zero blocks; one, or none at the end of the input, serves
      }
      if (header.length < BLOCK) {
        throw new MalformedArchiveException(
            "tar header cut short: %d of 512 bytes".formatted(header.length));
      }
      verifyChecksum(header);
      if (++entries > limits.entries()) {
        throw new MalformedArchiveException(
            "tar archive with more than %d entries".formatted(limits.entries()));
      }
      char type = (char) (header[TYPE] & 0xff);
      long size = number(header, SIZE, 12);
      switch (type) {
        case 'L' -> longName = metadata(size);
        case 'K' -> longLink = metadata(size);
        default -> {
          return entry(header, type, size, longName, longLink);
        }
      }
    }
  }

  /// The content of the entry that {@link #next} gave last: good until its next call, and empty
  /// unless a regular file.
  public InputStream content() {
    return body != null ? body : InputStream.nullInputStream();
  }

  private TarEntry entry(
      byte[] header, char typeFlag, long size, @Nullable String longName, @Nullable String longLink)
      throws IOException {
    String name = longName != null ? longName : headerName(header);
    TarEntry.Type type =
        switch (typeFlag) {
          case '0', '\0', '7' ->
              name.endsWith("/") ? TarEntry.Type.DIRECTORY : TarEntry.Type.REGULAR;
          case '1' -> TarEntry.Type.HARD_LINK;
          case '2' -> TarEntry.Type.SYMBOLIC_LINK;
          case '3' -> TarEntry.Type.CHARACTER_DEVICE;
          case '4' -> TarEntry.Type.BLOCK_DEVICE;
          case '5' -> TarEntry.Type.DIRECTORY;
          case '6' -> TarEntry.Type.FIFO;
          default ->
              throw new MalformedArchiveException(
                  "tar entry %s of type 0x%02x, which packages do not use"
                      .formatted(printable(name), (int) typeFlag));
        };
    String path = canonical(name, limits);
    if (path.isEmpty() && type != TarEntry.Type.DIRECTORY) {
      throw new MalformedArchiveException("tar entry that names the root but is no directory");
    }
    String target = "";
    if (type == TarEntry.Type.SYMBOLIC_LINK || type == TarEntry.Type.HARD_LINK) {
      target = longLink != null ? longLink : string(header, LINK, 100);
      if (target.isEmpty()) {
        throw new MalformedArchiveException(
            "tar entry %s: a link to nothing".formatted(printable(path)));
      }
      if (type == TarEntry.Type.HARD_LINK) {
        target = canonical(target, limits);
      }
    }
    if (size > limits.entryBytes()) {
      throw new MalformedArchiveException(
          "tar entry %s: %d bytes, more than the %d allowed"
              .formatted(printable(path), size, limits.entryBytes()));
    }
    boolean device = type == TarEntry.Type.CHARACTER_DEVICE || type == TarEntry.Type.BLOCK_DEVICE;
    long major = device ? number(header, MAJOR, 8) : 0;
    long minor = device ? number(header, MINOR, 8) : 0;
    if (major > 0xfff || minor > 0xfffff) { // Linux: 12 and 20 bits
      throw new MalformedArchiveException(
          "tar entry %s: no such device number".formatted(printable(path)));
    }
    if (type == TarEntry.Type.REGULAR) {
      body = new MemberInput(in, printable(path), size);
      padding = (int) (-size & (BLOCK - 1));
    } else {
      size = 0; // POSIX: only a regular file has blocks after its header
    }
    return new TarEntry(
        path,
        type,
        (int) number(header, MODE, 8) & 07777,
        number(header, UID, 8),
        number(header, GID, 8),
        size,
        target,
        (int) major,
        (int) minor);
  }

  private void finishBody() throws IOException {
    MemberInput unread = body;
    if (unread != null) {
      unread.drain();
      body = null;
      int missing = padding - in.readNBytes(padding).length;
      if (missing > 0) {
        throw new MalformedArchiveException("tar archive ends within a file's last block");
      }
    }
  }

  /// A long name or link target, which GNU tar stores as the content of an entry of its own.
  private String metadata(long size) throws IOException {
    if (size < 1 || size > limits.pathBytes() + 1) {
      throw new MalformedArchiveException("tar entry with a name of %d bytes".formatted(size));
    }
    int blocks = (int) (size + BLOCK - 1) / BLOCK * BLOCK;
    byte[] bytes = in.readNBytes(blocks);
    if (bytes.length < blocks) {
      throw new MalformedArchiveException("tar archive ends within a long name");
    }
    return string(bytes, 0, (int) size);
  }

  private static String headerName(byte[] header) {
    String name = string(header, NAME, 100);
    // Old GNU headers ("ustar  ") keep other things where POSIX ones have the prefix.
    boolean posix = string(header, MAGIC, 6).equals("ustar") && header[MAGIC + 5] == 0;
    String prefix = posix ? string(header, PREFIX, 155) : "";
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  /// Makes a path relative to the archive's root, in the form {@link TarEntry} promises.
  static String canonical(String path, ArchiveLimits limits) throws MalformedArchiveException {
    if (path.startsWith("/")) {
      throw new MalformedArchiveException(
          "archive entry with the absolute path %s".formatted(printable(path)));
    }
    if (path.length() > limits.pathBytes()) {
      throw new MalformedArchiveException("archive entry with too long a path");
    }
    List<String> parts = new ArrayList<>();
    for (String part : path.split("/", -1)) {
      if (part.equals("..")) {
        throw new MalformedArchiveException(
            "archive entry whose path climbs out of the archive: %s".formatted(printable(path)));
      }
      if (!part.isEmpty() && !part.equals(".")) {
        parts.add(part);
      }
    }
    return String.join("/", parts);
  }

  private static void verifyChecksum(byte[] header) throws MalformedArchiveException {
    long sum = 0;
    for (int i = 0; i < BLOCK; i++) {
      sum += i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : header[i] & 0xff;
    }
    if (number(header, CHECKSUM, 8) != sum) {
      throw new MalformedArchiveException("tar header with a wrong checksum");
    }
  }

  /// A number in octal digits, or in base 256 when the first byte is 0x80 (GNU). Never negative.
  private static long number(byte[] header, int offset, int length)
      throws MalformedArchiveException {
    if (header[offset] == (byte) 0x80) {
      long value = 0;
      for (int i = offset + 1; i < offset + length; i++) {
        if (value >>> 55 != 0) {
          throw new MalformedArchiveException("tar header with a number past 63 bits");
        }
        value = value << 8 | header[i] & 0xff;
      }
      return value;
    }
    int i = offset;
    int end = offset + length;
    while (i < end && header[i] == ' ') {
      i++;
    }
    long value = 0;
    for (; i < end && header[i] != 0 && header[i] != ' '; i++) {
      if (header[i] < '0' || header[i] > '7') {
        throw new MalformedArchiveException("tar header with a number that is not octal");
      }
      value = value << 3 | header[i] - '0'; // 12 digits at most: 36 bits
    }
    return value;
  }

  /// Names are bytes to Linux: ISO 8859-1 keeps each one, and what is not ASCII comes out as it
  /// went in.
  private static String string(byte[] bytes, int offset, int length) {
    int end = offset;
    while (end < offset + length && bytes[end] != 0) {
      end++;
    }
    return new String(bytes, offset, end - offset, StandardCharsets.ISO_8859_1);
  }

  private static boolean isZero(byte[] block) {
    for (byte b : block) {
      if (b != 0) {
        return false;
      }
    }
    return block.length == BLOCK;
  }

  private static String printable(String text) {
    StringBuilder out = new StringBuilder();
    text.chars().limit(120).forEach(c -> out.append(c < ' ' || c > '~' ? '?' : (char) c));
    return out.toString();
  }
}
