package dev.partita.network.nat;

import dev.partita.network.IpAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/// Linux's unprivileged ICMP echo socket (icmp(7), `ping_group_range`): the kernel gives it an
/// identifier, checks what is sent, and hands over the answers to it alone.
final class PingSocket implements AutoCloseable {
  // <sys/socket.h>, <netinet/in.h>, <poll.h> on Linux, all architectures.
  private static final int AF_INET = 2;
  private static final int AF_INET6 = 10;
  private static final int SOCK_DGRAM = 2;
  private static final int SOCK_NONBLOCK_CLOEXEC = 0x800 | 0x80000;
  private static final int IPPROTO_ICMP = 1;
  private static final int IPPROTO_ICMPV6 = 58;
  private static final short POLLIN = 1;

  private static final int ADDRESS_SIZE = 28;
  private static final int LARGEST = 65535;

  private final int descriptor;
  private final boolean v4;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment sendBuffer = arena.allocate(LARGEST);
  private final MemorySegment receiveBuffer = arena.allocate(LARGEST);
  private final MemorySegment sendAddress = arena.allocate(ADDRESS_SIZE, 4);
  private final MemorySegment receiveAddress = arena.allocate(ADDRESS_SIZE, 4);
  private final MemorySegment addressLength = arena.allocate(ValueLayout.JAVA_INT);
  private final MemorySegment poll = arena.allocate(8, 4);

  private PingSocket(int descriptor, boolean v4) {
    this.descriptor = descriptor;
    this.v4 = v4;
  }

  /// Opens one, or gives nothing where the host does not permit it.
  static @Nullable PingSocket open(boolean v4) {
    if (!System.getProperty("os.name", "").equals("Linux")) {
      return null;
    }
    try {
      int descriptor =
          (int)
              Calls.SOCKET.invokeExact(
                  v4 ? AF_INET : AF_INET6,
                  SOCK_DGRAM | SOCK_NONBLOCK_CLOEXEC,
                  v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
      return descriptor < 0 ? null : new PingSocket(descriptor, v4);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /// Sends an echo request. One thread at a time.
  ///
  /// @param message of ICMP or ICMPv6 from its type on; identifier and checksum are the kernel's
  /// @return false if it could not be sent
  boolean send(ByteBuffer message, IpAddress to) {
    try {
      int length = message.remaining();
      MemorySegment.copy(MemorySegment.ofBuffer(message), 0, sendBuffer, 0, length);
      sendAddress.fill((byte) 0);
      // struct sockaddr_in and sockaddr_in6.
      sendAddress.set(ValueLayout.JAVA_SHORT, 0, (short) (v4 ? AF_INET : AF_INET6));
      var octets = MemorySegment.ofArray(to.octets());
      MemorySegment.copy(octets, 0, sendAddress, v4 ? 4 : 8, octets.byteSize());
      long sent =
          (long)
              Calls.SENDTO.invokeExact(
                  descriptor, sendBuffer, (long) length, 0, sendAddress, v4 ? 16 : ADDRESS_SIZE);
      return sent == length;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /// An answer: the message from its type on.
  record Answer(ByteBuffer message, IpAddress from) {}

  /// Waits for an answer. One thread only.
  ///
  /// @param millis at most
  /// @return nothing if none came
  @Nullable Answer receive(int millis) {
    try {
      poll.set(ValueLayout.JAVA_INT, 0, descriptor);
      poll.set(ValueLayout.JAVA_SHORT, 4, POLLIN);
      int ready = (int) Calls.POLL.invokeExact(poll, 1L, millis);
      if (ready <= 0) {
        return null;
      }
      addressLength.set(ValueLayout.JAVA_INT, 0, ADDRESS_SIZE);
      long length =
          (long)
              Calls.RECVFROM.invokeExact(
                  descriptor, receiveBuffer, (long) LARGEST, 0, receiveAddress, addressLength);
      if (length < 8) {
        return null;
      }
      var octets = receiveAddress.asByteBuffer().order(ByteOrder.BIG_ENDIAN);
      var from =
          v4
              ? IpAddress.v4(octets.getInt(4))
              : new IpAddress(octets.getLong(8), octets.getLong(16));
      return new Answer(receiveBuffer.asSlice(0, length).asByteBuffer(), from);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /// Closes; no other call may be under way.
  @Override
  public void close() {
    try {
      int ignored = (int) Calls.CLOSE.invokeExact(descriptor);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    } finally {
      arena.close();
    }
  }

  private static final class Calls {
    private static final Linker LINKER = Linker.nativeLinker();
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final MemoryLayout POINTER = ValueLayout.ADDRESS;

    static final MethodHandle SOCKET = handle("socket", FunctionDescriptor.of(INT, INT, INT, INT));
    static final MethodHandle SENDTO =
        handle("sendto", FunctionDescriptor.of(LONG, INT, POINTER, LONG, INT, POINTER, INT));
    static final MethodHandle RECVFROM =
        handle("recvfrom", FunctionDescriptor.of(LONG, INT, POINTER, LONG, INT, POINTER, POINTER));
    static final MethodHandle POLL = handle("poll", FunctionDescriptor.of(INT, POINTER, LONG, INT));
    static final MethodHandle CLOSE = handle("close", FunctionDescriptor.of(INT, INT));

    private Calls() {}

    private static MethodHandle handle(String name, FunctionDescriptor descriptor) {
      return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor);
    }
  }
}
