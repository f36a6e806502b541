package dev.partita.image.debian;

import dev.partita.image.ImageException;
import java.nio.file.Path;
import java.util.List;

/// Runs programs of the host.
interface Commands {
  /// How a program ended.
  ///
  /// @param exit its exit status
  /// @param out what it printed on its standard output
  /// @param err what it printed on its standard error
  record Result(int exit, String out, String err) {}

  /// Whether the host has the program.
  boolean has(String program);

  /// Runs a program to its end, in the locale C and without input.
  ///
  /// @param directory its working directory
  /// @param tick called a few times a second meanwhile, on this thread
  /// @throws ImageException when it cannot be started, or this thread is interrupted; the
  ///     program is then ended
  Result run(List<String> command, Path directory, Runnable tick) throws ImageException;
}
