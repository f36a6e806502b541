package dev.partita.chipset.boot;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// Bytes of a file, read with bounds checks in little-endian order.
///
/// @param what names the bytes in messages
record Bytes(byte[] array, String what) {
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  int size() {
    return array.length;
  }

  /// The offset as an array index, after checking that all of a stretch lies inside; both numbers
  /// come from the file and are taken as unsigned.
  int checked(long offset, long length) {
    if (offset < 0 || length < 0 || offset > array.length || length > array.length - offset) {
      throw new BootException(
          "%s is truncated: %s bytes at 0x%x, but there are only 0x%x bytes"
              .formatted(what, Long.toUnsignedString(length), offset, array.length));
    }
    return (int) offset;
  }

  int u8(long offset) {
    return array[checked(offset, 1)] & 0xFF;
  }

  int u16(long offset) {
    return (short) SHORT.get(array, checked(offset, 2)) & 0xFFFF;
  }

  long u32(long offset) {
    return (int) INT.get(array, checked(offset, 4)) & 0xFFFF_FFFFL;
  }

  long u64(long offset) {
    return (long) LONG.get(array, checked(offset, 8));
  }
}
