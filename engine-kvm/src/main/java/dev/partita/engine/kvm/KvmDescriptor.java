package dev.partita.engine.kvm;

import java.lang.foreign.MemorySegment;

/// One of KVM's file descriptors: the device, a virtual machine, or a virtual processor. Any thread
/// may use it until it is closed; that nobody does so afterwards is its owner's care.
final class KvmDescriptor implements AutoCloseable {
  private final int fd;
  private boolean closed;

  KvmDescriptor(int fd) {
    this.fd = fd;
  }

  int number() {
    return fd;
  }

  /// @return what the kernel answered, at least 0
  /// @throws KvmException if it refused
  int call(Ioctl ioctl, long argument) {
    int result = Posix.ioctl(fd, ioctl.request, argument);
    if (result < 0) {
      throw KvmException.of(ioctl, -result);
    }
    return result;
  }

  int call(Ioctl ioctl, MemorySegment argument) {
    return call(ioctl, argument.address());
  }

  /// @return what the kernel answered, or a negative error number
  int tryCall(Ioctl ioctl, long argument) {
    return Posix.ioctl(fd, ioctl.request, argument);
  }

  int tryCall(Ioctl ioctl, MemorySegment argument) {
    return tryCall(ioctl, argument.address());
  }

  /// Makes what the kernel gives a descriptor of its own: a machine or a processor.
  KvmDescriptor create(Ioctl ioctl, long argument) {
    return new KvmDescriptor(call(ioctl, argument));
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      Posix.close(fd);
    }
  }
}
