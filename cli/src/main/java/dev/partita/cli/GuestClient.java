package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.worker.ControlClient;
import dev.partita.worker.ControlWords;
import dev.partita.worker.RuntimeEntry;
import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Asks the guest of a running partition.
final class GuestClient {
  private final RuntimeEntry.Found found;

  private GuestClient(RuntimeEntry.Found found) {
    this.found = found;
  }

  /// Of the partition that {@link PartitionChoice} finds.
  static GuestClient of(@Nullable String partition) throws IOException {
    return new GuestClient(PartitionChoice.find(partition));
  }

  /// The partition's name.
  String name() {
    return found.name();
  }

  /// Sends a request; the caller reads the answer.
  ControlClient open(String... words) throws IOException {
    return new ControlClient(found.socket(), ControlWords.encode(words));
  }

  /// Sends a request and reads the whole answer.
  ///
  /// @return the lines after `ok`; what follows `ok` on its line is the first of them
  /// @throws GuestSaidNoException if the guest does not do it
  /// @throws PartitionException if it cannot be asked for
  List<String> ask(String... words) throws IOException {
    try (var client = open(words)) {
      var lines = client.answer().lines().toList();
      var first = lines.isEmpty() ? "" : lines.getFirst();
      check(first);
      return first.equals("ok")
          ? lines.subList(1, lines.size())
          : List.of(first.substring("ok ".length()));
    }
  }

  /// Throws what an answer's first line tells, unless it is `ok`.
  void check(String line) {
    if (line.equals("ok") || line.startsWith("ok ")) {
      return;
    }
    if (line.isEmpty()) {
      throw new PartitionException(found.name() + ": it has ended");
    }
    var reason = line.startsWith("error ") ? line.substring("error ".length()) : line;
    if (reason.matches("0x[0-9A-F]{8} .*")) {
      int status = Integer.parseUnsignedInt(reason.substring(2, 10), 16);
      throw new GuestSaidNoException(status, found.name(), reason.substring(11));
    }
    if (reason.equals("unknown request")) {
      reason = "it runs with an older Partita, which does not know this command";
    }
    throw new PartitionException(found.name() + ": " + reason);
  }
}
