package dev.partita.synthetic.network;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Whatever a driver sends, whatever frames come and whatever the operator does meanwhile: no
/// exception, every packet answered once, no section given twice, nothing written but to the
/// receive buffer.
class SyntheticNicFuzzTest {
  @FuzzTest
  void fuzz(byte[] input) {
    try (var conversation = new FuzzedNic(input)) {
      conversation.run();
    }
  }

  @Test
  void randomConversationsHold() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 300; i++) {
      var input = new byte[random.nextInt(2_000)];
      random.nextBytes(input);
      fuzz(input);
    }
  }
}
