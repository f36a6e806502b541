package dev.partita.vmbus;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Whatever a guest says and the host does, in any order: no exception, every request answered
/// once, nothing kept without bound.
class VmbusServerFuzzTest {
  @FuzzTest
  void fuzz(byte[] input) {
    new FuzzedConversation(input).run();
  }

  @Test
  void randomConversationsHold() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 5_000; i++) {
      var input = new byte[random.nextInt(800)];
      random.nextBytes(input);
      fuzz(input);
    }
  }
}
