package dev.partita.cli;

import dev.partita.worker.Console;
import dev.partita.worker.Outcome.StopReason;
import dev.partita.worker.PartitionSettings;
import dev.partita.worker.Worker;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// Ties a partition's console to this process's standard streams: raw with the operator's keys on a
/// terminal, else byte for byte.
final class StandardStreams implements AutoCloseable {
  private final Console console;
  private final Worker worker;
  private final PartitionSettings settings;
  private final @Nullable Terminal terminal;
  private final Console.Holder holder;

  private StandardStreams(
      PartitionSettings settings, Console console, Worker worker, @Nullable Terminal terminal) {
    this.settings = settings;
    this.console = console;
    this.worker = worker;
    this.terminal = terminal;
    var out = new FileOutputStream(FileDescriptor.out);
    holder =
        new Console.Holder() {
          @Override
          public void write(byte[] bytes, int length) throws IOException {
            out.write(bytes, 0, length);
          }

          @Override
          public void released(@Nullable IOException failure) {
            if (failure != null) {
              worker.stop(StopReason.OUTPUT_CLOSED);
            } else if (terminal != null) {
              terminal.say("partita: another terminal has taken the console");
            }
          }
        };
  }

  /// Takes the console and starts reading standard input.
  static StandardStreams open(PartitionSettings settings, Console console, Worker worker) {
    var streams =
        new StandardStreams(
            settings, console, worker, Terminal.isInteractive() ? new Terminal() : null);
    console.attach(streams.holder);
    Thread.ofPlatform().name("partita-input").daemon().start(streams::readInput);
    return streams;
  }

  private void readInput() {
    try {
      if (terminal == null) {
        readPlain();
      } else {
        readKeys(terminal);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void readPlain() throws InterruptedException {
    var in = new FileInputStream(FileDescriptor.in);
    var bytes = new byte[Console.INPUT_CAPACITY];
    try {
      for (int n = in.read(bytes); n >= 0; n = in.read(bytes)) {
        if (!console.send(bytes, n)) {
          return;
        }
      }
    } catch (IOException e) {
      // No input, then: the guest goes on, as at the end of input.
    }
  }

  private void readKeys(Terminal terminal) throws InterruptedException {
    var keys = new EscapeKeys();
    var typed = new byte[1024];
    for (int n = terminal.read(typed); n >= 0; n = terminal.read(typed)) {
      int from = 0;
      while (from < n) {
        var result = keys.take(typed, from, n);
        from += result.consumed();
        // Another terminal may have the line: then only the operator's own keys count here.
        if (console.holds(holder) && !console.send(typed, result.length())) {
          return;
        }
        switch (result.action()) {
          case NONE -> {}
          case HELP -> terminal.say(EscapeKeys.HELP);
          case QUIT -> worker.stop(StopReason.OPERATOR);
          case DETACH -> {
            if (detach(terminal)) {
              return;
            }
          }
        }
      }
    }
    // The terminal is gone without a SIGHUP.
    worker.stop(StopReason.SIGNAL);
  }

  /// Gives the terminal back while the partition goes on. This runs on the thread that reads the
  /// terminal, so that no read is left behind to take the next key from the operator's shell.
  private boolean detach(Terminal terminal) {
    var launcher = Integer.getInteger("partita.launcher");
    if (launcher == null) {
      terminal.say("partita: cannot detach: not started by the launcher ./partita");
      return false;
    }
    var log = logFile();
    if (log == null) {
      terminal.say("partita: cannot detach: no folder for its messages");
      return false;
    }
    console.detach(holder);
    terminal.close();
    System.err.printf(
        "%npartita: detached; partita attach %s takes it again, messages go to %s%n",
        settings.name(), log);
    System.err.flush();
    Posix.Background.redirectStandardStreams(log.toString());
    Posix.Background.leaveSession();
    // The launcher script waits for this process: it may go now.
    Posix.Background.signal(launcher, Posix.SIGUSR1);
    return true;
  }

  private @Nullable Path logFile() {
    var state = System.getenv("XDG_STATE_HOME");
    var folder =
        state != null && !state.isEmpty()
            ? Path.of(state, "partita")
            : Path.of(System.getProperty("user.home"), ".local", "state", "partita");
    try {
      Files.createDirectories(folder);
      return folder.resolve(settings.name() + ".log");
    } catch (IOException e) {
      return null;
    }
  }

  /// Gives the streams back.
  @Override
  public void close() {
    console.detach(holder);
    if (terminal != null) {
      terminal.close();
    }
  }
}
