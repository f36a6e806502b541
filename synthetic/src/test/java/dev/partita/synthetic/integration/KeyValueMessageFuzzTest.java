package dev.partita.synthetic.integration;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Any bytes are an answer, or are none: no exception.
class KeyValueMessageFuzzTest {
  @FuzzTest
  void fuzz(byte[] body) {
    for (var each : List.of(body, Arrays.copyOf(body, Math.max(body.length, 8000)))) {
      KeyValueMessage.enumerated(each);
      KeyValueMessage.addresses(each, true);
      KeyValueMessage.addresses(each, false);
      IntegrationMessage.parse(ByteBuffer.wrap(each).order(ByteOrder.LITTLE_ENDIAN));
    }
  }

  @Test
  void randomBytesHold() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 1_000; i++) {
      var body = new byte[random.nextInt(3000)];
      random.nextBytes(body);
      // Small numbers where sizes and counts are, so that some are possible.
      for (int j = 0; j < Math.min(body.length, 28); j++) {
        body[j] = (byte) (j % 4 == 0 ? random.nextInt(70) : 0);
      }
      fuzz(body);
    }
  }
}
