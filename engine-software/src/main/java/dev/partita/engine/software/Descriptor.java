package dev.partita.engine.software;

/// Segment descriptors: where they are, and what their bits say (Intel SDM volume 3, 3.4.5 and
/// 3.5).
///
/// A descriptor is handled as the 8 bytes in memory, `raw`. Attributes are kept as in {@link
/// Cpu#segmentAttributes}: the second word shifted right by 8, without the limit's bits.
final class Descriptor {
  // Attribute bits.
  static final int ACCESSED = 1;

  /// Of a data segment: writable. Of a code segment: readable.
  static final int READ_WRITE = 1 << 1;

  /// Of a data segment: expand-down. Of a code segment: conforming.
  static final int CONFORMING = 1 << 2;

  static final int CODE = 1 << 3;

  /// Code or data, not a system descriptor.
  static final int SEGMENT = 1 << 4;

  static final int PRESENT = 1 << 7;
  static final int LONG = 1 << 13;
  static final int BIG = 1 << 14;
  static final int GRANULAR = 1 << 15;

  /// Set in a register that holds a null selector.
  static final int UNUSABLE = 1 << 16;

  // System types: SDM volume 3, table 3-2.
  static final int TSS16 = 1;
  static final int LDT = 2;
  static final int TSS16_BUSY = 3;
  static final int CALL_GATE16 = 4;
  static final int TASK_GATE = 5;
  static final int INTERRUPT_GATE16 = 6;
  static final int TRAP_GATE16 = 7;
  static final int TSS = 9;
  static final int TSS_BUSY = 11;
  static final int CALL_GATE = 12;
  static final int INTERRUPT_GATE = 14;
  static final int TRAP_GATE = 15;

  private Descriptor() {}

  static int attributes(long raw) {
    return (int) (raw >>> 40) & 0xF0FF;
  }

  static int dpl(int attributes) {
    return attributes >> 5 & 3;
  }

  static boolean present(int attributes) {
    return (attributes & PRESENT) != 0;
  }

  static boolean isCode(int attributes) {
    return (attributes & (SEGMENT | CODE)) == (SEGMENT | CODE);
  }

  static boolean isConforming(int attributes) {
    return (attributes & (SEGMENT | CODE | CONFORMING)) == (SEGMENT | CODE | CONFORMING);
  }

  static boolean isWritableData(int attributes) {
    return (attributes & (SEGMENT | CODE | READ_WRITE)) == (SEGMENT | READ_WRITE);
  }

  /// The type of a system descriptor, 0 to 15; -1 for code and data.
  static int systemType(int attributes) {
    return (attributes & SEGMENT) != 0 ? -1 : attributes & 15;
  }

  static long base(long raw) {
    return (raw >>> 16 & 0xFF_FFFF) | (raw >>> 32 & 0xFF00_0000L);
  }

  /// Last valid offset, granularity applied, unsigned in 32 bits.
  static int limit(long raw) {
    int limit = (int) (raw & 0xFFFF) | (int) (raw >>> 32) & 0xF_0000;
    return (raw & 1L << 55) != 0 ? limit << 12 | 0xFFF : limit;
  }

  /// Offset in a 16- or 32-bit gate.
  static long gateOffset(long raw) {
    return (raw & 0xFFFF) | (raw >>> 32 & 0xFFFF_0000L);
  }

  static int gateSelector(long raw) {
    return (int) (raw >>> 16) & 0xFFFF;
  }

  static boolean isNull(int selector) {
    return (selector & 0xFFFC) == 0;
  }

  /// The linear address of a descriptor.
  ///
  /// @param size 8, or 16 for a system descriptor of long mode
  /// @return -1 if it is beyond its table; no table is at that address, for it would wrap
  static long address(Cpu c, int selector, int size) {
    int offset = selector & 0xFFF8;
    long base;
    int limit;
    if ((selector & 4) == 0) {
      base = c.gdtrBase;
      limit = c.gdtrLimit;
    } else {
      if ((c.ldtrAttributes & UNUSABLE) != 0) {
        return -1;
      }
      base = c.ldtrBase;
      limit = c.ldtrLimit;
    }
    if (Integer.compareUnsigned(offset + size - 1, limit) > 0) {
      return -1;
    }
    return c.longMode() ? base + offset : base + offset & 0xFFFF_FFFFL;
  }

  /// Reads a descriptor.
  ///
  /// @param vector raised with the selector as error code if it is beyond its table
  static long load(Cpu c, int selector, int vector) {
    long address = address(c, selector, 8);
    if (address == -1) {
      throw c.raise(vector, selector & 0xFFFC);
    }
    return c.mmu.loadSystem(address, 8);
  }

  /// Reads the upper half of a 16-byte system descriptor: bits 63:32 of the base or offset.
  static long loadUpper(Cpu c, int selector, int vector) {
    long address = address(c, selector, 16);
    if (address == -1) {
      throw c.raise(vector, selector & 0xFFFC);
    }
    return c.mmu.loadSystem(address + 8, 8);
  }

  /// Sets the accessed bit in memory, unless it is set.
  ///
  /// @return the attributes with the bit
  static int touch(Cpu c, int selector, int attributes) {
    if ((attributes & ACCESSED) == 0) {
      storeType(c, selector, attributes | ACCESSED);
    }
    return attributes | ACCESSED;
  }

  /// Writes the byte with type, S, DPL and P.
  static void storeType(Cpu c, int selector, int attributes) {
    long address = address(c, selector, 8);
    c.mmu.storeSystem(address + 5, 1, attributes & 0xFF);
  }
}
