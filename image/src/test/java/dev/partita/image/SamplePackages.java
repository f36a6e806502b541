package dev.partita.image;

import io.airlift.compress.v3.zstd.ZstdJavaOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.commons.compress.archivers.ar.ArArchiveEntry;
import org.apache.commons.compress.archivers.ar.ArArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.compressors.gzip.GzipCompressorOutputStream;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.XZOutputStream;

/// Makes small packages, in the shape of the real ones, with writers that are not this project's.
public final class SamplePackages {
  public static final String RELEASE = "6.1.0-1-cloud-amd64";

  private SamplePackages() {}

  /// A kernel with a few modules. `version` goes into the kernel's bytes.
  public static byte[] kernel(String version) throws IOException {
    Map<String, byte[]> files = new LinkedHashMap<>();
    files.put("./boot/vmlinuz-" + RELEASE, bzImage(version));
    String folder = "./lib/modules/" + RELEASE + "/";
    files.put(folder + "modules.builtin", ascii("kernel/fs/ext4/ext4.ko\n"));
    files.put(
        folder + "kernel/drivers/hv/hv_vmbus.ko",
        module("depends=\0name=hv_vmbus\0alias=acpi*:VMBUS:*\0"));
    files.put(
        folder + "kernel/drivers/scsi/hv_storvsc.ko",
        module("depends=scsi-mod,hv_vmbus\0alias=vmbus:d96361baa104294db60572e2ffb1dc7f\0"));
    files.put(folder + "kernel/drivers/scsi/scsi-mod.ko", module("depends=\0"));
    files.put(folder + "kernel/drivers/gpu/unwanted.ko", module("depends=hv_vmbus\0"));
    return deb(files, "xz", "Package: linux-image\n");
  }

  /// A BusyBox, whose program is only its table of names.
  public static byte[] busyBox() throws IOException {
    String program = "\177ELF....\0[\0[[\0cat\0mount\0poweroff\0sh\0\0/bin/sh\0";
    return deb(
        Map.of("./bin/busybox", program.getBytes(StandardCharsets.ISO_8859_1)),
        "gz",
        "Package: busybox-static\n");
  }

  public static byte[] bzImage(String version) {
    byte[] image = new byte[0x400];
    System.arraycopy(ascii("HdrS"), 0, image, 0x202, 4);
    System.arraycopy(ascii(version), 0, image, 0x300, version.length());
    return image;
  }

  /// A relocatable ELF64 file with the section names and `.modinfo`, laid out as the specification
  /// says.
  public static byte[] module(String modinfo) {
    byte[] info = ascii(modinfo);
    byte[] names = ascii("\0.shstrtab\0.modinfo\0");
    int namesAt = 64 + info.length;
    int table = namesAt + names.length;
    ByteBuffer elf = ByteBuffer.allocate(table + 3 * 64).order(ByteOrder.LITTLE_ENDIAN);
    elf.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1});
    elf.putShort(16, (short) 1).putShort(18, (short) 62).putLong(40, table);
    elf.putShort(58, (short) 64).putShort(60, (short) 3).putShort(62, (short) 1);
    elf.put(64, info).put(namesAt, names);
    section(elf, table + 64, 1, namesAt, names.length);
    section(elf, table + 128, 11, 64, info.length);
    return elf.array();
  }

  private static void section(ByteBuffer elf, int at, int name, int offset, int size) {
    elf.putInt(at, name).putInt(at + 4, 1).putLong(at + 24, offset).putLong(at + 32, size);
  }

  /// A package of regular files. The compression is `gz`, `xz`, `zst` or empty.
  public static byte[] deb(Map<String, byte[]> files, String compression, String control)
      throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ArArchiveOutputStream ar = new ArArchiveOutputStream(out)) {
      String suffix = compression.isEmpty() ? "" : "." + compression;
      member(ar, "debian-binary", ascii("2.0\n"));
      member(
          ar,
          "control.tar" + suffix,
          compress(tar(Map.of("./control", ascii(control))), compression));
      member(ar, "data.tar" + suffix, compress(tar(files), compression));
    }
    return out.toByteArray();
  }

  public static void member(ArArchiveOutputStream ar, String name, byte[] content)
      throws IOException {
    ar.putArchiveEntry(new ArArchiveEntry(name, content.length, 0, 0, 0100644, 0));
    ar.write(content);
    ar.closeArchiveEntry();
  }

  public static byte[] tar(Map<String, byte[]> files) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
      tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
      for (Map.Entry<String, byte[]> file : files.entrySet()) {
        TarArchiveEntry entry = new TarArchiveEntry(file.getKey());
        entry.setSize(file.getValue().length);
        entry.setModTime(0); // the same bytes at any time
        tar.putArchiveEntry(entry);
        tar.write(file.getValue());
        tar.closeArchiveEntry();
      }
    }
    return out.toByteArray();
  }

  public static byte[] compress(byte[] plain, String compression) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (OutputStream compressor =
        switch (compression) {
          case "gz" -> new GzipCompressorOutputStream(out);
          case "xz" ->
              new XZOutputStream(out, new LZMA2Options(0)); // a small dictionary, quick to make
          case "zst" -> new ZstdJavaOutputStream(out);
          case "" -> out;
          default -> throw new IllegalArgumentException(compression);
        }) {
      compressor.write(plain);
    }
    return out.toByteArray();
  }

  public static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
