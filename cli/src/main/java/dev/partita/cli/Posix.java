package dev.partita.cli;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/// The few calls of the C library that the JDK has no API for. Every native call of this module is
/// here; all return at once.
final class Posix {
  /// Signal number of SIGUSR1 on Linux x86 and ARM.
  static final int SIGUSR1 = 10;

  /// Bytes that hold a `struct termios` on any Linux (glibc: 60).
  private static final int TERMIOS_SIZE = 256;

  // <termios.h>: change at once; <fcntl.h>
  private static final int TCSANOW = 0;
  private static final int O_RDWR = 2;
  private static final int O_WRONLY_CREATE_TRUNCATE = 0x1 | 0x40 | 0x200;

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final AddressLayout ADDRESS = ValueLayout.ADDRESS;
  private static final Linker LINKER = Linker.nativeLinker();

  private static final MethodHandle ISATTY = handle("isatty", FunctionDescriptor.of(INT, INT));

  private Posix() {}

  private static MethodHandle handle(
      String name, FunctionDescriptor descriptor, Linker.Option... options) {
    return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor, options);
  }

  /// Whether a file descriptor is a terminal.
  static boolean isTerminal(int descriptor) {
    try {
      return (int) ISATTY.invokeExact(descriptor) == 1;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static RuntimeException unexpected(Throwable e) {
    if (e instanceof Error error) {
      throw error;
    }
    return new IllegalStateException("native call failed", e);
  }

  /// A terminal's settings, in the C library's own form.
  static final class TerminalSettings {
    private static final MethodHandle GET =
        handle("tcgetattr", FunctionDescriptor.of(INT, INT, ADDRESS));
    private static final MethodHandle SET =
        handle("tcsetattr", FunctionDescriptor.of(INT, INT, INT, ADDRESS));
    private static final MethodHandle MAKE_RAW =
        handle("cfmakeraw", FunctionDescriptor.ofVoid(ADDRESS));

    private final MemorySegment termios = Arena.ofAuto().allocate(TERMIOS_SIZE);

    private TerminalSettings() {}

    /// The settings of a terminal now.
    static TerminalSettings of(int descriptor) {
      var settings = new TerminalSettings();
      try {
        if ((int) GET.invokeExact(descriptor, settings.termios) != 0) {
          throw new IllegalStateException("tcgetattr failed");
        }
      } catch (Throwable e) {
        throw unexpected(e);
      }
      return settings;
    }

    /// These settings made raw: every byte typed comes at once and unchanged, Ctrl-C too.
    TerminalSettings raw() {
      var raw = new TerminalSettings();
      raw.termios.copyFrom(termios);
      try {
        MAKE_RAW.invokeExact(raw.termios);
      } catch (Throwable e) {
        throw unexpected(e);
      }
      return raw;
    }

    /// Puts them into force.
    ///
    /// @return false if the terminal refused: it is gone
    boolean apply(int descriptor) {
      try {
        return (int) SET.invokeExact(descriptor, TCSANOW, termios) == 0;
      } catch (Throwable e) {
        throw unexpected(e);
      }
    }
  }

  /// Leaving the terminal while the process goes on.
  static final class Background {
    private static final MethodHandle OPEN =
        handle(
            "open",
            FunctionDescriptor.of(INT, ADDRESS, INT, INT),
            Linker.Option.firstVariadicArg(2));
    private static final MethodHandle DUP2 = handle("dup2", FunctionDescriptor.of(INT, INT, INT));
    private static final MethodHandle CLOSE = handle("close", FunctionDescriptor.of(INT, INT));
    private static final MethodHandle SETSID = handle("setsid", FunctionDescriptor.of(INT));
    private static final MethodHandle KILL = handle("kill", FunctionDescriptor.of(INT, INT, INT));

    private Background() {}

    /// Makes the standard input empty, and the standard output and error a file, which is emptied.
    ///
    /// @return false if the file cannot be opened; nothing is changed then
    static boolean redirectStandardStreams(String file) {
      int log = open(file, O_WRONLY_CREATE_TRUNCATE);
      int empty = open("/dev/null", O_RDWR);
      if (log < 0 || empty < 0) {
        return false;
      }
      try {
        boolean done =
            (int) DUP2.invokeExact(empty, 0) == 0
                && (int) DUP2.invokeExact(log, 1) == 1
                && (int) DUP2.invokeExact(log, 2) == 2;
        int ignored = (int) CLOSE.invokeExact(log);
        ignored = (int) CLOSE.invokeExact(empty);
        return done;
      } catch (Throwable e) {
        throw unexpected(e);
      }
    }

    private static int open(String path, int flags) {
      try (var arena = Arena.ofConfined()) {
        return (int) OPEN.invokeExact(arena.allocateFrom(path), flags, 0600);
      } catch (Throwable e) {
        throw unexpected(e);
      }
    }

    /// Leaves the terminal's session, so that closing the terminal does not end this process.
    static boolean leaveSession() {
      try {
        return (int) SETSID.invokeExact() >= 0;
      } catch (Throwable e) {
        throw unexpected(e);
      }
    }

    /// Sends a signal.
    static boolean signal(int process, int number) {
      try {
        return (int) KILL.invokeExact(process, number) == 0;
      } catch (Throwable e) {
        throw unexpected(e);
      }
    }
  }
}
