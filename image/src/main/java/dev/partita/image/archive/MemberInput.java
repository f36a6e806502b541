package dev.partita.image.archive;

import java.io.IOException;
import java.io.InputStream;

/// The bytes of one member of an archive that is itself a stream: exactly `size` bytes of the
/// stream below, which stays open. The end of the stream below before that is an error.
final class MemberInput extends InputStream {
  private final InputStream in;
  private final String name;
  private long left;

  MemberInput(InputStream in, String name, long size) {
    this.in = in;
    this.name = name;
    this.left = size;
  }

  long left() {
    return left;
  }

  @Override
  public int read() throws IOException {
    if (left == 0) {
      return -1;
    }
    int value = in.read();
    if (value < 0) {
      throw truncated();
    }
    left--;
    return value;
  }

  @Override
  public int read(byte[] buffer, int offset, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    if (left == 0) {
      return -1;
    }
    int count = in.read(buffer, offset, (int) Math.min(length, left));
    if (count < 0) {
      throw truncated();
    }
    left -= count;
    return count;
  }

  /// Reads what is left, to stand at the member's end.
  void drain() throws IOException {
    byte[] buffer = new byte[64 << 10];
    while (left > 0) {
      if (read(buffer, 0, buffer.length) < 0) {
        throw truncated();
      }
    }
  }

  private MalformedArchiveException truncated() {
    return new MalformedArchiveException(
        "%s: the archive ends %d bytes before the member does".formatted(name, left));
  }
}
