package dev.partita.synthetic.input;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.synthetic.internal.TestLine;
import dev.partita.vmbus.ChannelHandler;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Messages as in Linux, drivers/input/serio/hyperv-keyboard.c.
@Timeout(120)
class SyntheticKeyboardTest {
  private static final List<Keystroke> A = UsKeyboard.text("a");

  private final SyntheticKeyboard keyboard = new SyntheticKeyboard();
  private final TestLine line = new TestLine(false);

  private static byte[] message(int... words) {
    var bytes = ByteBuffer.allocate(4 * words.length).order(ByteOrder.LITTLE_ENDIAN);
    for (int word : words) {
      bytes.putInt(word);
    }
    return bytes.array();
  }

  private ChannelHandler ready() throws InterruptedException {
    var handler = keyboard.open(line);
    handler.received(TestLine.packet(message(1, 1 << 16)));
    var response = line.take();
    assertThat(response.getInt(0)).as("protocol response").isEqualTo(2);
    assertThat(response.getInt(4)).as("accepted").isEqualTo(1);
    return handler;
  }

  @Test
  void keystrokesComeAsTheDriverReadsThem() throws Exception {
    assertThat(keyboard.send(A)).as("no driver").isFalse();
    var handler = ready();
    assertThat(keyboard.isAvailable()).isTrue();
    assertThat(keyboard.send(UsKeyboard.combination("ctrl-del"))).isTrue();
    int[][] expected = {{0x1D, 0}, {0x53, 4}, {0x53, 6}, {0x1D, 2}};
    for (var each : expected) {
      var event = line.take();
      assertThat(event.getInt(0)).as("event").isEqualTo(3);
      assertThat(event.getShort(4)).as("code").isEqualTo((short) each[0]);
      assertThat(event.getInt(8)).as("flags").isEqualTo(each[1]);
    }
    handler.received(TestLine.packet(message(4, 5)));
    assertThat(keyboard.leds()).isEqualTo(5);
    handler.closed();
    assertThat(keyboard.isAvailable()).isFalse();
    assertThat(keyboard.leds()).isZero();
    assertThat(keyboard.send(A)).isFalse();
  }

  @Test
  void otherVersionsAreTurnedDown() throws Exception {
    var handler = keyboard.open(line);
    handler.received(TestLine.packet(message(1, 2 << 16)));
    assertThat(line.take().getInt(4)).isZero();
    assertThat(keyboard.isAvailable()).isFalse();
    handler.received(TestLine.packet(message(1, 1 << 16)));
    assertThat(line.take().getInt(4)).isEqualTo(1);
    assertThat(keyboard.isAvailable()).isTrue();
  }

  @Test
  void keystrokesWaitForRoomUpToALimit() throws Exception {
    var handler = ready();
    line.room = 0;
    assertThat(keyboard.send(Collections.nCopies(16_384, A.getFirst()))).isTrue();
    assertThat(keyboard.send(A)).as("too many").isFalse();
    line.room = 100;
    handler.roomAvailable();
    assertThat(line.pending()).isEqualTo(100);
    assertThat(keyboard.state().waiting()).hasSize(16_284);
  }

  @Test
  void typingGoesOnInAFreshObject() throws Exception {
    ready();
    line.room = 1;
    keyboard.send(UsKeyboard.text("ab"));
    var state = keyboard.state();
    var other = new SyntheticKeyboard();
    other.restore(state);
    assertThat(other.state()).isEqualTo(state);
    var next = new TestLine(true);
    other.open(next);
    assertThat(other.isAvailable()).isTrue();
    assertThat(other.send(UsKeyboard.text("c"))).isTrue();
    List<Integer> codes = List.of(0x1E, 0x30, 0x30, 0x2E, 0x2E);
    for (int code : codes) {
      assertThat(next.take().getShort(4)).isEqualTo((short) code);
    }
    var tooMany = new SyntheticKeyboard.State(true, 0, Collections.nCopies(16_385, A.getFirst()));
    assertThatThrownBy(() -> other.restore(tooMany)).isInstanceOf(IllegalArgumentException.class);
  }

  /// What a PC keyboard would send, in scan code set 1.
  private static String codes(List<Keystroke> keystrokes) {
    return keystrokes.stream()
        .map(
            each ->
                switch (each.prefix()) {
                      case NONE -> "";
                      case E0 -> "e0";
                      case E1 -> "e1";
                    }
                    + "%02x".formatted(each.code() | (each.released() ? 0x80 : 0)))
        .collect(Collectors.joining(" "));
  }

  /// The codes are those of the PS/2 keyboard's reference.
  @Test
  void combinationsAreAKeyboards() {
    assertThat(codes(UsKeyboard.combination("ctrl-alt-del"))).isEqualTo("1d 38 e053 e0d3 b8 9d");
    assertThat(codes(UsKeyboard.combination("Alt+SysRq+H"))).isEqualTo("38 54 23 a3 d4 b8");
    assertThat(codes(UsKeyboard.combination("sysrq"))).isEqualTo("e037 e0b7");
    assertThat(codes(UsKeyboard.combination("pause"))).isEqualTo("e11d 45 e19d c5");
    assertThat(codes(UsKeyboard.combination("f12"))).isEqualTo("58 d8");
    assertThat(codes(UsKeyboard.combination("kp5"))).isEqualTo("4c cc");
    for (var wrong : new String[] {"", "-", "ctrl-", "ctrl--a", "hyper-x", "f13"}) {
      assertThatThrownBy(() -> UsKeyboard.combination(wrong))
          .as(wrong)
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(UsKeyboard.names()).contains("enter", "a", "f10", "sysrq").isSorted();
    assertThat(UsKeyboard.names()).allSatisfy(name -> codes(UsKeyboard.combination(name)));
  }

  @Test
  void textIsTypedWithShiftWhereItNeedsIt() {
    assertThat(codes(UsKeyboard.text("aB1!\n")))
        .isEqualTo("1e 9e 2a 30 b0 aa 02 82 2a 02 82 aa 1c 9c");
    for (char c = ' '; c < 0x7F; c++) {
      assertThat(UsKeyboard.text(String.valueOf(c))).as("%c", c).isNotEmpty();
    }
    assertThatThrownBy(() -> UsKeyboard.text("\u20ac")).hasMessageContaining("U+20AC");
  }
}
