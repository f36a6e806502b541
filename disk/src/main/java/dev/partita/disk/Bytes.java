package dev.partita.disk;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.UUID;

/// Numbers and GUIDs in byte arrays: little-endian as VHDX has them, big-endian as VHD.
final class Bytes {
  private static final VarHandle SHORT_LE = view(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT_LE = view(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG_LE = view(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT_BE = view(int[].class, ByteOrder.BIG_ENDIAN);
  private static final VarHandle LONG_BE = view(long[].class, ByteOrder.BIG_ENDIAN);

  private Bytes() {}

  private static VarHandle view(Class<?> type, ByteOrder order) {
    return MethodHandles.byteArrayViewVarHandle(type, order);
  }

  static int unsignedShort(byte[] from, int at) {
    return Short.toUnsignedInt((short) SHORT_LE.get(from, at));
  }

  static int int32(byte[] from, int at) {
    return (int) INT_LE.get(from, at);
  }

  static long unsignedInt(byte[] from, int at) {
    return Integer.toUnsignedLong(int32(from, at));
  }

  static long int64(byte[] from, int at) {
    return (long) LONG_LE.get(from, at);
  }

  static void putShort(byte[] to, int at, int value) {
    SHORT_LE.set(to, at, (short) value);
  }

  static void putInt(byte[] to, int at, int value) {
    INT_LE.set(to, at, value);
  }

  static void putLong(byte[] to, int at, long value) {
    LONG_LE.set(to, at, value);
  }

  static int bigInt(byte[] from, int at) {
    return (int) INT_BE.get(from, at);
  }

  static long bigLong(byte[] from, int at) {
    return (long) LONG_BE.get(from, at);
  }

  static void putBigInt(byte[] to, int at, int value) {
    INT_BE.set(to, at, value);
  }

  static void putBigLong(byte[] to, int at, long value) {
    LONG_BE.set(to, at, value);
  }

  /// A GUID as [MS-DTYP] 2.3.4.2 stores it: the first three fields little-endian.
  static UUID guid(byte[] from, int at) {
    long high = int64(from, at);
    long most = (high & 0xFFFF_FFFFL) << 32 | (high >>> 32 & 0xFFFF) << 16 | high >>> 48;
    return new UUID(most, bigLong(from, at + 8));
  }

  static void putGuid(byte[] to, int at, UUID guid) {
    long most = guid.getMostSignificantBits();
    putLong(to, at, (most & 0xFFFF) << 48 | (most >>> 16 & 0xFFFF) << 32 | most >>> 32);
    putBigLong(to, at + 8, guid.getLeastSignificantBits());
  }

  /// A UUID whose bytes are in the order of its text, as VHD stores it.
  static UUID bigUuid(byte[] from, int at) {
    return new UUID(bigLong(from, at), bigLong(from, at + 8));
  }

  static void putBigUuid(byte[] to, int at, UUID uuid) {
    putBigLong(to, at, uuid.getMostSignificantBits());
    putBigLong(to, at + 8, uuid.getLeastSignificantBits());
  }

  static boolean matches(byte[] from, int at, String signature) {
    for (int i = 0; i < signature.length(); i++) {
      if (from[at + i] != signature.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  static void putAscii(byte[] to, int at, String text) {
    for (int i = 0; i < text.length(); i++) {
      to[at + i] = (byte) text.charAt(i);
    }
  }
}
