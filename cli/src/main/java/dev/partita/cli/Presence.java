package dev.partita.cli;

import dev.partita.worker.Adapters;
import dev.partita.worker.Console;
import dev.partita.worker.ControlSocket;
import dev.partita.worker.Drives;
import dev.partita.worker.Guest;
import dev.partita.worker.Outcome.StopReason;
import dev.partita.worker.PartitionSettings;
import dev.partita.worker.RuntimeEntry;
import dev.partita.worker.Worker;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// A running partition's presence to the other commands: its runtime entry and control socket. A
/// host that cannot have them (no writable folder) runs the partition without.
final class Presence implements ControlSocket.Target, AutoCloseable {
  /// How long clients may take to read why the partition ended.
  private static final long FAREWELL_NANOS = 1_000_000_000L;

  private final PartitionSettings settings;
  private final Console console;
  private final Worker worker;
  private final Instant started = Instant.now();
  private final CompletableFuture<String> end = new CompletableFuture<>();
  private final @Nullable RuntimeEntry entry;
  private final @Nullable ControlSocket socket;

  /// Appears.
  ///
  /// @throws dev.partita.hypervisor.PartitionException if the name is a living partition's
  Presence(PartitionSettings settings, Console console, Worker worker) {
    this.settings = settings;
    this.console = console;
    this.worker = worker;
    RuntimeEntry claimed = null;
    ControlSocket listening = null;
    var folder = RuntimeEntry.folder();
    try {
      claimed = RuntimeEntry.claim(folder, settings.name());
      listening = new ControlSocket(claimed.socket(), this);
    } catch (IOException e) {
      warn(folder, e);
    }
    entry = claimed;
    socket = listening;
  }

  private static void warn(Path folder, IOException e) {
    OperatorLog.say(
        "attach, list and stop will not find this partition: " + folder + ": " + e.getMessage());
  }

  /// Whether another terminal could take the console.
  boolean isReachable() {
    return socket != null;
  }

  /// Tells waiting clients how it ended.
  ///
  /// @param report lines for the operator, or nothing
  void ended(int exitCode, String report) {
    end.complete("exit " + exitCode + "\n" + report + (report.isEmpty() ? "" : "\n"));
  }

  @Override
  public String status() {
    return "name=%s%npid=%d%nprocessors=%d%nmemory=%d%nengine=%s%nkernel=%s%nstarted=%s%nresets=%d%nheartbeat=%s%nprotocol=%d%naddresses=%s%n"
        .formatted(
            settings.name(),
            ProcessHandle.current().pid(),
            settings.processors(),
            settings.memory(),
            settings.engine(),
            settings.kernel(),
            started,
            worker.resets(),
            worker.heartbeat(),
            ControlSocket.PROTOCOL,
            worker.adapters().list().stream()
                .flatMap(nic -> nic.addresses().stream())
                .collect(Collectors.joining(",")));
  }

  @Override
  public void stop() {
    worker.stop(StopReason.OPERATOR);
  }

  @Override
  public void reset() {
    worker.reset();
  }

  @Override
  public boolean awaitReset(int count) throws InterruptedException {
    return worker.awaitReset(count);
  }

  @Override
  public Drives drives() {
    return worker.drives();
  }

  @Override
  public Adapters adapters() {
    return worker.adapters();
  }

  @Override
  public Guest guest() {
    return worker.guest();
  }

  @Override
  public Console console() {
    return console;
  }

  @Override
  public String awaitEnd() throws InterruptedException {
    try {
      return end.get();
    } catch (ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }

  /// Disappears.
  @Override
  public void close() {
    ended(ExitCode.DEFECT, "");
    console.attach(null);
    if (socket != null) {
      try {
        socket.finish(FAREWELL_NANOS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    if (entry != null) {
      entry.close();
    }
  }
}
