package dev.partita.cli;

import dev.partita.disk.DiskInfo;
import dev.partita.worker.ControlWords;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Shows a partition's drives.
@Command(
    name = "list",
    description = "Shows the drives of a running partition.",
    mixinStandardHelpOptions = true)
final class DriveListCommand implements Callable<Integer> {
  private static final String ROW = "%3s  %-4s  %-6s  %-6s  %10s  %10s  %10s  %s%n";
  private static final int FIELDS = 9;

  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which partition; not needed when only one is running.")
  private @Nullable String partition;

  @Option(
      names = "--raw",
      description = {
        "For scripts: a line a drive, with tabs between LUN, disk or dvd, format, rw or ro, bytes,"
            + " state of the tray, bytes read, bytes written, file."
      })
  private boolean raw;

  @Override
  public Integer call() throws IOException {
    var lines = GuestClient.of(partition).ask("drive-list");
    if (!raw) {
      System.out.printf(ROW, "LUN", "KIND", "FORMAT", "STATE", "SIZE", "READ", "WRITTEN", "FILE");
    }
    for (var line : lines) {
      var words = ControlWords.decode(line);
      if (words.size() < FIELDS) {
        continue; // of a Partita that this one does not know
      }
      if (raw) {
        System.out.println(
            String.join("\t", words.stream().map(Printable::line).toList().subList(0, FIELDS)));
      } else {
        print(words);
      }
    }
    return ExitCode.SUCCESS;
  }

  private static void print(List<String> words) {
    boolean empty = words.get(8).isEmpty();
    boolean dvd = words.get(1).equals("dvd");
    System.out.printf(
        ROW,
        words.get(0),
        words.get(1),
        words.get(2),
        dvd ? words.get(5).equals("-") ? "" : words.get(5) : words.get(3),
        empty ? "-" : size(words.get(4)),
        empty ? "-" : size(words.get(6)),
        empty ? "-" : size(words.get(7)),
        empty ? "(empty)" : Printable.line(words.get(8)));
  }

  /// `20 GiB`, without the exact number of bytes.
  static String size(String bytes) {
    var text = DiskInfo.bytes(Long.parseLong(bytes));
    int exact = text.indexOf(" (");
    return exact < 0 ? text.replace(" bytes", " B") : text.substring(0, exact);
  }
}
