package dev.partita.cli;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// Presses keys on a partition's keyboard.
@Command(
    name = "keys",
    description = {
      "Presses keys on the keyboard of a running partition: combinations of a US keyboard's keys,"
          + " one after the other. The serial console is something else: see attach.",
      "",
      "Examples: ctrl-alt-del, alt-sysrq-h, alt-f2, enter"
    },
    mixinStandardHelpOptions = true,
    footer = {
      "",
      "Keys: a to z, 0 to 9, f1 to f12, esc, enter, tab, space, backspace, insert, delete, home,"
          + " end, pageup, pagedown, up, down, left, right, ctrl, shift, alt, meta (and rightctrl,"
          + " rightshift, altgr, rightmeta), menu, sysrq, pause, capslock, numlock, scrolllock, kp0"
          + " to kp9, kpplus, kpminus, kpasterisk, kpslash, kpdot, kpenter, minus, equal,"
          + " leftbracket, rightbracket, semicolon, quote, backquote, backslash, comma, period,"
          + " slash."
    })
final class KeysCommand implements Callable<Integer> {
  @Parameters(
      arity = "1..*",
      paramLabel = "KEY[-KEY...]",
      description = "Keys that are pressed together, with - between them.")
  private List<String> combinations = List.of();

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    var words = new java.util.ArrayList<>(combinations);
    words.addFirst("keys");
    try {
      partition.client().ask(words.toArray(String[]::new));
    } catch (GuestSaidNoException e) {
      throw explain(e);
    }
    return ExitCode.SUCCESS;
  }

  static GuestSaidNoException explain(GuestSaidNoException e) {
    return switch (e.status()) {
      case GuestSaidNoException.NOT_CONNECTED ->
          e.instead("the guest has no keyboard driver running (Linux: hyperv_keyboard)");
      case GuestSaidNoException.BUSY -> e.instead("the guest has not taken the keys before yet");
      default -> e;
    };
  }
}
