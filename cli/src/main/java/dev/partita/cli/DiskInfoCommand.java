package dev.partita.cli;

import dev.partita.disk.DiskFormat;
import dev.partita.disk.Disks;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Tells what disks are.
@Command(
    name = "info",
    description = "Tells what disks are: format, sizes, identity, parent.",
    mixinStandardHelpOptions = true)
final class DiskInfoCommand implements Callable<Integer> {
  @Parameters(arity = "1..*", paramLabel = "FILE", description = "Disk files.")
  private List<Path> files = List.of();

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description = "${COMPLETION-CANDIDATES}; when the file's name does not tell.")
  private @Nullable DiskFormat format;

  @Override
  public Integer call() throws IOException {
    boolean first = true;
    for (var file : files) {
      if (!first) {
        System.out.println();
      }
      first = false;
      Disks.info(file, format).lines().forEach(System.out::println);
    }
    return ExitCode.SUCCESS;
  }
}
