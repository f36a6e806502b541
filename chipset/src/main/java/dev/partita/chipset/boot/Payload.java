package dev.partita.chipset.boot;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorInputStream;
import org.tukaani.xz.LZMAInputStream;
import org.tukaani.xz.SingleXZInputStream;

/// The compressed kernel inside a bzImage, in any form the kernel's build makes (Linux,
/// `scripts/Makefile.lib` and `arch/x86/boot/compressed/Makefile`).
///
/// In every form the last four bytes are the unpacked size: gzip ends with it, and the build
/// appends it to the others. So the result is one array of exactly that size, which the decoders
/// use as their window.
final class Payload {
  /// Largest dictionary accepted: what `xz` and `lzma` need to unpack at most, in KiB. The
  /// kernel's build uses up to 128 MiB.
  private static final int XZ_MEMORY_KIB = 160 << 10;

  private Payload() {}

  /// How a payload is packed; each form has its magic.
  enum Form {
    ELF("an ELF image", 0x7F, 'E', 'L', 'F'),
    GZIP("gzip", 0x1F, 0x8B),
    BZIP2("bzip2", 'B', 'Z', 'h'),
    LZMA("lzma", 0x5D, 0, 0),
    XZ("xz", 0xFD, '7', 'z', 'X', 'Z', 0),
    LZO("lzo", 0x89, 'L', 'Z', 'O', 0, 0x0D, 0x0A, 0x1A, 0x0A),
    LZ4("lz4", 0x02, 0x21, 0x4C, 0x18),
    ZSTD("zstd", 0x28, 0xB5, 0x2F, 0xFD);

    final String label;
    final int[] magic;

    Form(String label, int... magic) {
      this.label = label;
      this.magic = magic;
    }

    private boolean matches(byte[] file, int start, int end) {
      if (end - start < magic.length) {
        return false;
      }
      for (int i = 0; i < magic.length; i++) {
        if ((file[start + i] & 0xFF) != magic[i]) {
          return false;
        }
      }
      return true;
    }

    /// @throws BootException if it is none of these
    static Form of(byte[] file, int start, int end) {
      for (var form : values()) {
        if (form.matches(file, start, end)) {
          return form;
        }
      }
      var first = Arrays.copyOfRange(file, start, Math.min(end, start + 4));
      throw new BootException(
          "the kernel's payload is in an unknown form (it begins %s)"
              .formatted(java.util.HexFormat.ofDelimiter(" ").formatHex(first)));
    }
  }

  /// Unpacks a payload.
  ///
  /// @param limit most bytes the result may have
  /// @throws BootException if it is damaged, of unknown form, or larger than the limit
  static byte[] unpack(byte[] file, int start, int length, long limit) {
    int end = start + length;
    var form = Form.of(file, start, end);
    if (form == Form.ELF) {
      return Arrays.copyOfRange(file, start, end);
    }
    if (length < form.magic.length + 4) {
      throw new BootException("the kernel's payload is cut off");
    }
    long size = new Bytes(file, "the kernel").u32(end - 4);
    if (size > Math.min(limit, Integer.MAX_VALUE - 16)) {
      throw new BootException(
          "the kernel unpacks to %d MiB, which does not fit into %d MiB of RAM"
              .formatted(size >> 20, limit >> 20));
    }
    try {
      var out = new byte[(int) size];
      switch (form) {
        case GZIP -> gzip(file, start, end, out);
        case BZIP2 -> fill(new BZip2CompressorInputStream(stream(file, start, end - 4)), out);
        case LZMA -> fill(new LZMAInputStream(stream(file, start, end - 4), XZ_MEMORY_KIB), out);
        case XZ -> fill(new SingleXZInputStream(stream(file, start, end - 4), XZ_MEMORY_KIB), out);
        case LZO -> LzopFile.unpack(file, start, end - 4, out);
        case LZ4 -> Lz4Legacy.unpack(file, start, end - 4, out);
        case ZSTD -> ZstdFrame.unpack(file, start, end - 4, out);
        case ELF -> throw new AssertionError("handled above");
      }
      return out;
    } catch (IOException | RuntimeException e) {
      // The decoders of others may end in any exception when their input is damaged.
      throw new BootException(
          "the kernel's payload is damaged (%s: %s)".formatted(form.label, e.getMessage()), e);
    } catch (OutOfMemoryError e) {
      throw new BootException(
          "no room to unpack the kernel: %d MiB and the decoder's own".formatted(size >> 20), e);
    }
  }

  private static InputStream stream(byte[] file, int start, int end) {
    return new ByteArrayInputStream(file, start, end - start);
  }

  private static void fill(InputStream in, byte[] out) throws IOException {
    try (in) {
      int read = in.readNBytes(out, 0, out.length);
      if (read != out.length) {
        throw new IOException("only %d of %d bytes".formatted(read, out.length));
      }
      if (in.read() != -1) {
        throw new IOException("more than the %d bytes announced".formatted(out.length));
      }
    }
  }

  // Header flags of RFC 1952, section 2.3.1.
  private static final int FHCRC = 2;
  private static final int FEXTRA = 4;
  private static final int FNAME = 8;
  private static final int FCOMMENT = 16;

  private static void gzip(byte[] file, int start, int end, byte[] out) throws IOException {
    var bytes = new Bytes(file, "gzip");
    int flags = bytes.u8(start + 3);
    int at = start + 10;
    if ((flags & FEXTRA) != 0) {
      at += 2 + bytes.u16(at);
    }
    if ((flags & FNAME) != 0) {
      at = afterZero(file, at);
    }
    if ((flags & FCOMMENT) != 0) {
      at = afterZero(file, at);
    }
    if ((flags & FHCRC) != 0) {
      at += 2;
    }
    if (at > end - 8) {
      throw new IOException("cut off");
    }
    try (var inflater = new Inflater(true)) {
      inflater.setInput(file, at, end - 8 - at);
      int done = 0;
      while (done < out.length) {
        int n = inflater.inflate(out, done, out.length - done);
        if (n == 0) {
          break;
        }
        done += n;
      }
      // The end mark may still be unread when the output is just full.
      if (done == out.length && !inflater.finished() && inflater.inflate(new byte[1]) != 0) {
        throw new IOException("more than the %d bytes announced".formatted(out.length));
      }
      if (done != out.length || !inflater.finished()) {
        throw new IOException("only %d of %d bytes".formatted(done, out.length));
      }
    } catch (DataFormatException e) {
      throw new IOException(e.getMessage(), e);
    }
    var crc = new CRC32();
    crc.update(out);
    if (crc.getValue() != bytes.u32(end - 8)) {
      throw new IOException("checksum does not match");
    }
  }

  private static int afterZero(byte[] file, int at) {
    int i = at;
    while (file[i] != 0) {
      i++;
    }
    return i + 1;
  }
}
