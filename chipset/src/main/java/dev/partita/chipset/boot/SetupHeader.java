package dev.partita.chipset.boot;

import java.nio.charset.StandardCharsets;

/// The setup header of a bzImage (Linux, "The Linux/x86 Boot Protocol", section "The Real-Mode
/// Kernel Header").
///
/// @param image the header's bytes as they go into the boot parameters, from offset {@link #START}
/// @param version of the boot protocol: major in bits 15:8, minor in bits 7:0
/// @param kernelVersion what the kernel calls itself; empty if it does not say
/// @param initrdAddressMax highest address of an initial RAM disk's last byte
/// @param loadableAbove4G whether RAM disk and command line may lie beyond 4 GiB
/// @param commandLineSize most bytes in a command line, the final zero left out
/// @param payloadOffset of the compressed kernel in the file
/// @param payloadLength bytes of the compressed kernel
/// @param preferredAddress where the kernel is linked to run, 0 if it does not say
/// @param initSize bytes of RAM the kernel needs from there until it manages its memory, 0 if it
///     does not say
record SetupHeader(
    byte[] image,
    int version,
    String kernelVersion,
    long initrdAddressMax,
    boolean loadableAbove4G,
    long commandLineSize,
    long payloadOffset,
    long payloadLength,
    long preferredAddress,
    long initSize) {
  /// Offset of the header in the file and in the boot parameters.
  static final int START = 0x1F1;

  /// Past the last byte the boot parameters have room for: edd_mbr_sig_buffer begins there.
  static final int END = 0x290;

  static final int BOOT_FLAG = 0x1FE;
  static final int HEADER_END = 0x201;
  static final int MAGIC = 0x202;
  static final int VERSION = 0x206;
  static final int KERNEL_VERSION = 0x20E;
  static final int TYPE_OF_LOADER = 0x210;
  static final int LOAD_FLAGS = 0x211;
  static final int RAMDISK_IMAGE = 0x218;
  static final int RAMDISK_SIZE = 0x21C;
  static final int COMMAND_LINE_POINTER = 0x228;
  static final int INITRD_ADDRESS_MAX = 0x22C;
  static final int KERNEL_ALIGNMENT = 0x230;
  static final int XLOAD_FLAGS = 0x236;
  static final int COMMAND_LINE_SIZE = 0x238;
  static final int PAYLOAD_OFFSET = 0x248;
  static final int PAYLOAD_LENGTH = 0x24C;
  static final int SETUP_DATA = 0x250;
  static final int PREFERRED_ADDRESS = 0x258;
  static final int INIT_SIZE = 0x260;

  /// "HdrS".
  static final long MAGIC_VALUE = 0x5372_6448;

  static final int BOOT_FLAG_VALUE = 0xAA55;

  static final int LOADED_HIGH = 1;
  static final int KASLR_FLAG = 1 << 1;
  static final int CAN_USE_HEAP = 1 << 7;

  private static final int XLF_KERNEL_64 = 1;
  private static final int XLF_CAN_BE_LOADED_ABOVE_4G = 1 << 1;

  private static final int SECTOR = 512;
  private static final int LONGEST_VERSION = 256;

  /// Whether a file looks like a bzImage at all.
  static boolean present(Bytes file) {
    return file.size() >= VERSION + 2
        && file.u16(BOOT_FLAG) == BOOT_FLAG_VALUE
        && file.u32(MAGIC) == MAGIC_VALUE;
  }

  /// @throws BootException if the kernel is too old, 32-bit, or cut off
  static SetupHeader parse(Bytes file) {
    int version = file.u16(VERSION);
    // 2.08 (Linux 2.6.26) brought payload_offset and payload_length.
    if (version < 0x208) {
      throw new BootException(
          "the kernel is too old: boot protocol %d.%02d, 2.08 (Linux 2.6.26) is needed"
              .formatted(version >> 8, version & 0xFF));
    }
    if ((file.u8(LOAD_FLAGS) & LOADED_HIGH) == 0) {
      throw new BootException("the kernel is a zImage; only a bzImage boots");
    }
    int flags = version >= 0x20C ? file.u16(XLOAD_FLAGS) : XLF_KERNEL_64;
    if ((flags & XLF_KERNEL_64) == 0) {
      throw new BootException("the kernel is 32-bit; only 64-bit kernels boot");
    }
    int setupSectors = file.u8(START);
    long protectedMode = (1L + (setupSectors == 0 ? 4 : setupSectors)) * SECTOR;
    long payloadOffset = protectedMode + file.u32(PAYLOAD_OFFSET);
    long payloadLength = file.u32(PAYLOAD_LENGTH);
    if (payloadLength == 0) {
      throw new BootException("the kernel has no payload (payload_length is 0)");
    }
    int end = Math.min(MAGIC + file.u8(HEADER_END), END);
    int start = file.checked(START, end - START);
    var image = java.util.Arrays.copyOfRange(file.array(), start, end);
    boolean preferred = version >= 0x20A;
    return new SetupHeader(
        image,
        version,
        kernelVersion(file),
        file.u32(INITRD_ADDRESS_MAX),
        (flags & XLF_CAN_BE_LOADED_ABOVE_4G) != 0,
        file.u32(COMMAND_LINE_SIZE),
        payloadOffset,
        payloadLength,
        preferred ? file.u64(PREFERRED_ADDRESS) : 0,
        preferred ? file.u32(INIT_SIZE) : 0);
  }

  private static String kernelVersion(Bytes file) {
    int pointer = file.u16(KERNEL_VERSION);
    if (pointer == 0) {
      return "";
    }
    int start = pointer + 0x200;
    int end = start;
    while (end < file.size() && end - start < LONGEST_VERSION && isPrintable(file.array()[end])) {
      end++;
    }
    return start >= end
        ? ""
        : new String(file.array(), start, end - start, StandardCharsets.US_ASCII);
  }

  private static boolean isPrintable(byte b) {
    return b >= ' ' && b <= '~';
  }
}
