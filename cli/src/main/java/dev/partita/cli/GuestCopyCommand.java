package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.worker.ControlClient;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Copies a file into a guest.
@Command(
    name = "copy",
    description = {
      "Copies a file from the host into the guest, without a network. In Linux the file belongs to"
          + " root, and its mode is 0744."
    },
    mixinStandardHelpOptions = true)
final class GuestCopyCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "FILE", description = "A file of the host.")
  private Path file = Path.of("");

  @Parameters(
      index = "1",
      paramLabel = "[NAME:]PATH",
      description = {
        "Where it goes: a whole path in the guest, such as /root/file or C:\\file. With a folder"
            + " (/root/) the file keeps its name. NAME tells which partition, when several are"
            + " running."
      })
  private String target = "";

  @Option(
      names = {"-f", "--overwrite"},
      description = "Replace a file that is there.")
  private boolean overwrite;

  @Option(
      names = {"-c", "--create-folders"},
      description = "Make folders that are not there.")
  private boolean createFolders;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new PartitionException(
          file + (Files.exists(file) ? ": not a regular file" : ": no such file"));
    }
    var partition = partitionOf(target);
    var path = partition == null ? target : target.substring(partition.length() + 1);
    if (path.isEmpty()) {
      throw new ParameterException(spec.commandLine(), "A path in the guest is missing: " + target);
    }
    if (path.endsWith("/") || path.endsWith("\\")) {
      path += file.getFileName();
    }
    var client = GuestClient.of(partition);
    long size = Files.size(file);
    try (var in = Files.newInputStream(file);
        var connection =
            client.open(
                "guest-copy",
                path,
                Long.toString(size),
                overwrite ? "overwrite" : "keep",
                createFolders ? "create" : "there");
        var progress = DiskProgress.showing("Copying " + file.getFileName())) {
      client.check(connection.firstLine());
      send(client, connection, in, size, progress);
    } catch (GuestSaidNoException e) {
      throw explain(e);
    }
    return ExitCode.SUCCESS;
  }

  /// What is before the colon of `NAME:PATH`; a single letter is a drive of Windows.
  static @Nullable String partitionOf(String target) {
    int colon = target.indexOf(':');
    return colon > 1 && target.substring(0, colon).matches("[A-Za-z0-9_][A-Za-z0-9_.-]*")
        ? target.substring(0, colon)
        : null;
  }

  /// Sends the file while another thread reads how far it is: the guest may refuse in the middle.
  private static void send(
      GuestClient client,
      ControlClient connection,
      InputStream in,
      long size,
      DiskProgress progress)
      throws IOException {
    var sender =
        Thread.ofVirtual()
            .start(
                () -> {
                  try {
                    pour(in, connection.output(), size);
                  } catch (IOException e) {
                    // The answer tells why.
                  }
                });
    for (var line = connection.firstLine(); ; line = connection.firstLine()) {
      if (!line.matches("done [0-9]{1,18}")) {
        client.check(line);
        progress.update(size, size);
        break;
      }
      progress.update(Long.parseLong(line.substring("done ".length())), size);
    }
    sender.interrupt();
  }

  private static void pour(InputStream in, OutputStream out, long size) throws IOException {
    var buffer = new byte[64 << 10];
    long left = size;
    while (left > 0) {
      int count = in.read(buffer, 0, (int) Math.min(buffer.length, left));
      if (count < 0) {
        throw new IOException("the file has become shorter");
      }
      out.write(buffer, 0, count);
      left -= count;
    }
  }

  private static GuestSaidNoException explain(GuestSaidNoException e) {
    return switch (e.status()) {
      case GuestSaidNoException.FAILED ->
          e.with(
              "perhaps there is no such folder (see --create-folders), or it may not be written to;"
                  + " in Linux, is hv_fcopy_daemon running?");
      case GuestSaidNoException.FILE_EXISTS -> e.with("use --overwrite");
      case GuestSaidNoException.BUSY -> e.instead("another file is being copied");
      default -> GuestCommand.explain(e, "hv_fcopy_daemon");
    };
  }
}
