package dev.partita.synthetic.input;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import dev.partita.synthetic.internal.TestLine;
import java.nio.ByteBuffer;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// Whatever a guest's driver says, the keyboard says no more than it is asked, and keeps a state
/// that can be restored.
class SyntheticKeyboardFuzzTest {
  @FuzzTest
  void fuzz(byte[] input) {
    var in = ByteBuffer.wrap(input);
    var keyboard = new SyntheticKeyboard();
    var line = new TestLine(false);
    var handler = keyboard.open(line);
    int most = 0;
    while (in.hasRemaining()) {
      int what = in.get() & 0xFF;
      switch (what & 7) {
        case 0, 1 -> {
          var payload = new byte[Math.min(in.remaining(), what >> 3)];
          in.get(payload);
          handler.received(TestLine.packet(payload));
          most++;
        }
        case 2 -> {
          handler.received(TestLine.packet(new byte[] {1, 0, 0, 0, 0, 0, (byte) (what >> 7), 0}));
          most++;
        }
        case 3 -> {
          line.room = what >> 3;
          handler.roomAvailable();
        }
        case 4 -> {
          handler.closed();
          line = new TestLine(false);
          handler = keyboard.open(line);
          most = 0;
        }
        case 5 -> {
          var next = new SyntheticKeyboard();
          next.restore(keyboard.state());
          assertThat(next.state()).isEqualTo(keyboard.state());
          keyboard = next;
          line = new TestLine(true);
          handler = keyboard.open(line);
          most += 4096;
        }
        default -> {
          if (keyboard.send(UsKeyboard.combination("ctrl-alt-del"))) {
            most += 6;
          }
        }
      }
      assertThat(line.pending()).isLessThanOrEqualTo(most);
    }
  }

  @Test
  void randomDriversHold() {
    var random = new SplittableRandom(0x5EED);
    for (int i = 0; i < 10_000; i++) {
      var input = new byte[random.nextInt(200)];
      random.nextBytes(input);
      fuzz(input);
    }
  }
}
