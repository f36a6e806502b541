package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.worker.ControlClient;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// Captures what passes ports.
@Command(
    name = "capture",
    description = {
      "Captures the frames that pass a partition's network cards, as pcapng, for Wireshark or tcpdump,"
          + " until Ctrl-C.",
      "",
      "  partita capture -w web.pcapng",
      "  partita capture --port nic0 | wireshark -k -i -",
      "  partita capture | tcpdump -n -r -",
      "",
      "Large segments are shown as they pass. When whoever reads is too slow, frames are left out, and"
          + " their number is told at the end of the file."
    },
    mixinStandardHelpOptions = true)
final class CaptureCommand implements Callable<Integer> {
  private static final int WHOLE = 1 << 18;

  /// How long the partition may take to send the rest.
  private static final long REST_SECONDS = 10;

  @Option(
      names = "--port",
      paramLabel = "PORT",
      description = {
        "Which port, as in switch show: nic0, nat, or with the switch, lan/nic1. Repeatable (default:"
            + " all network cards)."
      })
  private List<String> ports = List.of();

  @Option(
      names = {"-w", "--write"},
      paramLabel = "FILE",
      description =
          "Where to: a file, or - for standard output, the default if that is no terminal.")
  private @Nullable String file;

  @Option(
      names = {"-s", "--snap"},
      paramLabel = "OCTETS",
      description = "So much of each frame, at least 64 (default: all of it).")
  private int length = WHOLE;

  @Option(
      names = "--time",
      paramLabel = "TIME",
      converter = Quantities.Time.class,
      description = "Ends after this time, such as 30s or 5m.")
  private @Nullable Duration time;

  @Mixin private GuestCommand.Partition partition = new GuestCommand.Partition();

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    if (length < 64 || length > WHOLE) {
      throw new ParameterException(
          spec.commandLine(), "--snap %d: must be 64 to %d".formatted(length, WHOLE));
    }
    boolean standard = file == null || file.equals("-");
    if (standard && Posix.isTerminal(1)) {
      throw new ParameterException(
          spec.commandLine(), "Standard output is a terminal: say where to with -w FILE");
    }
    var words = new ArrayList<>(List.of("capture", Integer.toString(length)));
    words.addAll(ports);
    var asked = partition.client();
    var whole = new CountDownLatch(1);
    try (var client = asked.open(words.toArray(String[]::new))) {
      asked.check(client.firstLine());
      endOnSignal(client, whole);
      try (var out =
          file == null || standard
              ? new FileOutputStream(FileDescriptor.out)
              : Files.newOutputStream(Path.of(file))) {
        if (!standard) {
          OperatorLog.say("capturing to %s; Ctrl-C ends it".formatted(file));
        }
        copy(client, out);
      }
    } finally {
      whole.countDown();
    }
    return ExitCode.SUCCESS;
  }

  /// The file is to be whole, also when the operator ends this.
  private void endOnSignal(ControlClient client, CountDownLatch whole) {
    var hook =
        new Thread(
            () -> {
              try {
                client.endOutput();
                whole.await(REST_SECONDS, TimeUnit.SECONDS);
              } catch (IOException e) {
                // The partition has ended.
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    Runtime.getRuntime().addShutdownHook(hook);
    var limit = time;
    if (limit != null) {
      Thread.ofVirtual()
          .start(
              () -> {
                try {
                  Thread.sleep(limit);
                  client.endOutput();
                } catch (InterruptedException | IOException e) {
                  // It has ended before.
                }
              });
    }
  }

  private static void copy(ControlClient client, OutputStream out) throws IOException {
    var in = client.input();
    var octets = new byte[1 << 16];
    for (int n = in.read(octets); n >= 0; n = in.read(octets)) {
      try {
        out.write(octets, 0, n);
      } catch (IOException e) {
        if (String.valueOf(e.getMessage()).contains("Broken pipe")) {
          return; // who read it has enough
        }
        throw new PartitionException("cannot write: " + e.getMessage(), e);
      }
    }
  }
}
