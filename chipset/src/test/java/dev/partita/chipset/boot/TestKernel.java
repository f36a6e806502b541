package dev.partita.chipset.boot;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;

/// Small kernels that nothing could run, but that have every part of real ones.
final class TestKernel {
  static final long BASE = 0x100_0000;
  static final int TEXT_SIZE = 0x5000;
  static final int DATA_SIZE = 0x1234;
  static final int BSS_SIZE = 0x3000;
  static final long DATA_ADDRESS = BASE + 0x8000;

  private TestKernel() {}

  /// What is where in a text that resembles code: neither random nor all the same.
  static byte[] contents(int size, long seed) {
    var random = new Random(seed);
    var bytes = new byte[size];
    int at = 0;
    while (at < size) {
      int length = Math.min(size - at, 1 + random.nextInt(60));
      switch (random.nextInt(4)) {
        case 0 -> {
          for (int i = 0; i < length; i++) {
            bytes[at + i] = (byte) random.nextInt();
          }
        }
        case 1 -> Arrays.fill(bytes, at, at + length, (byte) random.nextInt(3));
        default -> {
          int from = at == 0 ? 0 : random.nextInt(at);
          for (int i = 0; i < length; i++) {
            bytes[at + i] = bytes[from + i % Math.max(1, at - from)];
          }
        }
      }
      // A call, which the x86 filter of xz changes.
      if (length >= 5) {
        bytes[at] = (byte) 0xE8;
        bytes[at + 3] = 0;
        bytes[at + 4] = 0;
      }
      at += length;
    }
    return bytes;
  }

  static byte[] text() {
    return contents(TEXT_SIZE, 1);
  }

  static byte[] data() {
    return contents(DATA_SIZE, 2);
  }

