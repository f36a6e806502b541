package dev.partita.disk;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Who holds which disk file: one for writing, or any number for reading.
///
/// Against other processes this is a record lock over the whole file. POSIX drops all of a
/// process's record locks on a file when it closes any descriptor of that file, and the locks say
/// nothing between the threads of one process; so within this process a file has one channel, which
/// all its readers share, and this table is asked before a file is even opened.
final class FileHolders {
  private static final Map<Object, Held> HELD = new HashMap<>();

  private FileHolders() {}

  /// A file's channel and how many hold it.
  static final class Held {
    final Object key;
    final Path path;
    final FileChannel channel;
    final @Nullable NativeFile handle;
    final boolean writable;
    private int holders = 1;

    private Held(
        Object key, Path path, FileChannel channel, @Nullable NativeFile handle, boolean writable) {
      this.key = key;
      this.path = path;
      this.channel = channel;
      this.handle = handle;
      this.writable = writable;
    }
  }

  static Held hold(Path path, boolean writable) throws IOException {
    synchronized (HELD) {
      var attributes = Files.readAttributes(path, BasicFileAttributes.class);
      if (!attributes.isRegularFile()) {
        throw new DiskException(path + ": not a file");
      }
      var key = attributes.fileKey() == null ? path.toRealPath() : attributes.fileKey();
      var held = HELD.get(key);
      if (held != null) {
        if (writable || held.writable) {
          throw new DiskException(
              "%s: this process has it open for %s already"
                  .formatted(path, held.writable ? "writing" : "reading, as a parent perhaps"));
        }
        held.holders++;
        return held;
      }
      held = lock(key, path, writable);
      HELD.put(key, held);
      return held;
    }
  }

  private static Held lock(Object key, Path path, boolean writable) throws IOException {
    var channel =
        FileChannel.open(
            path,
            writable
                ? Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE)
                : Set.of(StandardOpenOption.READ));
    try {
      var lock = channel.tryLock(0, Long.MAX_VALUE, !writable);
      if (lock == null) {
        throw new DiskException(
            "%s: cannot be opened for %s: %s has it open%s"
                .formatted(
                    path,
                    writable ? "writing" : "reading",
                    otherHolder(path),
                    writable ? "" : " for writing"));
      }
      return new Held(key, path, channel, NativeFile.open(path, writable), writable);
    } catch (OverlappingFileLockException e) {
      channel.close();
      throw new DiskException(path + ": this process has it open already", e);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  static void release(Held held) throws IOException {
    synchronized (HELD) {
      if (--held.holders == 0) {
        HELD.remove(held.key);
        try (var channel = held.channel) {
          if (held.handle != null) {
            held.handle.close();
          }
        }
      }
    }
  }

  /// Names the process whose lock is in the way, as Linux lists it in `/proc/locks`
  /// (proc_locks(5)): `1: POSIX ADVISORY WRITE 1234 08:01:5678 0 EOF`.
  private static String otherHolder(Path path) {
    try {
      var inode = ":" + Files.getAttribute(path, "unix:ino");
      for (var line : Files.readAllLines(Path.of("/proc/locks"))) {
        var words = line.trim().split("\\s+");
        if (words.length >= 6 && words[5].endsWith(inode)) {
          long process = Long.parseLong(words[4]);
          return process <= 0
              ? "another process"
              : "process %d%s".formatted(process, commandOf(process));
        }
      }
    } catch (IOException | UnsupportedOperationException | IllegalArgumentException e) {
      // Another system, or it has just let go: the message does without a name.
    }
    return "another process";
  }

  private static String commandOf(long process) {
    return ProcessHandle.of(process)
        .flatMap(handle -> handle.info().command())
        .map(command -> " (" + Path.of(command).getFileName() + ")")
        .orElse("");
  }
}
