package dev.partita.chipset.boot;

import dev.partita.hypervisor.GuestMemory;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Linux's boot parameters, the "zero page" (Linux, `Documentation/arch/x86/zero-page.rst`).
final class LinuxParameters {
  private static final int ACPI_RSDP_ADDRESS = 0x70;
  private static final int EXT_RAMDISK_IMAGE = 0xC0;
  private static final int EXT_RAMDISK_SIZE = 0xC4;
  private static final int E820_COUNT = 0x1E8;
  private static final int E820_TABLE = 0x2D0;
  private static final int E820_ENTRY_SIZE = 20;

  /// A loader without a number of its own.
  private static final int UNDEFINED_LOADER = 0xFF;

  /// What a plain ELF kernel, which brings no header, is told: the protocol's version up to which
  /// the fields below are filled in.
  private static final int ELF_VERSION = 0x20C;

  /// Physical alignment of a kernel that has no header: Linux's smallest.
  private static final int ELF_ALIGNMENT = 0x20_0000;

  /// setup_data's type of a random seed (Linux 6.0; others ignore it).
  private static final int SETUP_RNG_SEED = 9;

  private LinuxParameters() {}

  /// @param header of the bzImage, null for a plain ELF kernel
  static void write(
      @Nullable SetupHeader header,
      BootOptions options,
      int commandLineLength,
      long initrd,
      List<MemoryMap.Area> map,
      GuestMemory memory) {
    long zero = LowMemory.BOOT_PARAMETERS;
    memory.slice(zero, GuestMemory.PAGE_SIZE).fill((byte) 0);
    if (header != null) {
      memory.write(zero + SetupHeader.START, header.image());
    } else {
      memory.writeShort(zero + SetupHeader.BOOT_FLAG, (short) SetupHeader.BOOT_FLAG_VALUE);
      memory.writeInt(zero + SetupHeader.MAGIC, (int) SetupHeader.MAGIC_VALUE);
      memory.writeShort(zero + SetupHeader.VERSION, (short) ELF_VERSION);
      memory.writeInt(zero + SetupHeader.KERNEL_ALIGNMENT, ELF_ALIGNMENT);
      memory.writeInt(zero + SetupHeader.COMMAND_LINE_SIZE, commandLineLength);
    }
    memory.writeByte(zero + SetupHeader.TYPE_OF_LOADER, (byte) UNDEFINED_LOADER);
    int flags = memory.readByte(zero + SetupHeader.LOAD_FLAGS);
    flags |= SetupHeader.LOADED_HIGH;
    // The kernel's own unpacker would set the second when it chose a random place.
    flags &= ~(SetupHeader.CAN_USE_HEAP | SetupHeader.KASLR_FLAG);
    memory.writeByte(zero + SetupHeader.LOAD_FLAGS, (byte) flags);
    memory.writeInt(zero + SetupHeader.COMMAND_LINE_POINTER, (int) LowMemory.COMMAND_LINE);
    long size = options.initrd().byteSize();
    memory.writeInt(zero + SetupHeader.RAMDISK_IMAGE, (int) initrd);
    memory.writeInt(zero + EXT_RAMDISK_IMAGE, (int) (initrd >>> 32));
    memory.writeInt(zero + SetupHeader.RAMDISK_SIZE, (int) size);
    memory.writeInt(zero + EXT_RAMDISK_SIZE, (int) (size >>> 32));
    memory.writeLong(zero + ACPI_RSDP_ADDRESS, options.rsdpAddress());
    memory.writeLong(zero + SetupHeader.SETUP_DATA, setupData(options, memory));
    memory.writeByte(zero + E820_COUNT, (byte) map.size());
    long at = zero + E820_TABLE;
    for (var area : map) {
      memory.writeLong(at, area.address());
      memory.writeLong(at + 8, area.size());
      memory.writeInt(at + 16, area.type().number);
      at += E820_ENTRY_SIZE;
    }
    memory.markDirty(zero, GuestMemory.PAGE_SIZE);
  }

  private static long setupData(BootOptions options, GuestMemory memory) {
    var seed = options.randomSeed();
    if (seed.length == 0) {
      return 0;
    }
    memory.writeLong(LowMemory.SETUP_DATA, 0);
    memory.writeInt(LowMemory.SETUP_DATA + 8, SETUP_RNG_SEED);
    memory.writeInt(LowMemory.SETUP_DATA + 12, seed.length);
    memory.write(LowMemory.SETUP_DATA + 16, seed);
    return LowMemory.SETUP_DATA;
  }
}