  /// An ELF64 executable with two segments to load, the second with BSS, and notes.
  ///
  /// @param pvhEntry -1 for no PVH note
  static byte[] elf64(long entry, long pvhEntry) {
    var notes = notes(pvhEntry);
    int textAt = 0x1000;
    int dataAt = textAt + TEXT_SIZE;
    int notesAt = dataAt + DATA_SIZE + 4 & ~3;
    var buffer = ByteBuffer.allocate(notesAt + notes.length).order(ByteOrder.LITTLE_ENDIAN);
    buffer.put(new byte[] {0x7F, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    buffer.putShort((short) 2).putShort((short) 62).putInt(1);
    buffer.putLong(entry).putLong(64).putLong(0).putInt(0);
    buffer.putShort((short) 64).putShort((short) 56).putShort((short) 3);
    buffer.putShort((short) 64).putShort((short) 0).putShort((short) 0);
    header64(buffer, 1, textAt, BASE, TEXT_SIZE, TEXT_SIZE);
    header64(buffer, 1, dataAt, DATA_ADDRESS, DATA_SIZE, DATA_SIZE + BSS_SIZE);
    header64(buffer, 4, notesAt, 0, notes.length, notes.length);
    buffer.put(textAt, text()).put(dataAt, data()).put(notesAt, notes);
    return buffer.array();
  }

  private static void header64(
      ByteBuffer buffer, int type, long offset, long address, long fileSize, long memorySize) {
    buffer.putInt(type).putInt(5).putLong(offset);
    buffer.putLong(0xFFFF_FFFF_8000_0000L + address).putLong(address);
    buffer.putLong(fileSize).putLong(memorySize).putLong(0x1000);
  }

  /// An ELF32 executable with one segment to load, and notes.
  static byte[] elf32(long entry, long pvhEntry) {
    var notes = notes(pvhEntry);
    int textAt = 0x1000;
    int notesAt = textAt + TEXT_SIZE;
    var buffer = ByteBuffer.allocate(notesAt + notes.length).order(ByteOrder.LITTLE_ENDIAN);
    buffer.put(new byte[] {0x7F, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    buffer.putShort((short) 2).putShort((short) 3).putInt(1);
    buffer.putInt((int) entry).putInt(52).putInt(0).putInt(0);
    buffer.putShort((short) 52).putShort((short) 32).putShort((short) 2);
    buffer.putShort((short) 40).putShort((short) 0).putShort((short) 0);
    buffer.putInt(1).putInt(textAt).putInt((int) BASE).putInt((int) BASE);
    buffer.putInt(TEXT_SIZE).putInt(TEXT_SIZE).putInt(7).putInt(0x1000);
    buffer.putInt(4).putInt(notesAt).putInt(0).putInt(0);
    buffer.putInt(notes.length).putInt(notes.length).putInt(4).putInt(4);
    buffer.put(textAt, text()).put(notesAt, notes);
    return buffer.array();
  }

  /// Notes of others around that of the PVH entry.
  private static byte[] notes(long pvhEntry) {
    var buffer = ByteBuffer.allocate(100).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(6).putInt(4).putInt(1);
    buffer.put("Linux\0\0\0".getBytes(StandardCharsets.US_ASCII)).putInt(7);
    buffer.putInt(4).putInt(6).putInt(6);
    buffer.put("Xen\0linux\0\0\0".getBytes(StandardCharsets.US_ASCII));
    if (pvhEntry >= 0) {
      buffer.putInt(4).putInt(4).putInt(18);
      buffer.put("Xen\0".getBytes(StandardCharsets.US_ASCII)).putInt((int) pvhEntry);
    }
    return Arrays.copyOf(buffer.array(), buffer.position());
  }

  static byte[] bzImage(byte[] payload) {
    return bzImage(payload, 0x20F);
  }

  /// A bzImage as Linux 6 makes them, around a payload.
  static byte[] bzImage(byte[] payload, int version) {
    int setupSectors = 3;
    int payloadOffset = 0x2CC;
    int start = (setupSectors + 1) * 512 + payloadOffset;
    var buffer = ByteBuffer.allocate(start + payload.length + 700).order(ByteOrder.LITTLE_ENDIAN);
    buffer.put(SetupHeader.START, (byte) setupSectors);
    buffer.putShort(SetupHeader.BOOT_FLAG, (short) 0xAA55);
    buffer.put(0x200, (byte) 0xEB).put(0x201, (byte) 0x6A);
    buffer.putInt(SetupHeader.MAGIC, 0x5372_6448);
    buffer.putShort(SetupHeader.VERSION, (short) version);
    buffer.putShort(SetupHeader.KERNEL_VERSION, (short) 0x200);
    buffer.put(0x400, "6.1.0-test (builder) #1 SMP\0".getBytes(StandardCharsets.US_ASCII));
    buffer.put(SetupHeader.LOAD_FLAGS, (byte) 0x83);
    buffer.putInt(SetupHeader.INITRD_ADDRESS_MAX, 0x7FFF_FFFF);
    buffer.putInt(SetupHeader.KERNEL_ALIGNMENT, 0x20_0000);
    buffer.putShort(SetupHeader.XLOAD_FLAGS, (short) 0x7F);
    buffer.putInt(SetupHeader.COMMAND_LINE_SIZE, 2047);
    buffer.putInt(SetupHeader.PAYLOAD_OFFSET, payloadOffset);
    buffer.putInt(SetupHeader.PAYLOAD_LENGTH, payload.length);
    buffer.putLong(SetupHeader.PREFERRED_ADDRESS, BASE);
    buffer.putInt(SetupHeader.INIT_SIZE, 0x20_0000);
    buffer.put(start, payload);
    return buffer.array();
  }

  /// A file's bytes with some changed.
  static byte[] patch(byte[] file, int offset, long value, int size) {
    var changed = file.clone();
    for (int i = 0; i < size; i++) {
      changed[offset + i] = (byte) (value >> (8 * i));
    }
    return changed;
  }
}
