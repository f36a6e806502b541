package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.worker.ControlClient;
import dev.partita.worker.RuntimeEntry;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// Takes a running partition's console.
@Command(
    name = "attach",
    description = {
      "Takes the console of a running partition, from another terminal if need be. Ends with the"
          + " partition's exit code when it ends, with 0 on detaching."
    },
    mixinStandardHelpOptions = true,
    footer = {
      "",
      "@|bold Keys|@: Ctrl-A d detaches, Ctrl-A x stops the partition, Ctrl-A h helps."
    })
final class AttachCommand implements Callable<Integer> {
  /// How long the partition may take to say why it ended, after its console has closed.
  private static final long END_WAIT_SECONDS = 10;

  @Parameters(
      arity = "0..1",
      paramLabel = "NAME|PID",
      description = "Which; not needed when only one is running.")
  private @Nullable String partition;

  @Override
  public Integer call() throws IOException {
    if (!Terminal.isInteractive()) {
      throw new PartitionException("attach needs a terminal as standard input and output");
    }
    var found = PartitionChoice.find(partition);
    try (var end = new ControlClient(found.socket(), "wait");
        var console = new ControlClient(found.socket(), "console")) {
      var answer = console.firstLine();
      if (!answer.equals("ok")) {
        throw new PartitionException(found.name() + ": " + answer);
      }
      return converse(found, console, end);
    }
  }

  private static int converse(RuntimeEntry.Found found, ControlClient console, ControlClient end)
      throws IOException {
    var detached = new CompletableFuture<Boolean>();
    try (var terminal = new Terminal()) {
      var keyboard =
          Thread.ofPlatform()
              .name("partita-keyboard")
              .daemon()
              .unstarted(() -> forward(terminal, found, console, detached));
      keyboard.start();
      var bytes = new byte[8192];
      var in = console.input();
      try {
        for (int n = in.read(bytes); n >= 0; n = in.read(bytes)) {
          terminal.write(bytes, n);
        }
      } catch (IOException e) {
        // Closed from this side or that: what follows tells which.
      }
    }
    if (detached.isDone()) {
      OperatorLog.say("detached; partita attach " + found.name() + " takes it again");
      return ExitCode.SUCCESS;
    }
    return reportEnd(found, end);
  }

  private static int reportEnd(RuntimeEntry.Found found, ControlClient end) {
    var answer =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return end.answer().lines().toList();
              } catch (IOException e) {
                return List.<String>of();
              }
            },
            task -> Thread.ofVirtual().start(task));
    try {
      var lines = answer.get(END_WAIT_SECONDS, TimeUnit.SECONDS);
      if (!lines.isEmpty() && lines.getFirst().matches("exit [0-9]{1,3}")) {
        var more = lines.subList(1, lines.size());
        if (!more.isEmpty()) {
          OperatorLog.say(more.getFirst());
          OperatorLog.sayMore(more.subList(1, more.size()));
        }
        return Integer.parseInt(lines.getFirst().substring("exit ".length()));
      }
      OperatorLog.say(found.name() + ": its process ended without a word");
      return ExitCode.CRASHED;
    } catch (TimeoutException e) {
      OperatorLog.say("another terminal has taken the console of " + found.name());
      return ExitCode.SUCCESS;
    } catch (InterruptedException | ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void forward(
      Terminal terminal,
      RuntimeEntry.Found found,
      ControlClient console,
      CompletableFuture<Boolean> detached) {
    var keys = new EscapeKeys();
    var typed = new byte[1024];
    try {
      for (int n = terminal.read(typed); n >= 0; n = terminal.read(typed)) {
        int from = 0;
        while (from < n) {
          var result = keys.take(typed, from, n);
          console.output().write(typed, 0, result.length());
          from += result.consumed();
          switch (result.action()) {
            case NONE -> {}
            case HELP -> terminal.say(EscapeKeys.HELP);
            case QUIT -> {
              try (var stop = new ControlClient(found.socket(), "stop")) {
                stop.firstLine();
              }
            }
            case DETACH -> {
              detached.complete(true);
              console.close();
              return;
            }
          }
        }
      }
      detached.complete(true); // the terminal is gone
    } catch (IOException e) {
      // The partition ended: the reader of its output reports.
    } finally {
      console.close();
    }
  }
}
