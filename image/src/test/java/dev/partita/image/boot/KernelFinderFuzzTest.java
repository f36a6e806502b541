package dev.partita.image.boot;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.image.DamagedDisk;
import dev.partita.image.ImageException;
import dev.partita.image.MemoryDisk;
import java.io.IOException;
import java.io.OutputStream;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Whatever is on a disk, looking for its kernel ends soon, and with nothing but the exception that
/// is for the operator.
class KernelFinderFuzzTest {
  /// What an honest search reads of these disks, many times over.
  private static final long MOST_READ = 256L << 20;

  @FuzzTest
  void fuzz(byte[] input) throws IOException {
    search(DamagedDisk.from(input));
  }

  @Test
  void randomDamageIsSaid() throws IOException {
    var random = new SplittableRandom(0x5EED);
    int found = 0;
    for (int trial = 0; trial < 600; trial++) {
      var input = new byte[1 + 5 * random.nextInt(12)];
      random.nextBytes(input);
      found += search(DamagedDisk.from(input)) ? 1 : 0;
    }
    assertThat(found).as("some damage is where nobody looks").isPositive();
  }

  private static boolean search(byte[] bytes) throws IOException {
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
