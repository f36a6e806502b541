package dev.partita.synthetic.storage;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Whatever a guest sends, whatever its operator does meanwhile, and whatever the file does: no
/// exception, every request answered once, no byte moved that was not to be moved.
class ScsiControllerFuzzTest {
  @FuzzTest
  void fuzz(byte[] input) {
    try (var conversation = new FuzzedStorage(input)) {
      conversation.run();
    }
  }

  @Test
  void randomConversationsHold() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 400; i++) {
      var input = new byte[random.nextInt(2_000)];
      random.nextBytes(input);
      fuzz(input);
    }
  }
}
