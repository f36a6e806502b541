package dev.partita.chipset.boot;

import io.airlift.compress.v3.lz4.Lz4JavaCompressor;
import io.airlift.compress.v3.lzo.LzoCompressor;
import io.airlift.compress.v3.zstd.ZstdJavaCompressor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.zip.Adler32;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorOutputStream;
import org.tukaani.xz.FilterOptions;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.LZMAOutputStream;
import org.tukaani.xz.X86Options;
import org.tukaani.xz.XZ;
import org.tukaani.xz.XZOutputStream;

/// Packs a kernel in the ways its build does, by libraries and, where they are installed, by the
/// very programs the build uses with their options.
enum Packer {
  NONE("", new String[0]),
  GZIP("", new String[0]),
  BZIP2("", new String[0]),
  LZMA("", new String[0]),
  XZ_X86("", new String[0]),
  LZ4("", new String[0]),
  LZO("", new String[0]),
  ZSTD("", new String[0]),
  GZIP_PROGRAM("gzip", "gzip", "-n", "-9"),
  BZIP2_PROGRAM("bzip2", "bzip2", "-9"),
  LZMA_PROGRAM("lzma", "lzma", "-9"),
  XZ_PROGRAM("xz", "xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB"),
  LZ4_PROGRAM("lz4", "lz4", "-l", "-9", "-c"),
  LZOP_PROGRAM("lzop", "lzop", "-9"),
  ZSTD_22_PROGRAM("zstd", "zstd", "-22", "--ultra"),
  ZSTD_19_PROGRAM("zstd", "zstd", "-19", "--no-check"),
  ZSTD_FAST_PROGRAM("zstd", "zstd", "--fast=5");

  private static final int LZ4_BLOCK = 8 << 20;
  private static final int LZO_BLOCK = 256 << 10;

  private final String program;
  private final String[] command;

  Packer(String program, String... command) {
    this.program = program;
    this.command = command;
  }

  boolean available() {
    return program.isEmpty() || Program.installed(program);
  }

  /// The payload: packed, with the size after it as the kernel's build puts it.
  byte[] pack(byte[] data) {
    try {
      return switch (this) {
        case NONE -> data;
        // Its own last four bytes are the size.
        case GZIP -> through(data, GZIPOutputStream::new);
        case GZIP_PROGRAM -> Program.filter(data, command);
        case BZIP2 -> sized(data, through(data, BZip2CompressorOutputStream::new));
        case LZMA ->
            sized(data, through(data, out -> new LZMAOutputStream(out, new LZMA2Options(6), -1)));
        case XZ_X86 ->
            sized(
                data,
                through(
                    data,
                    out ->
                        new XZOutputStream(
                            out,
                            new FilterOptions[] {new X86Options(), new LZMA2Options(6)},
                            XZ.CHECK_CRC32)));
        case LZ4 -> sized(data, lz4(data));
        case LZO -> sized(data, lzop(data));
        case ZSTD -> sized(data, zstd(data));
        default -> sized(data, Program.filter(data, command));
      };
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private interface Filter {
    OutputStream over(OutputStream out) throws IOException;
  }

  private static byte[] through(byte[] data, Filter filter) throws IOException {
    var out = new ByteArrayOutputStream();
    try (var packed = filter.over(out)) {
      packed.write(data);
    }
    return out.toByteArray();
  }

  private static byte[] sized(byte[] data, byte[] packed) {
    return ByteBuffer.allocate(packed.length + 4)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(packed)
        .putInt(data.length)
        .array();
  }

  private static byte[] lz4(byte[] data) {
    var compressor = new Lz4JavaCompressor();
    var out = new ByteArrayOutputStream();
    out.writeBytes(new byte[] {0x02, 0x21, 0x4C, 0x18});
    for (int at = 0; at < data.length; at += LZ4_BLOCK) {
      int size = Math.min(LZ4_BLOCK, data.length - at);
      var block = new byte[compressor.maxCompressedLength(size)];
      int packed = compressor.compress(data, at, size, block, 0, block.length);
      out.writeBytes(little(packed));
      out.write(block, 0, packed);
    }
    return out.toByteArray();
  }

  private static byte[] zstd(byte[] data) {
    var compressor = new ZstdJavaCompressor();
    var packed = new byte[compressor.maxCompressedLength(data.length)];
    int size = compressor.compress(data, 0, data.length, packed, 0, packed.length);
    return Arrays.copyOf(packed, size);
  }

  private static byte[] lzop(byte[] data) {
    var compressor = new LzoCompressor();
    var out = new ByteArrayOutputStream();
    out.writeBytes(new byte[] {(byte) 0x89, 'L', 'Z', 'O', 0, 0x0D, 0x0A, 0x1A, 0x0A});
    // Versions, method, level; flags: Adler-32 of the data; mode, times, name, checksum.
    out.writeBytes(new byte[] {0x10, 0x40, 0x20, (byte) 0xA0, 0x09, 0x40, 3, 9});
    out.writeBytes(big(1));
    out.writeBytes(new byte[12]);
    out.write(0);
    out.writeBytes(new byte[4]);
    for (int at = 0; at < data.length; at += LZO_BLOCK) {
      int size = Math.min(LZO_BLOCK, data.length - at);
      var block = new byte[compressor.maxCompressedLength(size)];
      int packed = compressor.compress(data, at, size, block, 0, block.length);
      var sum = new Adler32();
      sum.update(data, at, size);
      out.writeBytes(big(size));
      out.writeBytes(big(Math.min(packed, size)));
      out.writeBytes(big((int) sum.getValue()));
      if (packed < size) {
        out.write(block, 0, packed);
      } else {
        out.write(data, at, size);
      }
    }
    out.writeBytes(big(0));
    return out.toByteArray();
  }

  private static byte[] little(int value) {
    return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
  }

  private static byte[] big(int value) {
    return ByteBuffer.allocate(4).putInt(value).array();
  }
}
