package dev.partita.cli;

import dev.partita.disk.DiskConversion;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.Disks;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Copies a disk into a new file of any format.
@Command(
    name = "convert",
    description = {
      "Copies a disk into a new file of any format. A differencing disk and its parents become one"
          + " disk. Zeroes take no room.",
      "",
      "  partita disk convert old.vhd new.vhdx"
    },
    mixinStandardHelpOptions = true)
final class DiskConvertCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "FROM", description = "The disk to copy.")
  private Path from = Path.of("");

  @Parameters(index = "1", paramLabel = "TO", description = "The file to make.")
  private Path to = Path.of("");

  @Option(
      names = "--from-format",
      paramLabel = "FORMAT",
      description = "${COMPLETION-CANDIDATES}; when the file's name does not tell.")
  private @Nullable DiskFormat fromFormat;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description = "The new file's: ${COMPLETION-CANDIDATES}; when its name does not tell.")
  private @Nullable DiskFormat format;

  @Mixin private DiskKind kind = new DiskKind();

  @Override
  public Integer call() throws IOException {
    var progress = DiskProgress.showing("converting " + from.getFileName());
    try (progress) {
      DiskConversion.convert(
          from,
          fromFormat,
          to,
          kind.options(format == null ? Disks.formatOf(to) : format, 0),
          progress);
    }
    return ExitCode.SUCCESS;
  }
}
