package dev.partita.cli;

import dev.partita.worker.AdapterSettings;
import dev.partita.worker.ControlWords;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Shows a partition's NICs.
@Command(
    name = "list",
    description = "Shows the network cards of a running partition.",
    mixinStandardHelpOptions = true)
final class NicListCommand implements Callable<Integer> {
  private static final String ROW = "%3s  %-17s  %-4s  %6s  %12s  %12s  %-15s  %s%n";

  /// Words before the addresses.
  static final int FIELDS = 9;

  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which partition; not needed when only one is running.")
  private @Nullable String partition;

  @Option(
      names = "--raw",
      description = {
        "For scripts: a line a card, with tabs between number, network and options, address, the"
            + " address that the guest uses, queues that the guest's driver has open, frames sent,"
            + " octets sent, frames received, octets received, IP addresses that the NAT has given."
      })
  private boolean raw;

  @Override
  public Integer call() throws IOException {
    var lines = GuestClient.of(partition).ask("nic-list");
    if (!raw) {
      System.out.printf(
          ROW, "NIC", "ADDRESS", "LINK", "QUEUES", "SENT", "RECEIVED", "IP", "NETWORK");
    }
    for (var line : lines) {
      var words = ControlWords.decode(line);
      if (words.size() < FIELDS) {
        continue; // of a Partita that this one does not know
      }
      if (raw) {
        System.out.println(
            String.join("\t", words.stream().map(Printable::line).toList().subList(0, FIELDS))
                + "\t"
                + addresses(words));
      } else {
        print(words);
      }
    }
    return ExitCode.SUCCESS;
  }

  /// The addresses of a line of `nic-list`.
  static String addresses(List<String> words) {
    return Printable.line(String.join(",", words.subList(FIELDS, words.size())));
  }

  private static void print(List<String> words) {
    boolean up = true;
    try {
      up = AdapterSettings.parse(words.get(1)).up();
    } catch (IllegalArgumentException e) {
      // Of another Partita: shown as it is.
    }
    System.out.printf(
        ROW,
        words.get(0),
        Printable.line(words.get(2)),
        up ? "up" : "down",
        words.get(4).equals("0") ? "-" : words.get(4),
        DriveListCommand.size(words.get(6)),
        DriveListCommand.size(words.get(8)),
        words.size() > FIELDS ? addresses(words) : "-",
        Printable.line(words.get(1)));
  }
}
