package dev.partita.image.boot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.image.ImageException;
import dev.partita.image.MemoryDisk;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Damaged disks: whatever is on them, looking for a kernel ends soon, and with nothing but the
/// exception that is for the operator.
class HostileDiskTest {
  private static final int TRIALS = 400;

  /// What an honest search reads of these disks, many times over.
  private static final long MOST_READ = 256L << 20;

  @ParameterizedTest
  @ValueSource(strings = {"ext4.img", "ext4-journal.img", "fat12.img", "fat16.img"})
  void damageIsSaid(String name) throws IOException {
    byte[] sound = MemoryDisk.fixture(name);
    var random = new Random(name.hashCode());
    int found = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
      byte[] bytes = sound.clone();
      for (int damage = random.nextInt(8); damage >= 0; damage--) {
        // Where structures are: most of the content is at the beginning.
        int at = random.nextInt(random.nextBoolean() ? bytes.length : 1 << 18);
        switch (random.nextInt(3)) {
          case 0 -> bytes[at] = (byte) random.nextInt();
          case 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
          default -> {
            for (int i = at & ~3; i < Math.min(bytes.length, (at & ~3) + 4); i++) {
              bytes[i] = (byte) (random.nextBoolean() ? 0xff : random.nextInt());
            }
          }
        }
      }
      found += search(bytes) ? 1 : 0;
    }
    assertThat(found).as("most damage is elsewhere").isGreaterThan(0);
  }

  /// For the fuzz target too.
  ///
  /// @return whether a kernel was found
  static boolean search(byte[] bytes) throws IOException {
    var disk = MemoryDisk.of(bytes);
    boolean found = false;
    try {
      var kernel = KernelFinder.find(disk);
      kernel.copyKernelTo(OutputStream.nullOutputStream());
      kernel.copyInitrdTo(OutputStream.nullOutputStream());
      found = true;
    } catch (ImageException e) {
      assertThat(e.getMessage()).isNotBlank();
    }
    assertThat(disk.bytesRead()).isLessThan(MOST_READ);
    return found;
  }
}
