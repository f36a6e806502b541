package dev.partita.cli;

import dev.partita.hypervisor.PartitionException;
import dev.partita.worker.RuntimeEntry;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/// Finds the running partition an operator means.
final class PartitionChoice {
  private PartitionChoice() {}

  /// The partition of a name or a process id; without one, the only one there is.
  ///
  /// @throws PartitionException if there is none, or more than one
  static RuntimeEntry.Found find(@Nullable String wanted) throws IOException {
    var all = RuntimeEntry.list(RuntimeEntry.folder());
    if (wanted == null) {
      return switch (all.size()) {
        case 0 -> throw new PartitionException("no partition is running");
        case 1 -> all.getFirst();
        default ->
            throw new PartitionException(
                all.size() + " partitions are running: name one (see partita list)");
      };
    }
    for (var found : all) {
      if (found.name().equals(wanted)) {
        return found;
      }
    }
    for (var found : all) {
      if (Long.toString(found.pid()).equals(wanted)) {
        return found;
      }
    }
    throw new PartitionException("no partition \"" + wanted + "\" is running (see partita list)");
  }
}
