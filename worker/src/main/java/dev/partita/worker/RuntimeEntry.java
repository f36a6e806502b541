package dev.partita.worker;

import dev.partita.hypervisor.PartitionException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/// A running partition's place in the runtime folder: `NAME.entry`, which tells its process, and
/// `NAME.sock`, its control socket.
///
/// The folder is the user's alone (mode 0700): whoever can enter it has the partitions' consoles.
///
/// An entry appears complete and at once (a hard link to a file already written), and belongs to
/// its process, known by its number and its start time: what a killed process leaves behind is
/// recognised even when its number is another's now, and swept by the next who looks. Who takes a
/// name or sweeps one holds the folder's lock, so that what is swept is what was looked at, and
/// never a new owner's.
public final class RuntimeEntry implements AutoCloseable {
  private static final String ENTRY = ".entry";
  private static final String SOCKET = ".sock";

  /// A file to lock; it stays.
  private static final String LOCK = ".lock";

  /// Keeps this process's threads from each other, which the file's lock does not.
  private static final ReentrantLock THREADS = new ReentrantLock();

  private final Path file;
  private final Path socket;

  private RuntimeEntry(Path file, Path socket) {
    this.file = file;
    this.socket = socket;
  }

  /// The user's runtime folder: `$XDG_RUNTIME_DIR/partita`, or `~/.partita/run` without that
  /// variable.
  public static Path folder() {
    var runtime = System.getenv("XDG_RUNTIME_DIR");
    return runtime != null && !runtime.isEmpty() && Files.isDirectory(Path.of(runtime))
        ? Path.of(runtime, "partita")
        : Path.of(System.getProperty("user.home"), ".partita", "run");
  }

  /// Takes a name in a folder, making the folder if it is not there.
  ///
  /// @throws PartitionException if a living partition has the name
  /// @throws IOException if the folder cannot be used
  public static RuntimeEntry claim(Path folder, String name) throws IOException {
    PartitionSettings.checkName(name);
    Files.createDirectories(folder.toAbsolutePath().getParent());
    if (!Files.isDirectory(folder)) {
      Files.createDirectory(
          folder,
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }
    var file = folder.resolve(name + ENTRY);
    var socket = folder.resolve(name + SOCKET);
    var written = Files.createTempFile(folder, ".", ".new");
    try {
      Files.writeString(written, Owner.current().text(), StandardCharsets.US_ASCII);
      locked(
          folder,
          () -> {
            if (!sweep(file, socket)) {
              throw new PartitionException(
                  "a partition named \"%s\" is running already: choose another with --name"
                      .formatted(name));
            }
            Files.createLink(file, written);
          });
      return new RuntimeEntry(file, socket);
    } finally {
      Files.deleteIfExists(written);
    }
  }

  /// Removes an entry and its socket unless their process lives. With the lock only.
  ///
  /// @return whether the name is free
  private static boolean sweep(Path file, Path socket) throws IOException {
    if (owner(file).filter(Owner::isAlive).isPresent()) {
      return false;
    }
    Files.deleteIfExists(socket);
    Files.deleteIfExists(file);
    return true;
  }

  private interface Action {
    void run() throws IOException;
  }

  private static void locked(Path folder, Action action) throws IOException {
    THREADS.lock();
    try (var file =
            FileChannel.open(
                folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        var _ = file.lock()) {
      action.run();
    } finally {
      THREADS.unlock();
    }
  }

  /// Whose an entry is; nothing if it is not there or damaged.
  private static Optional<Owner> owner(Path file) throws IOException {
    try {
      return Owner.parse(Files.readString(file, StandardCharsets.ISO_8859_1));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /// Where this partition's control socket is to be.
  public Path socket() {
    return socket;
  }

  /// Removes the entry.
  @Override
  public void close() {
    try {
      Files.deleteIfExists(socket);
      Files.deleteIfExists(file);
    } catch (IOException e) {
      System.getLogger(RuntimeEntry.class.getName())
          .log(System.Logger.Level.WARNING, "cannot remove {0}: {1}", file, e.getMessage());
    }
  }

  /// A partition found in the runtime folder.
  ///
  /// @param name its name
  /// @param pid its process
  /// @param socket its control socket
  public record Found(String name, long pid, Path socket) {}

  /// The living partitions in a folder, by name. Sweeps what killed processes left behind.
  public static List<Found> list(Path folder) throws IOException {
    var found = new ArrayList<Found>();
    if (!Files.isDirectory(folder)) {
      return found;
    }
    try (var files = Files.newDirectoryStream(folder, "*" + ENTRY)) {
      for (var file : files) {
        var fileName = String.valueOf(file.getFileName());
        var name = fileName.substring(0, fileName.length() - ENTRY.length());
        var socket = folder.resolve(name + SOCKET);
        var owner = owner(file);
        if (owner.filter(Owner::isAlive).isPresent()) {
          found.add(new Found(name, owner.get().pid, socket));
        } else {
          locked(folder, () -> sweep(file, socket));
        }
      }
    }
    found.sort((a, b) -> a.name.compareTo(b.name));
    return found;
  }

  /// A process.
  ///
  /// @param pid its number
  /// @param start when it started, in the kernel's ticks since boot; 0 if the host does not tell
  private record Owner(long pid, long start) {
    static Owner current() {
      long pid = ProcessHandle.current().pid();
      return new Owner(pid, startOf(pid));
    }

    static Optional<Owner> parse(String text) {
      var match = java.util.regex.Pattern.compile("([0-9]{1,9}) ([0-9]{1,18})\n").matcher(text);
      return match.matches()
          ? Optional.of(new Owner(Long.parseLong(match.group(1)), Long.parseLong(match.group(2))))
          : Optional.empty();
    }

    String text() {
      return pid + " " + start + "\n";
    }

    /// If in doubt, it lives: what is taken for dead is removed.
    boolean isAlive() {
      if (ProcessHandle.of(pid).isEmpty()) {
        return false;
      }
      long now = startOf(pid);
      return now == start || now == 0;
    }

    /// When a process started; 0 if that cannot be told. Field 22 of `/proc/PID/stat` (proc(5)).
    /// The second field, the program's name in parentheses, may hold anything.
    private static long startOf(long pid) {
      try {
        var stat =
            Files.readString(
                Path.of("/proc", Long.toString(pid), "stat"), StandardCharsets.ISO_8859_1);
        var fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return Long.parseLong(fields[19]);
      } catch (IOException | RuntimeException e) {
        return 0;
      }
    }
  }
}
