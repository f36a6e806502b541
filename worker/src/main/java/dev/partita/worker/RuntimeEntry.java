package dev.partita.worker;

import dev.partita.hypervisor.PartitionException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// A running partition's place in the runtime folder: `NAME.lock`, which holds the process id and
/// is locked as long as the process lives, and `NAME.sock`, its control socket.
///
/// The folder is the user's alone (mode 0700): whoever can enter it has the partitions' consoles.
public final class RuntimeEntry implements AutoCloseable {
  private static final String LOCK = ".lock";
  private static final String SOCKET = ".sock";

  /// Tries to claim a name while an older entry of a dead process is being swept.
  private static final int CLAIM_TRIES = 8;

  private final Path lockFile;
  private final Path socket;
  private final FileChannel channel;

  private RuntimeEntry(Path lockFile, Path socket, FileChannel channel) {
    this.lockFile = lockFile;
    this.socket = socket;
    this.channel = channel;
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
    var lockFile = folder.resolve(name + LOCK);
    var own = Long.toString(ProcessHandle.current().pid());
    for (int i = 0; i < CLAIM_TRIES; i++) {
      var channel =
          FileChannel.open(
              lockFile,
              Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE),
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
      boolean kept = false;
      try {
        if (!tryLock(channel)) {
          throw new PartitionException(
              "a partition named \"" + name + "\" is running already: choose another with --name");
        }
        channel.truncate(0);
        channel.write(ByteBuffer.wrap(own.getBytes(StandardCharsets.US_ASCII)), 0);
        // Between opening and locking, the former owner may have removed the file that is locked
        // now.
        if (own.equals(readPid(lockFile))) {
          var socket = folder.resolve(name + SOCKET);
          Files.deleteIfExists(socket);
          kept = true;
          return new RuntimeEntry(lockFile, socket, channel);
        }
      } finally {
        if (!kept) {
          channel.close();
        }
      }
    }
    throw new IOException(lockFile + ": keeps being removed");
  }

  private static boolean tryLock(FileChannel channel) throws IOException {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }

  private static @Nullable String readPid(Path lockFile) {
    try {
      return Files.readString(lockFile, StandardCharsets.US_ASCII).strip();
    } catch (IOException e) {
      return null;
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
      Files.deleteIfExists(lockFile);
      channel.close();
    } catch (IOException e) {
      System.getLogger(RuntimeEntry.class.getName())
          .log(System.Logger.Level.WARNING, "cannot remove {0}: {1}", lockFile, e.getMessage());
    }
  }

  /// A partition found in the runtime folder.
  ///
  /// @param name its name
  /// @param pid its process
  /// @param socket its control socket
  public record Found(String name, long pid, Path socket) {}

  /// The living partitions in a folder, by name. Sweeps what a killed process left behind.
  public static List<Found> list(Path folder) throws IOException {
    var found = new ArrayList<Found>();
    if (!Files.isDirectory(folder)) {
      return found;
    }
    try (var files = Files.newDirectoryStream(folder, "*" + LOCK)) {
      for (var lockFile : files) {
        var file = String.valueOf(lockFile.getFileName());
        var name = file.substring(0, file.length() - LOCK.length());
        var pid = readPid(lockFile);
        if (pid == null || !pid.matches("[0-9]{1,18}")) {
          continue; // being made or removed just now
        }
        long number = Long.parseLong(pid);
        if (number == ProcessHandle.current().pid() || isLocked(lockFile)) {
          found.add(new Found(name, number, folder.resolve(name + SOCKET)));
        } else {
          Files.deleteIfExists(folder.resolve(name + SOCKET));
          Files.deleteIfExists(lockFile);
        }
      }
    }
    found.sort((a, b) -> a.name.compareTo(b.name));
    return found;
  }

  private static boolean isLocked(Path lockFile) {
    try (var channel = FileChannel.open(lockFile, StandardOpenOption.WRITE)) {
      return !tryLock(channel);
    } catch (IOException e) {
      return false;
    }
  }
}
