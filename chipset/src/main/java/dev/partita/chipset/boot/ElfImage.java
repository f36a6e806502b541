package dev.partita.chipset.boot;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// An ELF executable for x86, as far as booting needs it (System V ABI, "Object Files" and
/// "Program Loading"; AMD64 supplement).
///
/// @param file all of it
/// @param wide whether it is ELF64
/// @param entry the entry point
/// @param segments what is to be loaded
/// @param pvhEntry entry point of the PVH boot protocol (Xen, `public/elfnote.h`,
///     XEN_ELFNOTE_PHYS32_ENTRY), or -1
record ElfImage(Bytes file, boolean wide, long entry, List<Segment> segments, long pvhEntry) {
  /// A segment to load.
  ///
  /// @param offset in the file
  /// @param address guest-physical
  /// @param fileSize bytes in the file
  /// @param memorySize bytes in memory, at least the file size; what is beyond is zero
  record Segment(int offset, long address, int fileSize, long memorySize) {
    long end() {
      return address + memorySize;
    }
  }

  private static final int EM_386 = 3;
  private static final int EM_X86_64 = 62;
  private static final int ET_EXEC = 2;
  private static final int ET_DYN = 3;
  private static final int PT_LOAD = 1;
  private static final int PT_NOTE = 4;

  private static final int XEN_ELFNOTE_PHYS32_ENTRY = 18;
  private static final int LARGEST_NOTES = 1 << 20;

  /// Beyond any physical address a processor of today has.
  private static final long LARGEST_ADDRESS = 1L << 52;

  static boolean present(Bytes file) {
    return file.size() >= 4 && file.u32(0) == 0x464C_457FL;
  }

  /// @throws BootException if it is damaged or not for this machine
  static ElfImage parse(Bytes file) {
    if (!present(file)) {
      throw new BootException(file.what() + " is not an ELF image");
    }
    boolean wide =
        switch (file.u8(4)) {
          case 1 -> false;
          case 2 -> true;
          default -> throw new BootException(file.what() + " is an ELF image of unknown class");
        };
    int machine = file.u16(18);
    if (file.u8(5) != 1 || machine != EM_X86_64 && machine != EM_386) {
      throw new BootException(file.what() + " is an ELF image for another kind of processor");
    }
    int type = file.u16(16);
    if (type != ET_EXEC && type != ET_DYN) {
      throw new BootException(file.what() + " is an ELF image that is not an executable");
    }
    long entry = wide ? file.u64(24) : file.u32(24);
    long table = wide ? file.u64(32) : file.u32(28);
    int entrySize = file.u16(wide ? 54 : 42);
    int count = file.u16(wide ? 56 : 44);
    if (entrySize < (wide ? 56 : 32)) {
      throw new BootException(file.what() + " has program headers of impossible size");
    }
    file.checked(table, (long) count * entrySize);
    var segments = new ArrayList<Segment>();
    long pvhEntry = -1;
    for (int i = 0; i < count; i++) {
      long header = table + (long) i * entrySize;
      long kind = file.u32(header);
      if (kind != PT_LOAD && kind != PT_NOTE) {
        continue;
      }
      long offset = wide ? file.u64(header + 8) : file.u32(header + 4);
      long address = wide ? file.u64(header + 24) : file.u32(header + 12);
      long fileSize = wide ? file.u64(header + 32) : file.u32(header + 16);
      long memorySize = wide ? file.u64(header + 40) : file.u32(header + 20);
      int start = file.checked(offset, fileSize);
      if (kind == PT_NOTE) {
        long found = pvhEntry(file, start, fileSize);
        pvhEntry = found >= 0 ? found : pvhEntry;
      } else if (memorySize != 0) {
        if (Long.compareUnsigned(memorySize, fileSize) < 0
            || Long.compareUnsigned(memorySize, LARGEST_ADDRESS) > 0
            || Long.compareUnsigned(address, LARGEST_ADDRESS) > 0) {
          throw new BootException(
              "%s has a segment of impossible size or address (0x%x bytes at 0x%x)"
                  .formatted(file.what(), memorySize, address));
        }
        segments.add(new Segment(start, address, (int) fileSize, memorySize));
      }
    }
    if (segments.isEmpty()) {
      throw new BootException(file.what() + " has nothing to load");
    }
    return new ElfImage(file, wide, entry, List.copyOf(segments), pvhEntry);
  }

  /// Looks for the PVH entry among notes. Those of other owners may have any form, so that a
  /// damaged list just ends.
  private static long pvhEntry(Bytes file, int start, long size) {
    long at = start;
    long end = start + Math.min(size, LARGEST_NOTES);
    while (end - at >= 12) {
      long nameSize = file.u32(at);
      long valueSize = file.u32(at + 4);
      long type = file.u32(at + 8);
      long name = at + 12;
      long value = name + (nameSize + 3 & -4L);
      if (value + valueSize > end) {
        return -1;
      }
      if (type == XEN_ELFNOTE_PHYS32_ENTRY && nameSize == 4 && isXen(file, (int) name)) {
        if (valueSize == 4 || valueSize == 8) {
          return file.u32(value);
        }
        throw new BootException(file.what() + " has a damaged PVH note");
      }
      at = value + (valueSize + 3 & -4L);
    }
    return -1;
  }

  private static boolean isXen(Bytes file, int name) {
    return new String(file.array(), name, 4, StandardCharsets.ISO_8859_1).equals("Xen\0");
  }

  /// Lowest address loaded.
  long lowest() {
    return segments.stream().mapToLong(Segment::address).min().orElseThrow();
  }

  /// Past the highest address loaded.
  long highest() {
    return segments.stream().mapToLong(Segment::end).max().orElseThrow();
  }

  /// Whether an address lies in what is loaded from the file.
  boolean loads(long address) {
    return segments.stream()
        .anyMatch(s -> address >= s.address() && address < s.address() + s.fileSize());
  }
}
