package dev.partita.chipset.boot;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.ProcessorState;
import dev.partita.hypervisor.ProcessorState.Table;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.List;

/// Puts a kernel and what it needs into guest memory, and gives the state in which the boot
/// processor enters it. What lies in memory before does not matter, so that a partition can be
/// booted again.
///
/// Below 1 MiB it uses the pages that {@link LowMemory} names; kernel and initial RAM disk lie
/// above.
public final class DirectBoot {
  private static final int PAGE = GuestMemory.PAGE_SIZE;
  private static final long MIB = 1 << 20;

  private DirectBoot() {}

  /// A kernel in guest memory.
  ///
  /// @param bootProcessor the first state of processor 0; the others begin in {@link
  ///     InitialState#waitForStartup}
  /// @param kernelStart lowest address of the kernel
  /// @param kernelEnd past the last byte the kernel needs at first
  /// @param initrdStart address of the initial RAM disk, 0 if there is none
  /// @param memoryMap the map the kernel was given
  public record Loaded(
      ProcessorState bootProcessor,
      long kernelStart,
      long kernelEnd,
      long initrdStart,
      List<MemoryMap.Area> memoryMap) {}

  /// Loads a kernel. Nothing may run in the partition meanwhile.
  ///
  /// @throws BootException if it does not fit, or an option is not possible with this kernel
  public static Loaded load(KernelImage kernel, BootOptions options, GuestMemory memory) {
    var elf = kernel.elf();
    var low = memory.regions().getFirst();
    if (elf.lowest() < MIB) {
      throw new BootException(
          "the kernel wants to be at 0x%x, below 1 MiB".formatted(elf.lowest()));
    }
    requireRam(kernel.end(), 0, low);
    for (var area : options.reserved()) {
      if (area.address() < kernel.end() && area.end() > elf.lowest()) {
        throw new BootException(
            "the kernel needs memory that is reserved (0x%x bytes at 0x%x)"
                .formatted(area.size(), area.address()));
      }
    }
    var commandLine = commandLine(kernel, options);
    for (var segment : elf.segments()) {
      load(elf, segment, memory);
    }
    var map = MemoryMap.of(memory, options.reserved());
    long initrd = loadInitrd(kernel, options, map, memory);
    memory.slice(LowMemory.COMMAND_LINE, LowMemory.COMMAND_LINE_SIZE).fill((byte) 0);
    memory.write(LowMemory.COMMAND_LINE, commandLine);
    memory.markDirty(LowMemory.COMMAND_LINE, LowMemory.COMMAND_LINE_SIZE);
    var gdtr = writeGdt(kernel.protocol(), memory);
    var state =
        switch (kernel.protocol()) {
          case LINUX_64 -> {
            requireEntry(elf, elf.entry());
            LinuxParameters.write(
                kernel.header(), options, commandLine.length, initrd, map, memory);
            writeIdentityMap(memory);
            yield InitialState.longMode(
                elf.entry(),
                LowMemory.STACK_TOP,
                LowMemory.BOOT_PARAMETERS,
                LowMemory.PAGE_TABLES,
                gdtr,
                LowMemory.CODE_SELECTOR,
                LowMemory.DATA_SELECTOR);
          }
          case PVH -> {
            requireEntry(elf, elf.pvhEntry());
            PvhStartInfo.write(options, initrd, map, memory);
            yield InitialState.protectedMode(
                elf.pvhEntry(),
                LowMemory.START_INFO,
                gdtr,
                LowMemory.CODE_SELECTOR,
                LowMemory.DATA_SELECTOR);
          }
        };
    return new Loaded(state, elf.lowest(), kernel.end(), initrd, map);
  }

  private static void requireRam(long end, long more, GuestMemory.Region low) {
    if (end > low.size() || more > low.size() - end) {
      throw new BootException(
          "too little memory: the kernel needs %d MiB, the partition has %d MiB%s"
              .formatted(
                  (end + more + MIB - 1) / MIB,
                  low.size() / MIB,
                  low.size() == GuestMemory.LOW_RAM_END ? " below the MMIO hole" : ""));
    }
  }

  private static void requireEntry(ElfImage elf, long entry) {
    if (!elf.loads(entry)) {
      throw new BootException(
          "the kernel's entry point 0x%x lies outside of the kernel".formatted(entry));
    }
  }

