package dev.partita.image.archive;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Reads an ar archive member by member, as deb(5) restricts it: the common format with names of
/// at most 15 characters, no symbol table and no table of long names.
///
/// Layout (ar(5)): the magic `!<arch>\n`, then for each member a header of 60 bytes (name 16,
/// modification time 12, owner 6, group 6, mode 8, size 10 in decimal, magic `` `\n ``) and its
/// bytes, padded with a newline to an even offset. Not thread-safe.
public final class ArReader {
  private static final byte[] MAGIC = "!<arch>\n".getBytes(StandardCharsets.US_ASCII);
  private static final int HEADER_SIZE = 60;
  private static final int NAME_LENGTH = 16;
  private static final int SIZE_OFFSET = 48;
  private static final int SIZE_LENGTH = 10;
  private static final int END_OFFSET = 58;

  private final InputStream in;
  private boolean started;
  private boolean padded;
  private @Nullable MemberInput body;

  /// One member.
  ///
  /// @param name its name, without the padding
  /// @param size its bytes
  /// @param content its bytes as a stream, good until the next call of {@link ArReader#next}
  public record Member(String name, long size, InputStream content) {}

  /// Reads from `in`, which the caller closes.
  public ArReader(InputStream in) {
    this.in = in;
  }

  /// Goes to the next member, past what was not read of this one.
  ///
  /// @return the member, or null at the archive's end
  /// @throws MalformedArchiveException when the input is no such archive
  public @Nullable Member next() throws IOException {
    if (!started) {
      byte[] magic = in.readNBytes(MAGIC.length);
      if (!Arrays.equals(magic, MAGIC)) {
        throw new MalformedArchiveException("not an ar archive: no !<arch> at its start");
      }
      started = true;
    }
    if (body != null) {
      body.drain();
      if (padded) {
        in.read(); // the last member's padding may be missing: the end shows at the next header
      }
      body = null;
    }
    byte[] header = in.readNBytes(HEADER_SIZE);
    if (header.length == 0) {
      return null;
    }
    if (header.length < HEADER_SIZE) {
      throw new MalformedArchiveException(
          "ar header cut short: %d of 60 bytes".formatted(header.length));
    }
    if (header[END_OFFSET] != '`' || header[END_OFFSET + 1] != '\n') {
      throw new MalformedArchiveException("ar header without its end mark");
    }
    String name = text(header, 0, NAME_LENGTH);
    if (name.endsWith("/")) {
      name = name.substring(0, name.length() - 1);
    }
    if (name.isEmpty() || name.contains("/") || name.startsWith("#")) {
      throw new MalformedArchiveException("ar member with a name that packages do not use");
    }
    String digits = text(header, SIZE_OFFSET, SIZE_LENGTH);
    if (digits.isEmpty() || !digits.chars().allMatch(c -> c >= '0' && c <= '9')) {
      throw new MalformedArchiveException("ar member %s: its size is no number".formatted(name));
    }
    long size = Long.parseLong(digits); // at most ten digits
    padded = (size & 1) != 0;
    body = new MemberInput(in, name, size);
    return new Member(name, size, body);
  }

  private static String text(byte[] header, int offset, int length)
      throws MalformedArchiveException {
    int end = offset + length;
    while (end > offset && header[end - 1] == ' ') {
      end--;
    }
    for (int i = offset; i < end; i++) {
      if (header[i] <= ' ' || header[i] > '~') {
        throw new MalformedArchiveException("ar header with a byte that is no printable character");
      }
    }
    return new String(header, offset, end - offset, StandardCharsets.US_ASCII);
  }
}
