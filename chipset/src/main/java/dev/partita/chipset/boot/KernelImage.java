package dev.partita.chipset.boot;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// A kernel, read and unpacked, ready to be put into guest memory any number of times: a Linux
/// bzImage or a plain ELF executable. Immutable.
public final class KernelImage {
  /// How a kernel is entered.
  public enum Protocol {
    /// Linux, "The Linux/x86 Boot Protocol", section "64-bit Boot Protocol".
    LINUX_64,
    /// Xen, "x86/HVM direct boot ABI" (`docs/misc/pvh.pandoc`).
    PVH
  }

  private final @Nullable SetupHeader header;
  private final ElfImage elf;
  private final Protocol protocol;

  private KernelImage(@Nullable SetupHeader header, ElfImage elf, Protocol protocol) {
    this.header = header;
    this.elf = elf;
    this.protocol = protocol;
  }

  /// Reads a kernel from a file; see {@link #parse}.
  public static KernelImage read(Path path, long limit) {
    try {
      return parse(Files.readAllBytes(path), limit);
    } catch (IOException | OutOfMemoryError e) {
      throw new BootException("%s cannot be read: %s".formatted(path, e), e);
    }
  }

  /// Reads a kernel. A bzImage's payload is unpacked here, on the calling thread: this is the long
  /// part of booting and needs no partition.
  ///
  /// @param file all of the file; kept, not changed
  /// @param limit most bytes the kernel may unpack to: the RAM of the partition
  /// @throws BootException if it is not a kernel, damaged, too old, 32-bit, or larger than the
  ///     limit
  public static KernelImage parse(byte[] file, long limit) {
    var bytes = new Bytes(file, "the kernel");
    if (ElfImage.present(bytes)) {
      var elf = ElfImage.parse(bytes);
      if (elf.pvhEntry() >= 0) {
        return new KernelImage(null, elf, Protocol.PVH);
      }
      if (!elf.wide()) {
        throw new BootException("the kernel is a 32-bit ELF image without a PVH entry point");
      }
      return new KernelImage(null, elf, Protocol.LINUX_64);
    }
    if (!SetupHeader.present(bytes)) {
      throw new BootException("the file is not a kernel: neither a Linux bzImage nor ELF");
    }
    var header = SetupHeader.parse(bytes);
    int start = bytes.checked(header.payloadOffset(), header.payloadLength());
    var unpacked = Payload.unpack(file, start, (int) header.payloadLength(), limit);
    var elf = ElfImage.parse(new Bytes(unpacked, "the unpacked kernel"));
    if (!elf.wide()) {
      throw new BootException("the kernel is 32-bit; only 64-bit kernels boot");
    }
    return new KernelImage(header, elf, Protocol.LINUX_64);
  }

  /// What the kernel calls itself, such as `6.1.0 (...) #1 SMP`; empty if it does not say.
  public String version() {
    return header == null ? "" : header.kernelVersion();
  }

  public Protocol protocol() {
    return protocol;
  }

  @Nullable SetupHeader header() {
    return header;
  }

  ElfImage elf() {
    return elf;
  }

  /// Past the last byte of RAM the kernel needs before it manages its memory by itself.
  long end() {
    long end = elf.highest();
    return header == null || header.preferredAddress() <= 0
        ? end
        : Math.max(end, header.preferredAddress() + header.initSize());
  }
}
