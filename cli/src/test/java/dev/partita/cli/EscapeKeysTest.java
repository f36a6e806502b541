package dev.partita.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.cli.EscapeKeys.Action;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class EscapeKeysTest {
  private final EscapeKeys keys = new EscapeKeys();
  private final ByteArrayOutputStream guest = new ByteArrayOutputStream();
  private final List<Action> actions = new ArrayList<>();

  private void type(String text) {
    var typed = text.getBytes(StandardCharsets.ISO_8859_1);
    int from = 0;
    while (from < typed.length) {
      var result = keys.take(typed, from, typed.length);
      guest.write(typed, 0, result.length());
      if (result.action() != Action.NONE) {
        actions.add(result.action());
      }
      from += result.consumed();
    }
  }

  private String toGuest() {
    return guest.toString(StandardCharsets.ISO_8859_1);
  }

  @Test
  void allElseIsTheGuests() {
    type("ls\r\u0003\u0004\u001b[A\u00ff");
    assertThat(toGuest()).isEqualTo("ls\r\u0003\u0004\u001b[A\u00ff");
    assertThat(actions).isEmpty();
  }

  @Test
  void keysActAndAreNotTheGuests() {
    type("a\u0001hb\u0001?c\u0001dd\u0001x");
    assertThat(toGuest()).isEqualTo("abcd");
    assertThat(actions).containsExactly(Action.HELP, Action.HELP, Action.DETACH, Action.QUIT);
  }

  @Test
  void thePrefixTwiceSendsItOnce() {
    type("\u0001\u0001\u0001a");
    assertThat(toGuest()).isEqualTo("\u0001\u0001");
    assertThat(actions).isEmpty();
  }

  @Test
  void prefixAndKeyMayComeApart() {
    type("q\u0001");
    type("x");
    assertThat(toGuest()).isEqualTo("q");
    assertThat(actions).containsExactly(Action.QUIT);
  }

  @Test
  void anUnknownKeyIsDroppedWithItsPrefix() {
    type("\u0001zok");
    assertThat(toGuest()).isEqualTo("ok");
  }
}
