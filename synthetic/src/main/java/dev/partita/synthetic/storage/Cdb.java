package dev.partita.synthetic.storage;

import java.nio.ByteBuffer;

/// A command descriptor block (SPC-4, 4.3): 16 bytes, big-endian, those beyond the command's own
/// zero.
final class Cdb {
  private final ByteBuffer bytes;

  /// @param bytes at most 16; copied
  Cdb(byte[] bytes) {
    this.bytes = ByteBuffer.allocate(VstorLayout.LONGEST_CDB);
    this.bytes.put(0, bytes, 0, Math.min(bytes.length, VstorLayout.LONGEST_CDB));
  }

  int opcode() {
    return u8(0);
  }

  int u8(int offset) {
    return bytes.get(offset) & 0xFF;
  }

  int u16(int offset) {
    return bytes.getShort(offset) & 0xFFFF;
  }

  int u24(int offset) {
    return u8(offset) << 16 | u16(offset + 1);
  }

  long u32(int offset) {
    return bytes.getInt(offset) & 0xFFFF_FFFFL;
  }

  /// A 64-bit field; negative if it is larger than a long.
  long u64(int offset) {
    return bytes.getLong(offset);
  }

  boolean bit(int offset, int mask) {
    return (u8(offset) & mask) != 0;
  }

  @Override
  public String toString() {
    return java.util.HexFormat.ofDelimiter(" ").formatHex(bytes.array());
  }
}
