package dev.partita.engine.software;

/// A stack that is being pushed to before it becomes the current one, or to leave the current one
/// untouched until all pushes went well. Pushes check the limit of the stack's segment, not of SS.
final class StackFrame {
  private final Cpu c;
  private final boolean flat;
  private final long base;
  private final long limit;
  private final boolean expandDown;
  private final long mask;
  private final int errorCode;

  /// The stack pointer now.
  long pointer;

  private StackFrame(
      Cpu c, boolean flat, long base, int limit, int attributes, long pointer, int errorCode) {
    this.c = c;
    this.flat = flat;
    this.base = base;
    this.limit = limit & 0xFFFF_FFFFL;
    this.expandDown = (attributes & (Descriptor.SEGMENT | 0xC)) == (Descriptor.SEGMENT | 4);
    this.mask = flat ? -1L : (attributes & Descriptor.BIG) != 0 ? 0xFFFF_FFFFL : 0xFFFF;
    this.pointer = pointer & mask;
    this.errorCode = errorCode;
  }

  /// The current stack.
  static StackFrame current(Cpu c) {
    return new StackFrame(
        c,
        c.is64(),
        c.segmentBase[Cpu.SS],
        c.segmentLimit[Cpu.SS],
        c.segmentAttributes[Cpu.SS],
        c.r[Cpu.RSP],
        0);
  }

  /// A stack of 64-bit mode.
  static StackFrame flat(Cpu c, long pointer) {
    return new StackFrame(c, true, 0, -1, 0, pointer, 0);
  }

  /// The stack of an inner level.
  ///
  /// @param raw the descriptor of its segment
  static StackFrame inner(Cpu c, int selector, long raw, long pointer) {
    return new StackFrame(
        c,
        false,
        Descriptor.base(raw),
        Descriptor.limit(raw),
        Descriptor.attributes(raw),
        pointer,
        selector & 0xFFFC);
  }

  /// Pushes 2, 4 or 8 bytes, with the privilege in force.
  void push(long value, int size) {
    long offset = pointer - size & mask;
    long address;
    if (flat) {
      if (!Cpu.canonical(offset)) {
        throw c.raise(GuestFault.STACK_FAULT, 0);
      }
      address = offset;
    } else {
      long last = offset + size - 1;
      boolean outside = expandDown ? offset <= limit || last > mask : last > limit;
      if (outside) {
        throw c.raise(GuestFault.STACK_FAULT, errorCode);
      }
      address = offset + base & 0xFFFF_FFFFL;
    }
    switch (size) {
      case 2 -> c.store16(address, (int) value);
      case 4 -> c.store32(address, (int) value);
      default -> c.store64(address, value);
    }
    pointer = offset;
  }

  /// Makes this the current stack; SS was loaded before.
  void commit() {
    if (mask == 0xFFFF) {
      c.set16(Cpu.RSP, (int) pointer);
    } else {
      c.r[Cpu.RSP] = pointer;
    }
  }
}
