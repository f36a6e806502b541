package dev.partita.worker;

import dev.partita.hypervisor.PartitionException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// A running partition's place in the runtime folder: `NAME.entry`, which tells its process, and
/// `NAME.sock`, its control socket.
///
/// The folder is the user's alone (mode 0700): whoever can enter it has the partitions' consoles.
///
/// An entry appears complete and at once (a hard link to a file already written), and belongs to
/// its process, known by its number and its start time: what a killed process leaves behind is
/// recognised even when its number is another's now, and swept by the next who looks.
public final class RuntimeEntry implements AutoCloseable {
  private static final String ENTRY = ".entry";
  private static final String SOCKET = ".sock";

  /// Tries to take a name while others sweep what a dead process left of it.
  private static final int CLAIM_TRIES = 8;

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
      for (int i = 0; i < CLAIM_TRIES; i++) {
        try {
          Files.createLink(file, written);
          Files.deleteIfExists(socket);
          return new RuntimeEntry(file, socket);
        } catch (FileAlreadyExistsException e) {
          if (owner(file).filter(Owner::isAlive).isPresent()) {
            throw new PartitionException(
                "a partition named \"%s\" is running already: choose another with --name"
                    .formatted(name));
          }
          sweep(folder, file);
        }
      }
    } finally {
      Files.deleteIfExists(written);
    }
    throw new IOException(file + ": cannot be taken");
  }

  /// Removes a dead process's entry. Moving it aside first makes sure that what is removed is what
  /// was looked at, and not a new owner's.
  private static void sweep(Path folder, Path file) throws IOException {
    var aside = Files.createTempFile(folder, ".", ".old");
    try {
      Files.move(file, aside, StandardCopyOption.ATOMIC_MOVE);
      if (owner(aside).filter(Owner::isAlive).isPresent()) {
        Files.createLink(file, aside);
      }
    } catch (NoSuchFileException | FileAlreadyExistsException e) {
      // Another swept it, or has taken the name since.
    } finally {
      Files.deleteIfExists(aside);
    }
  }

  private static Optional<Owner> owner(Path file) {
    try {
      return Owner.parse(Files.readString(file, StandardCharsets.ISO_8859_1));
    } catch (IOException e) {
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
        var owner = owner(file);
        if (owner.filter(Owner::isAlive).isPresent()) {
          found.add(new Found(name, owner.get().pid, folder.resolve(name + SOCKET)));
        } else {
          Files.deleteIfExists(folder.resolve(name + SOCKET));
          sweep(folder, file);
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

    boolean isAlive() {
      return ProcessHandle.of(pid).isPresent() && startOf(pid) == start;
    }

    /// Field 22 of `/proc/PID/stat` (proc(5)). The second field, the program's name in parentheses,
    /// may hold anything.
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
