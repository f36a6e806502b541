package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// What Linux can do with a file and the JDK has no word for: holes and room taken beforehand. A
/// second descriptor of the same file. POSIX drops a process's record locks when any descriptor of
/// the file is closed, so it is closed together with the channel that holds the lock.
final class NativeFile implements AutoCloseable {
  // <fcntl.h>, <linux/falloc.h>, <unistd.h>, <errno.h> on Linux, all architectures.
  private static final int O_RDONLY = 0;
  private static final int O_RDWR = 2;
  private static final int O_CLOEXEC = 0x80000;
  private static final int KEEP_SIZE = 1;
  private static final int PUNCH_HOLE = 2;
  private static final int SEEK_DATA = 3;
  private static final int SEEK_HOLE = 4;
  private static final int ENXIO = 6;
  private static final int ENOSPC = 28;

  private final int descriptor;
  private volatile boolean punches;
  private volatile boolean seeks = true;

  private NativeFile(int descriptor, boolean punches) {
    this.descriptor = descriptor;
    this.punches = punches;
  }

  /// Opens the file once more, or gives nothing where that cannot be.
  static @Nullable NativeFile open(Path path, boolean writable) {
    if (!System.getProperty("os.name", "").equals("Linux")) {
      return null;
    }
    try (var arena = Arena.ofConfined()) {
      int descriptor =
          (int)
              Calls.OPEN.invokeExact(
                  arena.allocateFrom(path.toAbsolutePath().toString()),
                  (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
      return descriptor < 0 ? null : new NativeFile(descriptor, writable);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  boolean punches() {
    return punches;
  }

  boolean punch(long offset, long length) {
    if (!punches) {
      return false;
    }
    if (allocate(KEEP_SIZE | PUNCH_HOLE, offset, length) == 0) {
      return true;
    }
    punches = false;
    return false;
  }

  /// Takes room.
  ///
  /// @throws IOException when there is none
  void reserve(long offset, long length) throws IOException {
    if (allocate(KEEP_SIZE, offset, length) == ENOSPC) {
      throw new IOException("no room for %d bytes".formatted(length));
    }
  }

  long nextData(long offset, long size) {
    return seek(offset, SEEK_DATA, offset, size);
  }

  long nextHole(long offset, long size) {
    return seek(offset, SEEK_HOLE, size, size);
  }

  /// @param unknown the answer when the file system does not know
  private long seek(long offset, int whence, long unknown, long size) {
    if (!seeks) {
      return unknown;
    }
    try (var arena = Arena.ofConfined()) {
      var state = arena.allocate(Calls.STATE);
      long found = (long) Calls.LSEEK.invokeExact(state, descriptor, offset, whence);
      if (found >= 0) {
        return found;
      }
      if (Calls.errno(state) == ENXIO) {
        return size;
      }
      seeks = false;
      return unknown;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /// 0 or the error's number.
  private int allocate(int mode, long offset, long length) {
    try (var arena = Arena.ofConfined()) {
      var state = arena.allocate(Calls.STATE);
      int result = (int) Calls.FALLOCATE.invokeExact(state, descriptor, mode, offset, length);
      return result == 0 ? 0 : Calls.errno(state);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    try {
      int ignored = (int) Calls.CLOSE.invokeExact(descriptor);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static final class Calls {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final Linker.Option ERRNO = Linker.Option.captureCallState("errno");
    static final MemoryLayout STATE = Linker.Option.captureStateLayout();
    private static final long ERRNO_OFFSET =
        STATE.byteOffset(MemoryLayout.PathElement.groupElement("errno"));

    static final MethodHandle OPEN =
        handle(
            "open",
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
    static final MethodHandle CLOSE =
        handle("close", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
    static final MethodHandle FALLOCATE =
        handle(
            "fallocate",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG),
            ERRNO);
    static final MethodHandle LSEEK =
        handle(
            "lseek",
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT),
            ERRNO);

    private Calls() {}

    static int errno(MemorySegment state) {
      return state.get(ValueLayout.JAVA_INT, ERRNO_OFFSET);
    }

    private static MethodHandle handle(
        String name, FunctionDescriptor descriptor, Linker.Option... options) {
      return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor, options);
    }
  }
}
