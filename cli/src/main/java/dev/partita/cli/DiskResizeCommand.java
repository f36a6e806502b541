package dev.partita.cli;

import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskResize;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Makes a disk larger or smaller.
@Command(
    name = "resize",
    description = {
      "Makes a disk larger, or with --shrink smaller. Partitions and file systems in it stay as they"
          + " are: make them smaller before, larger after. A disk's children no longer fit it."
    },
    mixinStandardHelpOptions = true)
final class DiskResizeCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "FILE", description = "The disk file.")
  private Path file = Path.of("");

  @Parameters(
      index = "1",
      paramLabel = "SIZE",
      converter = Quantities.Memory.class,
      description = "As 40G.")
  private long size;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description = "${COMPLETION-CANDIDATES}; when the file's name does not tell.")
  private @Nullable DiskFormat format;

  @Option(names = "--shrink", description = "It may become smaller; what is beyond is lost.")
  private boolean shrink;

  @Override
  public Integer call() throws IOException {
    DiskResize.resize(file, format, size, shrink);
    return ExitCode.SUCCESS;
  }
}