  private static byte[] commandLine(KernelImage kernel, BootOptions options) {
    var bytes = options.commandLine().getBytes(StandardCharsets.UTF_8);
    long most = LowMemory.COMMAND_LINE_SIZE - 1;
    var header = kernel.header();
    if (header != null) {
      most = Math.min(most, header.commandLineSize());
    }
    if (bytes.length > most) {
      throw new BootException(
          "the command line has %d bytes; this kernel takes %d at most"
              .formatted(bytes.length, most));
    }
    return bytes;
  }

  private static void load(ElfImage elf, ElfImage.Segment segment, GuestMemory memory) {
    var target = memory.slice(segment.address(), segment.memorySize());
    MemorySegment.copy(
        MemorySegment.ofArray(elf.file().array()), segment.offset(), target, 0, segment.fileSize());
    if (segment.memorySize() > segment.fileSize()) {
      target.asSlice(segment.fileSize()).fill((byte) 0);
    }
    memory.markDirty(segment.address(), segment.memorySize());
  }

  /// Puts the initial RAM disk as high as the kernel can read it.
  private static long loadInitrd(
      KernelImage kernel, BootOptions options, List<MemoryMap.Area> map, GuestMemory memory) {
    long size = options.initrd().byteSize();
    if (size == 0) {
      return 0;
    }
    var header = kernel.header();
    long reach = GuestMemory.HIGH_RAM_START;
    if (header != null) {
      reach = Math.min(reach, header.initrdAddressMax() + 1);
    }
    long at = highest(map, kernel.end(), reach, size);
    if (at < 0 && header != null && header.loadableAbove4G()) {
      at = highest(map, kernel.end(), Long.MAX_VALUE, size);
    }
    if (at < 0) {
      long needed = (kernel.end() + size + PAGE - 1 & -PAGE) + MIB;
      throw new BootException(
          "too little memory for the initial RAM disk of %d MiB: %d MiB are needed, the partition has %d MiB"
              .formatted((size + MIB - 1) / MIB, needed / MIB, memory.size() / MIB));
    }
    MemorySegment.copy(options.initrd(), 0, memory.slice(at, size), 0, size);
    memory.markDirty(at, size);
    return at;
  }

  private static long highest(List<MemoryMap.Area> map, long from, long to, long size) {
    for (var area : map.reversed()) {
      if (area.type() == MemoryMap.Type.RAM) {
        long start = Math.max(area.address(), from);
        long at = (Math.min(area.end(), to) - size) & -PAGE;
        if (at >= start) {
          return at;
        }
      }
    }
    return -1;
  }

  /// Null, unused, code, data, and a task state segment of two entries.
  private static Table writeGdt(KernelImage.Protocol protocol, GuestMemory memory) {
    boolean wide = protocol == KernelImage.Protocol.LINUX_64;
    long[] table = {
      0,
      0,
      descriptor(wide ? InitialState.CODE_64 : InitialState.CODE_32, 0xF_FFFF),
      descriptor(InitialState.DATA_32, 0xF_FFFF),
      descriptor(InitialState.TSS_BUSY, 0x67),
      0
    };
    for (int i = 0; i < table.length; i++) {
      memory.writeLong(LowMemory.GDT + 8L * i, table[i]);
    }
    return new Table(LowMemory.GDT, table.length * 8 - 1);
  }

  /// A segment descriptor of base 0 (Intel SDM volume 3, "Segment Descriptors").
  ///
  /// @param attributes as {@link ProcessorState.Segment} has them
  /// @param limit 20 bits
  private static long descriptor(int attributes, int limit) {
    return (limit & 0xFFFFL) | (long) attributes << 40 | (long) (limit >> 16) << 48;
  }

  // Page table entries (Intel SDM volume 3, "4-Level Paging"): present, writable, accessed; and in
  // the last level dirty and 2 MiB large.
  private static final long TABLE_ENTRY = 0x23;
  private static final long PAGE_ENTRY = 0xE3;

  /// Maps the first 4 GiB to themselves, in pages of 2 MiB.
  private static void writeIdentityMap(GuestMemory memory) {
    long top = LowMemory.PAGE_TABLES;
    memory.slice(top, LowMemory.PAGE_TABLES_SIZE).fill((byte) 0);
    memory.writeLong(top, top + PAGE + TABLE_ENTRY);
    for (int i = 0; i < 4; i++) {
      long directory = top + PAGE * (2L + i);
      memory.writeLong(top + PAGE + 8 * i, directory + TABLE_ENTRY);
      for (int j = 0; j < 512; j++) {
        memory.writeLong(directory + 8 * j, (512L * i + j << 21) + PAGE_ENTRY);
      }
    }
    memory.markDirty(top, LowMemory.PAGE_TABLES_SIZE);
  }
}
