package dev.partita.engine.software;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// Host memory by absolute address: the one place that touches guest RAM on the fast path.
///
/// The addresses come from the {@link Tlb}, which only ever holds pages of the partition's RAM;
/// that is
/// the bounds check. One constant segment over the whole address space lets the compilers fold the
/// segment's own checks away.
///
/// Order: a plain load followed by an acquire fence, and a plain store after a release fence, keep
/// x86
/// order between processors on every host (ENGINE.md has the measurement); on an x86 host the
/// fences are
/// no instructions.
final class Raw {
  private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
  private static final VarHandle BYTE = ValueLayout.JAVA_BYTE.varHandle();
  private static final VarHandle SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
  private static final VarHandle INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
  private static final VarHandle LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
  private static final VarHandle ALIGNED_LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
  private static final VarHandle ALIGNED_INT =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

  private Raw() {}

  static int getByte(long address) {
    int v = (byte) BYTE.get(ALL, address) & 0xFF;
    VarHandle.acquireFence();
    return v;
  }

  static int getShort(long address) {
    int v = (short) SHORT.get(ALL, address) & 0xFFFF;
    VarHandle.acquireFence();
    return v;
  }

  static int getInt(long address) {
    int v = (int) INT.get(ALL, address);
    VarHandle.acquireFence();
    return v;
  }

  static long getLong(long address) {
    long v = (long) LONG.get(ALL, address);
    VarHandle.acquireFence();
    return v;
  }

  static void setByte(long address, int value) {
    VarHandle.releaseFence();
    BYTE.set(ALL, address, (byte) value);
  }

  static void setShort(long address, int value) {
    VarHandle.releaseFence();
    SHORT.set(ALL, address, (short) value);
  }

  static void setInt(long address, int value) {
    VarHandle.releaseFence();
    INT.set(ALL, address, value);
  }

  static void setLong(long address, long value) {
    VarHandle.releaseFence();
    LONG.set(ALL, address, value);
  }

  /// Compares and sets; the address must be a multiple of 8.
  static boolean compareAndSetLong(long address, long expected, long value) {
    return ALIGNED_LONG.compareAndSet(ALL, address, expected, value);
  }

  /// Compares and sets; the address must be a multiple of 4.
  static boolean compareAndSetInt(long address, int expected, int value) {
    return ALIGNED_INT.compareAndSet(ALL, address, expected, value);
  }

  /// Copies without overlap or with `to` below `from`.
  static void copy(long from, long to, long length) {
    VarHandle.releaseFence();
    MemorySegment.copy(ALL, from, ALL, to, length);
    VarHandle.acquireFence();
  }

  static void fill(long address, long length, int value) {
    VarHandle.releaseFence();
    ALL.asSlice(address, length).fill((byte) value);
  }
}
