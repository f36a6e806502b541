package dev.partita.network.link;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/// The calls of Linux's C library that a TAP device needs. Each answers what the call does, or the
/// error's number made negative.
final class NativeCalls {
  // <errno.h>
  static final int EPERM = 1;
  static final int ENOENT = 2;
  static final int EAGAIN = 11;
  static final int EACCES = 13;
  static final int EBUSY = 16;
  static final int ENODEV = 19;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final Linker.Option ERRNO = Linker.Option.captureCallState("errno");
  private static final MemoryLayout STATE = Linker.Option.captureStateLayout();
  private static final long ERRNO_OFFSET =
      STATE.byteOffset(MemoryLayout.PathElement.groupElement("errno"));
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private static final MemoryLayout POINTER = ValueLayout.ADDRESS;

  private static final MethodHandle OPEN =
      handle("open", FunctionDescriptor.of(INT, POINTER, INT), ERRNO);
  private static final MethodHandle CLOSE = handle("close", FunctionDescriptor.of(INT, INT));
  private static final MethodHandle SOCKET =
      handle("socket", FunctionDescriptor.of(INT, INT, INT, INT), ERRNO);
  private static final MethodHandle IOCTL =
      handle(
          "ioctl",
          FunctionDescriptor.of(INT, INT, LONG, POINTER),
          ERRNO,
          Linker.Option.firstVariadicArg(2));
  private static final MethodHandle READ =
      handle("read", FunctionDescriptor.of(LONG, INT, POINTER, LONG), ERRNO);
  private static final MethodHandle WRITE =
      handle("write", FunctionDescriptor.of(LONG, INT, POINTER, LONG), ERRNO);
  private static final MethodHandle POLL =
      handle("poll", FunctionDescriptor.of(INT, POINTER, LONG, INT), ERRNO);
  private static final MethodHandle EVENTFD =
      handle("eventfd", FunctionDescriptor.of(INT, INT, INT), ERRNO);
  private static final MethodHandle STRERROR =
      handle("strerror", FunctionDescriptor.of(POINTER, INT));

  private NativeCalls() {}

  private static MethodHandle handle(
      String name, FunctionDescriptor descriptor, Linker.Option... options) {
    return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor, options);
  }

  /// Room for an error's number, one a thread.
  static MemorySegment state(Arena arena) {
    return arena.allocate(STATE);
  }

  private static int result(MemorySegment state, long value) {
    return value < 0 ? -state.get(INT, ERRNO_OFFSET) : (int) value;
  }

  private static IllegalStateException impossible(Throwable e) {
    if (e instanceof RuntimeException runtime) {
      throw runtime;
    }
    if (e instanceof Error error) {
      throw error;
    }
    return new IllegalStateException(e);
  }

  static int open(MemorySegment state, MemorySegment path, int flags) {
    try {
      return result(state, (int) OPEN.invokeExact(state, path, flags));
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  static void close(int descriptor) {
    try {
      int ignored = (int) CLOSE.invokeExact(descriptor);
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  static int socket(MemorySegment state, int family, int type, int protocol) {
    try {
      return result(state, (int) SOCKET.invokeExact(state, family, type, protocol));
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  static int ioctl(MemorySegment state, int descriptor, long request, MemorySegment argument) {
    try {
      return result(state, (int) IOCTL.invokeExact(state, descriptor, request, argument));
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  static int read(MemorySegment state, int descriptor, MemorySegment into, long length) {
    try {
      return result(state, (long) READ.invokeExact(state, descriptor, into, length));
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  static int write(MemorySegment state, int descriptor, MemorySegment from, long length) {
    try {
      return result(state, (long) WRITE.invokeExact(state, descriptor, from, length));
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  static int poll(MemorySegment state, MemorySegment entries, long count, int millis) {
    try {
      return result(state, (int) POLL.invokeExact(state, entries, count, millis));
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  static int eventfd(MemorySegment state, int flags) {
    try {
      return result(state, (int) EVENTFD.invokeExact(state, 0, flags));
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  /// What an error's number means.
  static String message(int error) {
    try {
      return ((MemorySegment) STRERROR.invokeExact(error)).reinterpret(256).getString(0);
    } catch (Throwable e) {
      throw impossible(e);
    }
  }
}
