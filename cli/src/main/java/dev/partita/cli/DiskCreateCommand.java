package dev.partita.cli;

import dev.partita.disk.CreateOptions;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.Disks;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Makes an empty disk, or one over a parent.
@Command(
    name = "create",
    description = {
      "Makes an empty disk, or with --parent a differencing disk, which holds only what is written"
          + " to it and reads the rest from its parent.",
      "",
      "  partita disk create data.vhdx 20G",
      "  partita disk create --parent base.vhdx child.vhdx"
    },
    mixinStandardHelpOptions = true)
final class DiskCreateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(index = "0", paramLabel = "FILE", description = "The file to make.")
  private Path file = Path.of("");

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "SIZE",
      converter = Quantities.Memory.class,
      description = "As 20G or 512M; not needed with --parent.")
  private @Nullable Long size;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      description = "${COMPLETION-CANDIDATES}; when the file's name does not tell.")
  private @Nullable DiskFormat format;

  @Option(
      names = "--parent",
      paramLabel = "FILE",
      description = "The parent of a differencing disk.")
  private @Nullable Path parent;

  @Mixin private DiskKind kind = new DiskKind();

  @Override
  public Integer call() throws IOException {
    var actual = format == null ? Disks.formatOf(file) : format;
    if (parent == null) {
      if (size == null) {
        throw new ParameterException(spec.commandLine(), "Missing the size, as 20G");
      }
      Disks.create(file, kind.options(actual, size));
    } else {
      if (kind.typeGiven()) {
        throw new ParameterException(
            spec.commandLine(), "--parent makes a differencing disk: --type does not go with it");
      }
      var options = CreateOptions.differencing(actual, parent).withBlockSize(kind.blockSize());
      Disks.create(file, size == null ? options : options.withSize(size));
    }
    return ExitCode.SUCCESS;
  }
}
