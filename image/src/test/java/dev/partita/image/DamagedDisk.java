package dev.partita.image;

import java.util.List;

/// A sound disk with damage that a fuzzer's bytes choose: which disk, and what is changed where.
public final class DamagedDisk {
  private static final List<byte[]> SOUND =
      List.of(
          MemoryDisk.fixture("ext4.img"),
          MemoryDisk.fixture("ext4-journal.img"),
          MemoryDisk.fixture("fat12.img"),
          MemoryDisk.fixture("fat16.img"));

  private DamagedDisk() {}

  /// The first byte chooses the disk; each five that follow are an offset of three and a change of
  /// two: of the highest bit, whether the offset counts in blocks of 32 bytes from the beginning,
  /// where structures are.
  public static byte[] from(byte[] input) {
    if (input.length == 0) {
      return SOUND.getFirst().clone();
    }
    byte[] disk = SOUND.get((input[0] & 0xff) % SOUND.size()).clone();
    for (int i = 1; i + 5 <= input.length; i += 5) {
      int raw = (input[i] & 0xff) << 16 | (input[i + 1] & 0xff) << 8 | input[i + 2] & 0xff;
      int at = (raw & 0x800000) != 0 ? (raw & 0xffff) * 32 + (raw >> 16 & 0x1f) : raw;
      disk[at % disk.length] = input[i + 3];
      disk[(at + 1) % disk.length] ^= input[i + 4];
    }
    return disk;
  }
}
