package dev.partita.chipset.boot;

import dev.partita.hypervisor.GuestMemory;
import java.util.List;

/// What a PVH kernel finds at EBX: hvm_start_info version 1 (Xen,
/// `public/arch-x86/hvm/start_info.h`).
final class PvhStartInfo {
  private static final int MAGIC = 0x336E_C578;
  private static final int VERSION = 1;
  private static final int SIZE = 56;
  private static final int MODULE_SIZE = 32;
  private static final int ENTRY_SIZE = 24;

  private PvhStartInfo() {}

  static void write(
      BootOptions options, long initrd, List<MemoryMap.Area> map, GuestMemory memory) {
    long info = LowMemory.START_INFO;
    long module = info + SIZE;
    long entries = module + MODULE_SIZE;
    memory.slice(info, GuestMemory.PAGE_SIZE).fill((byte) 0);
    boolean hasInitrd = initrd != 0;
    memory.writeInt(info, MAGIC);
    memory.writeInt(info + 4, VERSION);
    memory.writeInt(info + 12, hasInitrd ? 1 : 0);
    memory.writeLong(info + 16, hasInitrd ? module : 0);
    memory.writeLong(info + 24, LowMemory.COMMAND_LINE);
    memory.writeLong(info + 32, options.rsdpAddress());
    memory.writeLong(info + 40, entries);
    memory.writeInt(info + 48, map.size());
    if (hasInitrd) {
      memory.writeLong(module, initrd);
      memory.writeLong(module + 8, options.initrd().byteSize());
    }
    long at = entries;
    for (var area : map) {
      memory.writeLong(at, area.address());
      memory.writeLong(at + 8, area.size());
      // The numbers of types are those of the E820 map.
      memory.writeInt(at + 16, area.type().number);
      at += ENTRY_SIZE;
    }
    memory.markDirty(info, GuestMemory.PAGE_SIZE);
  }
}
