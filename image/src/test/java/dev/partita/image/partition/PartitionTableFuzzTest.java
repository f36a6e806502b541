package dev.partita.image.partition;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.image.ImageException;
import dev.partita.image.MemoryDisk;
import java.io.IOException;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Whatever a partition table says, its partitions lie on the disk.
class PartitionTableFuzzTest {
  private static final int SIZE = 1 << 20;

  /// The first byte chooses the sector size; what follows is the disk's beginning.
  @FuzzTest
  void fuzz(byte[] input) throws IOException {
    byte[] bytes = new byte[SIZE];
    int sector = input.length > 0 && (input[0] & 1) != 0 ? 4096 : 512;
    if (input.length > 1) {
      System.arraycopy(input, 1, bytes, 0, Math.min(input.length - 1, SIZE));
    }
    check(new MemoryDisk(bytes, sector));
  }

  private static void check(MemoryDisk disk) throws IOException {
    try {
      var partitions = PartitionTable.read(disk);
      assertThat(partitions).hasSizeLessThan(10_000);
      for (Partition partition : partitions) {
        assertThat(partition.offset()).isBetween(0L, disk.size() - 1);
        assertThat(partition.length()).isBetween(1L, disk.size() - partition.offset());
      }
    } catch (ImageException e) {
      assertThat(e.getMessage()).isNotBlank();
    }
  }

  @Test
  void randomTablesHold() throws IOException {
    var random = new SplittableRandom(0x5EED);
    for (int trial = 0; trial < 2_000; trial++) {
      var input = new byte[2048];
      random.nextBytes(input);
      input[1 + 510] = 0x55;
      input[1 + 511] = (byte) 0xaa;
      for (int entry = 0; entry < 4; entry++) {
        int at = 1 + 446 + 16 * entry;
        input[at] = 0;
        input[at + 4] = (byte) (random.nextBoolean() ? 0x05 : 0x83);
        // Within the disk, so that chains are followed.
        input[at + 9] &= 7;
        input[at + 10] = 0;
        input[at + 11] = 0;
      }
      fuzz(input);
    }
  }
}
