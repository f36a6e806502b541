package dev.partita.worker;

import java.util.List;

/// How a partition's run ended.
public sealed interface Outcome {
  /// The guest powered the machine off.
  record PoweredOff() implements Outcome {}

  /// The guest reset the machine, and the settings say not to start it again.
  record Rebooted() implements Outcome {}

  /// The guest cannot go on.
  ///
  /// @param summary one line
  /// @param details further lines: registers, the code at the instruction pointer, the guest's own
  ///     words
  record Crashed(String summary, List<String> details) implements Outcome {
    public Crashed {
      details = List.copyOf(details);
    }
  }

  /// Partita itself failed.
  ///
  /// @param summary one line
  /// @param details further lines
  record Failed(String summary, List<String> details) implements Outcome {
    public Failed {
      details = List.copyOf(details);
    }
  }

  /// The operator ended it.
  record Stopped(StopReason reason) implements Outcome {}

  /// Why an operator's side ended the partition.
  enum StopReason {
    /// A quit key or `partita stop`.
    OPERATOR,
    /// The time the operator allowed is over.
    TIMEOUT,
    /// Whoever read the console's output is gone.
    OUTPUT_CLOSED,
    /// The process is asked to end.
    SIGNAL
  }
}
