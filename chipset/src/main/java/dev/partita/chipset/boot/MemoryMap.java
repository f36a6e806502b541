package dev.partita.chipset.boot;

import dev.partita.hypervisor.GuestMemory;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/// The map of RAM and reserved areas that a boot protocol hands to the operating system (ACPI 6.5,
/// section 15, "System Address Map Interfaces").
public final class MemoryMap {
  /// Most areas that can be reserved.
  private static final int MOST_RESERVED = 32;

  private MemoryMap() {}

  /// One area.
  ///
  /// @param address guest-physical
  /// @param size bytes, more than 0
  /// @param type its use
  public record Area(long address, long size, Type type) {
    long end() {
      return address + size;
    }
  }

  /// What an area is used for, with its number.
  public enum Type {
    RAM(1),
    RESERVED(2),
    /// Tables the operating system may overwrite once it has read them.
    ACPI_RECLAIMABLE(3),
    ACPI_NVS(4);

    final int number;

    Type(int number) {
      this.number = number;
    }
  }

  /// The extended BIOS data area: the last KiB below 640 KiB. Nothing lies there, but operating
  /// systems take it for used.
  static final Area EBDA = new Area(0x9_FC00, 0x400, Type.RESERVED);

  /// Where BIOS ROM and ACPI tables lie on a PC.
  static final Area FIRMWARE = new Area(0xE_0000, 0x2_0000, Type.RESERVED);

  /// The video memory's window and option ROMs: not listed at all.
  private static final Area LEGACY_VIDEO = new Area(0xA_0000, 0x4_0000, Type.RESERVED);

  /// The map of a partition's RAM, ascending, without overlaps.
  ///
  /// @param reserved areas to take out of the RAM, or to list beside it, in addition to those
  ///     every PC has below 1 MiB
  public static List<Area> of(GuestMemory memory, List<Area> reserved) {
    if (reserved.size() > MOST_RESERVED) {
      throw new IllegalArgumentException(reserved.size() + " reserved areas");
    }
    var holes = new ArrayList<>(reserved);
    holes.add(EBDA);
    holes.add(LEGACY_VIDEO);
    holes.add(FIRMWARE);
    holes.sort(Comparator.comparingLong(Area::address));
    var map = new ArrayList<Area>();
    for (var hole : holes) {
      if (hole != LEGACY_VIDEO) {
        map.add(hole);
      }
    }
    for (var region : memory.regions()) {
      long at = region.guestAddress();
      long end = at + region.size();
      for (var hole : holes) {
        if (hole.end() <= at || hole.address() >= end) {
          continue;
        }
        if (hole.address() > at) {
          map.add(new Area(at, hole.address() - at, Type.RAM));
        }
        at = hole.end();
      }
      if (at < end) {
        map.add(new Area(at, end - at, Type.RAM));
      }
    }
    map.sort(Comparator.comparingLong(Area::address));
    for (int i = 1; i < map.size(); i++) {
      if (map.get(i).address() < map.get(i - 1).end()) {
        throw new IllegalArgumentException(
            "reserved areas overlap: %s and %s".formatted(map.get(i - 1), map.get(i)));
      }
    }
    return List.copyOf(map);
  }
}
