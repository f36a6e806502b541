package dev.partita.engine.software;

import org.jspecify.annotations.Nullable;

/// The address part of an instruction: segment, base, index, scale, displacement. Immutable.
///
/// Register numbers index {@link Cpu#r}, where {@link Cpu#ZERO} always reads 0 and {@link
/// Cpu#RIP_BASE}
/// is the base for RIP-relative addresses. The segment indexes {@link Cpu#segmentBase}, where
/// {@link
/// Cpu#NO_SEGMENT} has base 0 (in 64-bit mode all but FS and GS).
final class MemoryOperand {
  final long displacement;

  // Bytes: there is one of these for every second decoded instruction, and what the host's caches
  // hold of them decides how fast code is interpreted that is not hot.
  final byte segment;
  final byte base;
  final byte index;
  final byte scale;

  /// In bits: 16, 32 or 64.
  private final byte addressSize;

  /// Outside 64-bit mode: the segment's limit and rights are checked at each access.
  final boolean checked;

  /// 64-bit addresses without a segment, as nearly all are: base, index and displacement are all
  /// there is to an address.
  final boolean plain;

  MemoryOperand(
      int segment,
      int base,
      int index,
      int scale,
      long displacement,
      int addressSize,
      boolean is64) {
    this.segment = (byte) segment;
    this.base = (byte) base;
    this.index = (byte) index;
    this.scale = (byte) scale;
    this.displacement = displacement;
    this.addressSize = (byte) addressSize;
    this.checked = !is64;
    this.plain = is64 && addressSize == 64 && segment == Cpu.NO_SEGMENT;
  }

  /// The registers an address is made of, as bits by number, without {@link Cpu#ZERO}.
  static int registers(@Nullable MemoryOperand m) {
    return m == null ? 0 : (1 << m.base | 1 << m.index) & ~(1 << Cpu.ZERO);
  }

  /// Mask of the effective address: address size.
  long offsetMask() {
    return -1L >>> 64 - addressSize;
  }

  /// Mask of the linear address: all ones in 64-bit mode, else 32 ones.
  long linearMask() {
    return checked ? 0xFFFF_FFFFL : -1L;
  }

  /// The effective address (offset in the segment): what LEA gives.
  long offset(Cpu c) {
    long[] r = c.r;
    return (r[base] + (r[index] << scale) + displacement) & offsetMask();
  }

  /// The linear address for a read of some bytes; checks the segment outside 64-bit mode.
  long readAddress(Cpu c, int size) {
    if (plain) {
      long[] r = c.r;
      return r[base] + (r[index] << scale) + displacement;
    }
    return segmented(c, size, false);
  }

  /// The linear address for a write (or a read and write) of some bytes.
  long writeAddress(Cpu c, int size) {
    if (plain) {
      long[] r = c.r;
      return r[base] + (r[index] << scale) + displacement;
    }
    return segmented(c, size, true);
  }

  private long segmented(Cpu c, int size, boolean write) {
    long offset = offset(c);
    if (checked) {
      c.checkSegment(segment, offset, size, write);
    }
    return (offset + c.segmentBase[segment]) & linearMask();
  }

  /// Like {@link #writeAddress} with a signed offset in bytes added to the effective address: the
  /// bit
  /// string of BT, BTS, BTR and BTC with a register operand.
  long address(Cpu c, long added, int size, boolean write) {
    long offset = (offset(c) + added) & offsetMask();
    if (checked) {
      c.checkSegment(segment, offset, size, write);
    }
    return (offset + c.segmentBase[segment]) & linearMask();
  }

  int load8(Cpu c) {
    return c.load8(readAddress(c, 1));
  }

  int load16(Cpu c) {
    return c.load16(readAddress(c, 2));
  }

  int load32(Cpu c) {
    return c.load32(readAddress(c, 4));
  }

  long load64(Cpu c) {
    return c.load64(readAddress(c, 8));
  }

  void store8(Cpu c, int value) {
    c.store8(writeAddress(c, 1), value);
  }

  void store16(Cpu c, int value) {
    c.store16(writeAddress(c, 2), value);
  }

  void store32(Cpu c, int value) {
    c.store32(writeAddress(c, 4), value);
  }

  void store64(Cpu c, long value) {
    c.store64(writeAddress(c, 8), value);
  }
}
