package dev.partita.engine.software;

/// A far pointer in memory: an offset of 2, 4 or 8 bytes, then a selector.
final class FarPointer {
  private FarPointer() {}

  /// @param size bytes of the offset
  static long offset(Cpu c, MemoryOperand memory, int size) {
    long address = memory.readAddress(c, size + 2);
    return switch (size) {
      case 2 -> c.load16(address) & 0xFFFF;
      case 4 -> c.load32(address) & 0xFFFF_FFFFL;
      default -> c.load64(address);
    };
  }

  /// @param size bytes of the offset before it
  static int selector(Cpu c, MemoryOperand memory, int size) {
    return c.load16(memory.address(c, size, 2, false)) & 0xFFFF;
  }
}
