package dev.partita.image.partition;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.image.MemoryDisk;
import dev.partita.image.filesystem.MalformedFileSystemException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PartitionTableTest {
  private static final int SIZE = 8 << 20;
  private static final UUID TYPE = UUID.fromString("0fc63daf-8483-4772-8e79-3d69d8477de4");
  private static final UUID ID = UUID.fromString("11112222-3333-4444-8555-666677778888");

  private static byte[] gpt(int sector) throws IOException {
    byte[] bytes = new byte[SIZE];
    GptWriter.write(
        new MemoryDisk(bytes, sector),
        UUID.randomUUID(),
        List.of(
            new GptWriter.Entry(1, TYPE, ID, 2 << 20, 4 << 20, "root"),
            new GptWriter.Entry(15, TYPE, TYPE, 1 << 20, 1 << 20, "esp")));
    return bytes;
  }

  @ParameterizedTest
  @ValueSource(ints = {512, 4096})
  void gptIsReadAsItWasWritten(int sector) throws IOException {
    assertThat(PartitionTable.read(new MemoryDisk(gpt(sector), sector)))
        .containsExactly(
            new Partition(1, 2 << 20, 4 << 20, ID.toString(), "root"),
            new Partition(15, 1 << 20, 1 << 20, TYPE.toString(), "esp"));
  }

  @Test
  void theSecondTableServesWhenTheFirstIsDamaged() throws IOException {
    byte[] bytes = gpt(512);
    bytes[1024 + 60] ^= 1;
    assertThat(PartitionTable.read(MemoryDisk.of(bytes))).hasSize(2);
    bytes[SIZE - 512 + 20] ^= 1;
    assertThatThrownBy(() -> PartitionTable.read(MemoryDisk.of(bytes)))
        .isInstanceOf(MalformedFileSystemException.class)
        .hasMessageContaining("both");
  }

  private static void entry(ByteBuffer disk, int sector, int index, int type, int from, int count) {
    int at = sector * 512 + 446 + 16 * index;
    disk.put(at + 4, (byte) type).putInt(at + 8, from).putInt(at + 12, count);
    disk.putShort(sector * 512 + 510, (short) 0xaa55);
  }

  @Test
  void logicalPartitionsOfAnMbrAreFound() throws IOException {
    var disk = ByteBuffer.allocate(SIZE).order(ByteOrder.LITTLE_ENDIAN);
    disk.putInt(440, 0xdeadbeef);
    entry(disk, 0, 0, 0x83, 2048, 2048);
    entry(disk, 0, 1, 0x05, 4096, 8192);
    entry(disk, 4096, 0, 0x83, 64, 1000);
    entry(disk, 4096, 1, 0x05, 2048, 2048);
    entry(disk, 6144, 0, 0x82, 64, 1000);
    assertThat(PartitionTable.read(MemoryDisk.of(disk.array())))
        .containsExactly(
            new Partition(1, 2048 * 512, 2048 * 512, "deadbeef-01", ""),
            new Partition(5, 4160 * 512, 1000 * 512, "deadbeef-05", ""),
            new Partition(6, 6208 * 512, 1000 * 512, "deadbeef-06", ""));
    // A chain that leads back to its beginning ends.
    entry(disk, 6144, 1, 0x05, 0, 2048);
    assertThat(PartitionTable.read(MemoryDisk.of(disk.array()))).hasSize(3);
  }

  @Test
  void aDiskWithoutATableIsOnePartition() throws IOException {
    assertThat(PartitionTable.read(MemoryDisk.of(new byte[SIZE])))
        .containsExactly(new Partition(0, 0, SIZE, "", ""));
    assertThat(PartitionTable.read(MemoryDisk.of(MemoryDisk.fixture("fat16.img"))))
        .as("a boot sector has the same signature")
        .hasSize(1);
  }
}
