package dev.partita.engine.kvm;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;

/// The C library's functions that this engine needs: the only native calls of the module.
///
/// A call that fails gives the negative error number, as the kernel itself does, so that no error
/// state outlives the call. None of these calls is ever marked critical: a thread inside a critical
/// call holds up every garbage collection, and KVM_RUN may not return for hours.
final class Posix {
  // <asm-generic/errno-base.h>, <asm-generic/errno.h>
  static final int EPERM = 1;
  static final int ENOENT = 2;
  static final int EINTR = 4;
  static final int ENXIO = 6;
  static final int E2BIG = 7;
  static final int EBADF = 9;
  static final int EAGAIN = 11;
  static final int ENOMEM = 12;
  static final int EACCES = 13;
  static final int EFAULT = 14;
  static final int EBUSY = 16;
  static final int EEXIST = 17;
  static final int ENODEV = 19;
  static final int EINVAL = 22;
  static final int ENFILE = 23;
  static final int EMFILE = 24;
  static final int ENOTTY = 25;
  static final int ENOSPC = 28;
  static final int ENOSYS = 38;
  static final int EOPNOTSUPP = 95;

  // <asm-generic/fcntl.h>
  static final int O_RDWR = 2;
  static final int O_CLOEXEC = 0x8_0000;

  // <sys/eventfd.h>, <sys/epoll.h>
  static final int EFD_CLOEXEC = 0x8_0000;
  static final int EFD_NONBLOCK = 0x800;
  static final int EPOLL_CLOEXEC = 0x8_0000;
  static final int EPOLL_CTL_ADD = 1;
  static final int EPOLLIN = 1;
  static final int EPOLLET = 1 << 31;

  // `struct epoll_event`, packed on x86-64 alone.
  static final int EPOLL_EVENT_EVENTS = 0;
  static final int EPOLL_EVENT_DATA = 4;
  static final int EPOLL_EVENT_SIZE = 12;

  // <asm-generic/mman-common.h>
  private static final int PROT_READ_WRITE = 0x1 | 0x2;
  private static final int MAP_SHARED = 0x01;

  // <asm-generic/signal-defs.h>
  private static final int SIG_BLOCK = 0;
  private static final int SIG_SETMASK = 2;

  /// The signal that ends KVM_RUN. Its default action is to be ignored, the JVM has no use for it,
  /// and nothing sends it unasked (`F_SETOWN` on a socket apart), so that no handler is needed.
  static final int SIGURG = 23;

  /// Bytes of `sigset_t` in the C libraries of Linux.
  static final int SIGNAL_SET_SIZE = 128;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final MemoryLayout CAPTURE_LAYOUT = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      CAPTURE_LAYOUT.varHandle(MemoryLayout.PathElement.groupElement("errno"));
  private static final Linker.Option CAPTURE = Linker.Option.captureCallState("errno");

