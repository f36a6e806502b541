package dev.partita.cli;

/// Finds the operator's own keys in what is typed: Ctrl-A and a letter, as in QEMU and screen. All
/// else is the guest's. One thread.
final class EscapeKeys {
  /// Ctrl-A.
  static final int PREFIX = 1;

  /// What the keys do, in one line.
  static final String HELP =
      "Ctrl-A x stops the partition, Ctrl-A d detaches, Ctrl-A a sends Ctrl-A, Ctrl-A h this help";

  private boolean afterPrefix;

  /// What the operator asks.
  enum Action {
    /// Nothing: go on.
    NONE,
    /// Ctrl-A x.
    QUIT,
    /// Ctrl-A d.
    DETACH,
    /// Ctrl-A h or ?.
    HELP
  }

  /// What became of some typed bytes.
  ///
  /// @param consumed how many were looked at; those after an action's key are not
  /// @param length bytes at the array's start that are for the guest
  record Result(Action action, int consumed, int length) {}

  /// Looks through typed bytes up to the first action. The bytes for the guest are moved to the
  /// array's start.
  ///
  /// @param from where to begin
  /// @param to where the typed bytes end
  Result take(byte[] typed, int from, int to) {
    int length = 0;
    for (int i = from; i < to; i++) {
      byte key = typed[i];
      if (!afterPrefix) {
        if (key == PREFIX) {
          afterPrefix = true;
        } else {
          typed[length++] = key;
        }
        continue;
      }
      afterPrefix = false;
      switch (key) {
        case 'x' -> {
          return new Result(Action.QUIT, i + 1 - from, length);
        }
        case 'd' -> {
          return new Result(Action.DETACH, i + 1 - from, length);
        }
        case 'h', '?' -> {
          return new Result(Action.HELP, i + 1 - from, length);
        }
        case 'a', PREFIX -> typed[length++] = PREFIX;
        default -> {
          // Not a key of ours: dropped with its prefix, as QEMU does.
        }
      }
    }
    return new Result(Action.NONE, to - from, length);
  }
}
