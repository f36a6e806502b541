package dev.partita.cli;

import dev.partita.worker.Outcome;

/// The command's exit codes, as docs/run.md gives them.
final class ExitCode {
  /// The guest powered off, or the command did what it was asked.
  static final int SUCCESS = 0;

  /// A defect of Partita itself.
  static final int DEFECT = 1;

  /// The command line is wrong.
  static final int USAGE = 2;

  /// What was asked is impossible: no such file, not a kernel, too little memory.
  static final int REFUSED = 3;

  /// The guest crashed.
  static final int CRASHED = 4;

  /// The guest rebooted, with `--no-reboot`.
  static final int REBOOTED = 5;

  /// The operator stopped the partition.
  static final int STOPPED = 6;

  /// The guest does not do what it was asked, or does not answer.
  static final int GUEST_SAID_NO = 7;

  /// The time of `--timeout` was over; as timeout(1).
  static final int TIMED_OUT = 124;

  /// Whoever read the output went away: 128 + SIGPIPE.
  static final int OUTPUT_CLOSED = 141;

  /// 128 + SIGTERM; the JVM itself ends with 128 + the signal's number.
  static final int SIGNAL = 143;

  private ExitCode() {}

  static int of(Outcome outcome) {
    return switch (outcome) {
      case Outcome.PoweredOff() -> SUCCESS;
      case Outcome.Rebooted() -> REBOOTED;
      case Outcome.Crashed _ -> CRASHED;
      case Outcome.Failed _ -> DEFECT;
      case Outcome.Stopped(var reason) ->
          switch (reason) {
            case OPERATOR -> STOPPED;
            case TIMEOUT -> TIMED_OUT;
            case OUTPUT_CLOSED -> OUTPUT_CLOSED;
            case SIGNAL -> SIGNAL;
          };
    };
  }
}