  private static final MethodHandle OPEN =
      handle(
          "open",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT),
          Linker.Option.firstVariadicArg(2),
          CAPTURE);
  private static final MethodHandle CLOSE =
      handle("close", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT), CAPTURE);
  private static final MethodHandle IOCTL =
      handle(
          "ioctl",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG),
          Linker.Option.firstVariadicArg(2),
          CAPTURE);
  private static final MethodHandle MMAP =
      handle(
          "mmap",
          FunctionDescriptor.of(
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG),
          CAPTURE);
  private static final MethodHandle MUNMAP =
      handle(
          "munmap",
          FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG),
          CAPTURE);
  private static final MethodHandle STRERROR =
      handle("strerror", FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
  private static final MethodHandle PTHREAD_SELF =
      handle("pthread_self", FunctionDescriptor.of(ValueLayout.JAVA_LONG));
  private static final MethodHandle PTHREAD_KILL =
      handle(
          "pthread_kill",
          FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));
  private static final MethodHandle PTHREAD_SIGMASK =
      handle(
          "pthread_sigmask",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.ADDRESS));
  private static final MethodHandle SIGTIMEDWAIT =
      handle(
          "sigtimedwait",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.ADDRESS));

  private static final MethodHandle EVENTFD =
      handle(
          "eventfd",
          FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT),
          CAPTURE);
  private static final MethodHandle EVENTFD_WRITE =
      handle(
          "eventfd_write",
          FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG),
          CAPTURE);
  private static final MethodHandle EPOLL_CREATE1 =
      handle(
          "epoll_create1",
          FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT),
          CAPTURE);
  private static final MethodHandle EPOLL_CTL =
      handle(
          "epoll_ctl",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS),
          CAPTURE);
  private static final MethodHandle EPOLL_WAIT =
      handle(
          "epoll_wait",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT),
          CAPTURE);

  /// Where a call leaves `errno`: one for each thread, as `errno` itself.
  private static final ThreadLocal<MemorySegment> ERROR_STATE =
      ThreadLocal.withInitial(() -> allocateErrorState(Arena.ofAuto()));

  /// The set {SIGURG}: signal n is bit n - 1.
  private static final MemorySegment KICK_SET = kickSet();

  /// A `struct timespec` of zero.
  private static final MemorySegment NO_TIME = Arena.global().allocate(16, 8);

  private Posix() {}

  private static MethodHandle handle(
      String name, FunctionDescriptor descriptor, Linker.Option... options) {
    return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor, options);
  }

  private static MemorySegment kickSet() {
    var set = Arena.global().allocate(SIGNAL_SET_SIZE, 8);
    set.set(ValueLayout.JAVA_LONG, 0, 1L << (SIGURG - 1));
    return set;
  }

  /// No checked exception can come out of a native call.
  private static RuntimeException rethrown(Throwable e) {
    return switch (e) {
      case RuntimeException runtime -> throw runtime;
      case Error error -> throw error;
      default -> new IllegalStateException(e);
    };
  }

  private static int negativeErrno(MemorySegment state) {
    return -(int) ERRNO.get(state, 0L);
  }

  /// Memory for the error number of {@link #ioctl(MemorySegment, int, long, long)}.
  static MemorySegment allocateErrorState(Arena arena) {
    return arena.allocate(CAPTURE_LAYOUT);
  }

  /// @return a file descriptor, or a negative error number
  static int open(String path, int flags) {
    try (var arena = Arena.ofConfined()) {
      var state = allocateErrorState(arena);
      int fd = (int) OPEN.invokeExact(state, arena.allocateFrom(path), flags, 0);
      return fd >= 0 ? fd : negativeErrno(state);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Errors are of no use: the descriptor is gone in any case.
  static void close(int fd) {
    try {
      int ignored = (int) CLOSE.invokeExact(ERROR_STATE.get(), fd);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// @param argument a number, or an address
  /// @return at least 0, or a negative error number
  static int ioctl(int fd, long request, long argument) {
    return ioctl(ERROR_STATE.get(), fd, request, argument);
  }

  /// The same for a caller that has its own error state.
  static int ioctl(MemorySegment errorState, int fd, long request, long argument) {
    try {
      int result = (int) IOCTL.invokeExact(errorState, fd, request, argument);
      return result >= 0 ? result : negativeErrno(errorState);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Maps a device's memory, shared, for reading and writing.
  ///
  /// @param offset bytes, a multiple of the page size
  /// @return the address, or a negative error number
  static long map(int fd, long size, long offset) {
    try {
      var state = ERROR_STATE.get();
      long address =
          (long) MMAP.invokeExact(state, 0L, size, PROT_READ_WRITE, MAP_SHARED, fd, offset);
      return address != -1 ? address : negativeErrno(state);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  static void unmap(long address, long size) {
    try {
      int result = (int) MUNMAP.invokeExact(ERROR_STATE.get(), address, size);
      if (result != 0) {
        throw new IllegalStateException("munmap failed at 0x%x".formatted(address));
      }
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Makes an event counter that is 0 and never blocks.
  ///
  /// @return a file descriptor, or a negative error number
  static int eventfd() {
    try {
      var state = ERROR_STATE.get();
      int fd = (int) EVENTFD.invokeExact(state, 0, EFD_CLOEXEC | EFD_NONBLOCK);
      return fd >= 0 ? fd : negativeErrno(state);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Adds one to an event counter. One that is full stays so, and tells as much.
  static void signal(int eventfd) {
    try {
      int ignored = (int) EVENTFD_WRITE.invokeExact(ERROR_STATE.get(), eventfd, 1L);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Makes a set of descriptors to wait for.
  ///
  /// @return a file descriptor, or a negative error number
  static int epoll() {
    try {
      var state = ERROR_STATE.get();
      int fd = (int) EPOLL_CREATE1.invokeExact(state, EPOLL_CLOEXEC);
      return fd >= 0 ? fd : negativeErrno(state);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Puts an event counter into a set: each signal makes it ready anew, and it need not be read.
  ///
  /// @param token what {@link #epollWait} tells of it
  /// @return 0, or a negative error number
  static int epollAdd(int epoll, int eventfd, long token) {
    try (var arena = Arena.ofConfined()) {
      var state = ERROR_STATE.get();
      var event = arena.allocate(EPOLL_EVENT_SIZE, 8);
      event.set(ValueLayout.JAVA_INT, EPOLL_EVENT_EVENTS, EPOLLIN | EPOLLET);
      event.set(ValueLayout.JAVA_LONG_UNALIGNED, EPOLL_EVENT_DATA, token);
      int result = (int) EPOLL_CTL.invokeExact(state, epoll, EPOLL_CTL_ADD, eventfd, event);
      return result >= 0 ? result : negativeErrno(state);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Waits until something in a set is ready.
  ///
  /// @param events takes them, as many as fit
  /// @return how many, or a negative error number
  static int epollWait(int epoll, MemorySegment events) {
    try {
      var state = ERROR_STATE.get();
      int most = (int) (events.byteSize() / EPOLL_EVENT_SIZE);
      int count = (int) EPOLL_WAIT.invokeExact(state, epoll, events, most, -1);
      return count >= 0 ? count : negativeErrno(state);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// The text of an error number, such as `No such file or directory`.
  static String errorText(int errno) {
    try {
      var text = (MemorySegment) STRERROR.invokeExact(errno);
      return text.reinterpret(256).getString(0, StandardCharsets.UTF_8);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// The calling platform thread, for {@link #kick}.
  static long currentThread() {
    try {
      return (long) PTHREAD_SELF.invokeExact();
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Sends {@link #SIGURG} to a thread that has blocked it and that still exists.
  static void kick(long thread) {
    try {
      int result = (int) PTHREAD_KILL.invokeExact(thread, SIGURG);
      if (result != 0) {
        throw new IllegalStateException("pthread_kill: " + errorText(result));
      }
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Blocks {@link #SIGURG} in the calling thread: from now on it stays pending.
  ///
  /// @param before takes the thread's signal mask; {@link #SIGNAL_SET_SIZE} bytes
  static void blockKicks(MemorySegment before) {
    changeMask(SIG_BLOCK, KICK_SET, before);
  }

  /// Gives the calling thread the signal mask it had.
  static void restoreMask(MemorySegment mask) {
    changeMask(SIG_SETMASK, mask, MemorySegment.NULL);
  }

  private static void changeMask(int how, MemorySegment set, MemorySegment before) {
    try {
      int result = (int) PTHREAD_SIGMASK.invokeExact(how, set, before);
      if (result != 0) {
        throw new IllegalStateException("pthread_sigmask: " + errorText(result));
      }
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }

  /// Takes a pending {@link #SIGURG} away from the calling thread, if there is one; never waits.
  static void takeKick() {
    try {
      int ignored = (int) SIGTIMEDWAIT.invokeExact(KICK_SET, MemorySegment.NULL, NO_TIME);
    } catch (Throwable e) {
      throw rethrown(e);
    }
  }
}
