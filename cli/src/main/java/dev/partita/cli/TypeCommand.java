package dev.partita.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Types a text on a partition's keyboard.
@Command(
    name = "type",
    description = {
      "Types a text on the keyboard of a running partition, a US one: it can type what ASCII has."
          + " The serial console is something else: see attach."
    },
    mixinStandardHelpOptions = true)
final class TypeCommand implements Callable<Integer> {
  /// Characters in one request: as many keystrokes as surely fit.
  private static final int PART = 1000;

  @Parameters(paramLabel = "TEXT", description = "The text.")
  private String text = "";

  @Option(
      names = {"-e", "--enter"},
      description = "Press Enter at the end.")
  private boolean enter;

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Override
  public Integer call() throws IOException {
    var all = enter ? text + "\n" : text;
    var client = partition.client();
    try {
      for (int i = 0; i < all.length(); i += PART) {
        client.ask("type", all.substring(i, Math.min(all.length(), i + PART)));
      }
    } catch (GuestSaidNoException e) {
      throw KeysCommand.explain(e);
    }
    return ExitCode.SUCCESS;
  }
}
