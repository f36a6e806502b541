package dev.partita.cli;

import dev.partita.disk.DiskCheck;
import dev.partita.disk.DiskFormat;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Checks a disk's structures.
@Command(
    name = "check",
    description = {
      "Checks a disk file's structures, and that its parents are there and fit. Exits with 3 when"
          + " something is wrong."
    },
    mixinStandardHelpOptions = true)
final class DiskCheckCommand implements Callable<Integer> {
  @Parameters(paramLabel = "FILE", description = "The disk file.")
  private Path file = Path.of("");

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description = "${COMPLETION-CANDIDATES}; when the file's name does not tell.")
  private @Nullable DiskFormat format;

  @Option(
      names = "--repair",
      description = "Mend what can be: replay the log, restore copies, cut off unused room.")
  private boolean repair;

  @Override
  public Integer call() throws IOException {
    var report = DiskCheck.check(file, format, repair);
    report.errors().forEach(error -> OperatorLog.say(error));
    report.repaired().forEach(mended -> System.out.println("repaired: " + mended));
    report.notes().forEach(note -> System.out.println("note: " + note));
    System.out.println(
        report.sound()
            ? file + ": sound"
            : "%s: %d error%s"
                .formatted(file, report.errors().size(), report.errors().size() == 1 ? "" : "s"));
    return report.sound() ? ExitCode.SUCCESS : ExitCode.REFUSED;
  }
}
