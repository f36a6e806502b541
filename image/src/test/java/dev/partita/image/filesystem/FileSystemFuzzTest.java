package dev.partita.image.filesystem;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.image.DamagedDisk;
import dev.partita.image.ImageException;
import dev.partita.image.MemoryDisk;
import dev.partita.image.filesystem.FileSystems.Found;
import java.io.IOException;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Whatever a file system says, its tree can be walked: each answer ends, and is bounded.
class FileSystemFuzzTest {
  private static final int DEPTH = 4;
  private static final int MOST_NODES = 2_000;
  private static final int MOST_CONTENT = 1 << 17;

  private int nodes;

  @FuzzTest
  void fuzz(byte[] input) throws IOException {
    nodes = 0;
    try {
      if (FileSystems.detect(Volume.whole(MemoryDisk.of(DamagedDisk.from(input))))
          instanceof Found.Readable(FileSystem fileSystem)) {
        assertThat(fileSystem.uuid()).hasSizeLessThan(64);
        fileSystem.find("/vmlinuz");
        walk(fileSystem, fileSystem.root(), DEPTH);
      }
    } catch (ImageException e) {
      assertThat(e.getMessage()).isNotBlank();
    }
  }

  private void walk(FileSystem fileSystem, Node directory, int depth) throws IOException {
    for (Node node : fileSystem.list(directory).values()) {
      if (++nodes > MOST_NODES) {
        return;
      }
      try {
        switch (node.kind()) {
          case DIRECTORY -> {
            if (depth > 0) {
              walk(fileSystem, node, depth - 1);
            }
          }
          case FILE, LINK ->
              assertThat(fileSystem.content(node, MOST_CONTENT)).hasSize((int) node.size());
          case OTHER -> {}
        }
      } catch (ImageException e) {
        // This one is broken; the others are read.
      }
    }
  }

  @Test
  void randomlyDamagedOnesAreWalked() throws IOException {
    var random = new SplittableRandom(0x5EED);
    for (int trial = 0; trial < 300; trial++) {
      var input = new byte[1 + 5 * random.nextInt(20)];
      random.nextBytes(input);
      fuzz(input);
    }
  }
}
