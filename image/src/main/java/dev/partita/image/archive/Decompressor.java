package dev.partita.image.archive;

import io.airlift.compress.v3.zstd.ZstdJavaInputStream;
import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.GZIPInputStream;
import org.tukaani.xz.XZInputStream;

/// Opens compressed streams by the suffix of their name. Whatever a decompressor throws at broken
/// input comes out as a {@link MalformedArchiveException}, and output past the limit as well.
public final class Decompressor {
  private Decompressor() {}

  /// The name without the suffix of its compression: `data.tar.xz` gives `data.tar`.
  public static String plainName(String name) {
    for (String suffix : new String[] {".gz", ".xz", ".zst"}) {
      if (name.endsWith(suffix)) {
        return name.substring(0, name.length() - suffix.length());
      }
    }
    return name;
  }

  /// Opens `in` for reading what was compressed.
  ///
  /// @param name the name that ends in `.gz`, `.xz`, `.zst` or, for no compression, in none of
  ///     them
  /// @param in the compressed bytes; the caller closes it
  public static InputStream open(String name, InputStream in, ArchiveLimits limits)
      throws IOException {
    try {
      InputStream plain;
      if (name.endsWith(".gz")) {
        plain = new GZIPInputStream(in, 64 << 10);
      } else if (name.endsWith(".xz")) {
        plain = new XZInputStream(in, limits.decoderKibibytes());
      } else if (name.endsWith(".zst")) {
        plain = new ZstdJavaInputStream(new ZstdWindowCheck(in, limits.decoderKibibytes() * 1024L));
      } else {
        plain = in;
      }
      return new Guard(plain, name, limits.totalBytes());
    } catch (IOException | RuntimeException e) {
      throw malformed(name, e);
    }
  }

  private static MalformedArchiveException malformed(String name, Exception e) {
    if (e instanceof MalformedArchiveException malformed) {
      return malformed;
    }
    String why =
        e instanceof EOFException
            ? "ends too early"
            : e.getMessage() != null ? e.getMessage() : e.getClass().getSimpleName();
    return new MalformedArchiveException("%s cannot be decompressed: %s".formatted(name, why), e);
  }

  private static final class Guard extends FilterInputStream {
    private final String name;
    private final long limit;
    private long left;

    Guard(InputStream in, String name, long limit) {
      super(in);
      this.name = name;
      this.limit = limit;
      this.left = limit;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) throws IOException {
      int count;
      try {
        count = in.read(buffer, offset, length);
      } catch (IOException | RuntimeException e) {
        throw malformed(name, e);
      }
      if (count > 0) {
        left -= count;
        if (left < 0) {
          throw new MalformedArchiveException(
              "%s is larger than %d bytes after decompression".formatted(name, limit));
        }
      }
      return count;
    }

    @Override
    public long skip(long count) throws IOException {
      return count <= 0 ? 0 : Math.max(0, read(new byte[(int) Math.min(count, 64 << 10)]));
    }
  }
}
