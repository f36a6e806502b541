package dev.partita.cli;

import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskMerge;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Merges a differencing disk into its parent.
@Command(
    name = "merge",
    description = {
      "Writes what a differencing disk holds into its parent. A merge that was cut short is simply"
          + " begun again. Other children of the parent no longer fit it."
    },
    mixinStandardHelpOptions = true)
final class DiskMergeCommand implements Callable<Integer> {
  @Parameters(paramLabel = "FILE", description = "The differencing disk.")
  private Path file = Path.of("");

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description = "${COMPLETION-CANDIDATES}; when the file's name does not tell.")
  private @Nullable DiskFormat format;

  @Option(names = "--remove", description = "Remove the merged disk when all is done.")
  private boolean remove;

  @Override
  public Integer call() throws IOException {
    var progress = DiskProgress.showing("merging " + file.getFileName());
    Path parent;
    try (progress) {
      parent = DiskMerge.merge(file, format, progress);
    }
    if (remove) {
      Files.delete(file);
    }
    System.out.println(
        "%s now has the content of %s%s"
            .formatted(parent, file, remove ? "" : ", which is no longer needed"));
    return ExitCode.SUCCESS;
  }
}
