package dev.partita.network.link;

import dev.partita.network.Endpoint;
import dev.partita.network.Frame;
import dev.partita.network.Headers;
import dev.partita.network.Offloads;
import dev.partita.network.Port;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/// A TAP device of Linux: an interface of the host whose other end is a port of the switch. Large
/// TCP segments pass whole and checksums are left to the kernel, both ways.
///
/// It needs the right to administer networks (CAP_NET_ADMIN), or a device that was made for the
/// user beforehand: `ip tuntap add dev NAME mode tap user USER`.
public final class TapDevice implements Endpoint, AutoCloseable {
  private static final System.Logger LOG = System.getLogger(TapDevice.class.getName());

  // <fcntl.h>, <sys/eventfd.h>, <poll.h>, <sys/socket.h> on Linux for x86-64 and AArch64.
  private static final int O_RDWR_NONBLOCK_CLOEXEC = 2 | 0x800 | 0x80000;
  private static final int EFD_NONBLOCK_CLOEXEC = 0x800 | 0x80000;
  private static final short POLLIN = 1;
  private static final int AF_INET = 2;
  private static final int SOCK_DGRAM_CLOEXEC = 2 | 0x80000;

  // <linux/if_tun.h>
  private static final long TUNSETIFF = 0x400454caL;
  private static final long TUNSETOFFLOAD = 0x400454d0L;
  private static final long TUNSETVNETHDRSZ = 0x400454d8L;
  private static final int IFF_TAP_NO_PI_VNET_HDR = 0x2 | 0x1000 | 0x4000;
  private static final long CHECKSUM_TSO4_TSO6_ECN = 1 | 2 | 4 | 8;

  // <linux/sockios.h>, <linux/if.h>
  private static final long SIOCGIFFLAGS = 0x8913;
  private static final long SIOCSIFFLAGS = 0x8914;
  private static final long SIOCGIFMTU = 0x8921;
  private static final long SIOCSIFMTU = 0x8922;
  private static final long SIOCGIFINDEX = 0x8933;
  private static final long SIOCBRADDIF = 0x89a2;
  private static final int IFF_UP = 1;

  /// `struct ifreq`: a name of 16 octets and a union.
  private static final int IFREQ_SIZE = 40;

  private static final int IFREQ_VALUE = 16;
  private static final int LONGEST_NAME = 15;

  /// A frame's place in a buffer: room for a header and a tag before it.
  private static final int FRAME_AT = 16;

  /// Frames read before the receivers are signalled.
  private static final int BATCH = 64;

  /// How long a frame that was throttled waits before it is tried again without having been told.
  private static final long RETRY_NANOS = 20_000_000L;

  private final String name;
  private final int descriptor;
  private final int wakeUp;
  private final Offloads offloads;
  private final Arena arena = Arena.ofShared();
  private final ReentrantLock writing = new ReentrantLock();
  private final MemorySegment writeState = NativeCalls.state(arena);
  private final MemorySegment writeBuffer = arena.allocate(FRAME_AT + Frame.MAX_LENGTH);
  private final ByteBuffer writeBytes = writeBuffer.asByteBuffer();
  private final LongAdder lost = new LongAdder();
  private volatile @Nullable Port port;
  private volatile @Nullable Thread thread;
  private volatile boolean closed;

  private TapDevice(String name, int descriptor, int wakeUp, int mtu) {
    this.name = name;
    this.descriptor = descriptor;
    this.wakeUp = wakeUp;
    offloads = new Offloads(mtu, true, Frame.MAX_LENGTH);
  }

  /// Opens a device, makes it if it is not there, takes it up and joins it to a bridge.
  ///
  /// @param name of the interface, 1 to 15 characters, with `%d` in it for the next free number
  /// @param bridge an existing bridge of the host, or nothing
  /// @param mtu octets
  /// @throws IOException if the host does not permit it; the message says what does
  public static TapDevice open(String name, @Nullable String bridge, int mtu) throws IOException {
    if (!System.getProperty("os.name", "").equals("Linux")) {
      throw new IOException("TAP devices are there on Linux only");
    }
    if (!name.matches("[A-Za-z0-9_.%-]{1," + LONGEST_NAME + "}")) {
      throw new IOException("'%s' is no interface's name".formatted(name));
    }
    try (var arena = Arena.ofConfined()) {
      var state = NativeCalls.state(arena);
      int descriptor =
          NativeCalls.open(state, arena.allocateFrom("/dev/net/tun"), O_RDWR_NONBLOCK_CLOEXEC);
      if (descriptor < 0) {
        throw refused("cannot open /dev/net/tun", name, -descriptor);
      }
      int wakeUp = -1;
      try {
        var request = arena.allocate(IFREQ_SIZE, 8);
        request.setString(0, name);
        request.set(ValueLayout.JAVA_SHORT, IFREQ_VALUE, (short) IFF_TAP_NO_PI_VNET_HDR);
        require(
            "cannot have the TAP device " + name,
            name,
            NativeCalls.ioctl(state, descriptor, TUNSETIFF, request));
        var given = request.getString(0);
        var size = arena.allocateFrom(ValueLayout.JAVA_INT, VirtioNetHeader.SIZE);
        require(
            "cannot set the header of " + given,
            given,
            NativeCalls.ioctl(state, descriptor, TUNSETVNETHDRSZ, size));
        require(
            "cannot set the offloads of " + given,
            given,
            NativeCalls.ioctl(
                state, descriptor, TUNSETOFFLOAD, MemorySegment.ofAddress(CHECKSUM_TSO4_TSO6_ECN)));
        int actual = configure(arena, state, given, bridge, mtu);
        wakeUp = NativeCalls.eventfd(state, EFD_NONBLOCK_CLOEXEC);
        require("cannot make an event", given, wakeUp);
        return new TapDevice(given, descriptor, wakeUp, actual);
      } catch (IOException e) {
        NativeCalls.close(descriptor);
        throw e;
      }
    }
  }

  /// @return the interface's MTU, which a user without rights cannot change
  private static int configure(
      Arena arena, MemorySegment state, String name, @Nullable String bridge, int mtu)
      throws IOException {
    int socket = NativeCalls.socket(state, AF_INET, SOCK_DGRAM_CLOEXEC, 0);
    require("cannot open a socket", name, socket);
    try {
      var request = arena.allocate(IFREQ_SIZE, 8);
      request.setString(0, name);
      require("no MTU of " + name, name, NativeCalls.ioctl(state, socket, SIOCGIFMTU, request));
      int actual = request.get(ValueLayout.JAVA_INT, IFREQ_VALUE);
      if (actual != mtu) {
        request.set(ValueLayout.JAVA_INT, IFREQ_VALUE, mtu);
        if (NativeCalls.ioctl(state, socket, SIOCSIFMTU, request) == 0) {
          actual = mtu;
        }
      }
      if (bridge != null) {
        join(arena, state, socket, name, bridge);
      }
      require("no flags of " + name, name, NativeCalls.ioctl(state, socket, SIOCGIFFLAGS, request));
      short flags = request.get(ValueLayout.JAVA_SHORT, IFREQ_VALUE);
      if ((flags & IFF_UP) == 0) {
        request.set(ValueLayout.JAVA_SHORT, IFREQ_VALUE, (short) (flags | IFF_UP));
        require(
            "cannot take %s up".formatted(name),
            name,
            NativeCalls.ioctl(state, socket, SIOCSIFFLAGS, request));
      }
      return actual;
    } finally {
      NativeCalls.close(socket);
    }
  }

  private static void join(Arena arena, MemorySegment state, int socket, String name, String bridge)
      throws IOException {
    var request = arena.allocate(IFREQ_SIZE, 8);
    request.setString(0, name);
    require("no index of " + name, name, NativeCalls.ioctl(state, socket, SIOCGIFINDEX, request));
    int index = request.get(ValueLayout.JAVA_INT, IFREQ_VALUE);
    if (bridge.isEmpty() || bridge.length() > LONGEST_NAME) {
      throw new IOException("'%s' is no interface's name".formatted(bridge));
    }
    request.fill((byte) 0);
    request.setString(0, bridge);
    request.set(ValueLayout.JAVA_INT, IFREQ_VALUE, index);
    int result = NativeCalls.ioctl(state, socket, SIOCBRADDIF, request);
    // Busy: it is a part of a bridge already, as whoever made it wanted.
    if (result < 0 && result != -NativeCalls.EBUSY) {
      throw refused("cannot join %s to the bridge %s".formatted(name, bridge), name, -result);
    }
  }

  private static void require(String what, String name, int result) throws IOException {
    if (result < 0) {
      throw refused(what, name, -result);
    }
  }

  private static IOException refused(String what, String name, int error) {
    var help =
        switch (error) {
          case NativeCalls.EPERM, NativeCalls.EACCES ->
              "; as root, 'ip tuntap add dev %s mode tap user %s && ip link set %1$s up' makes one"
                      .formatted(name, System.getProperty("user.name", "USER"))
                  + " that this user may use";
          case NativeCalls.ENOENT, NativeCalls.ENODEV -> "; 'modprobe tun' may help";
          case NativeCalls.EBUSY -> "; another process uses it";
          default -> "";
        };
    return new IOException(what + ": " + NativeCalls.message(error) + help);
  }

  /// The interface's name.
  public String name() {
    return name;
  }

  /// Frames that could not be carried into the switch or to the host.
  public long lost() {
    return lost.sum();
  }

  /// Begins to carry frames.
  public void attach(Port port) {
    this.port = port;
    thread = Thread.ofPlatform().name("partita-tap-" + name).daemon().start(() -> carry(port));
  }

  private void carry(Port port) {
    try (var confined = Arena.ofConfined()) {
      var state = NativeCalls.state(confined);
      int at = FRAME_AT - VirtioNetHeader.SIZE;
      var buffer = confined.allocate(FRAME_AT + Frame.MAX_LENGTH);
      var bytes = buffer.asByteBuffer();
      var place = buffer.asSlice(at);
      var entries = confined.allocate(16, 4);
      entries.set(ValueLayout.JAVA_INT, 0, descriptor);
      entries.set(ValueLayout.JAVA_SHORT, 4, POLLIN);
      entries.set(ValueLayout.JAVA_INT, 8, wakeUp);
      entries.set(ValueLayout.JAVA_SHORT, 12, POLLIN);
      var frame = new Frame();
      while (!closed) {
        int frames = 0;
        int length = 0;
        for (; frames < BATCH; frames++) {
          length = NativeCalls.read(state, descriptor, place, place.byteSize());
          if (length < VirtioNetHeader.SIZE + Frame.HEADER) {
            break;
          }
          frame.set(bytes, FRAME_AT, length - VirtioNetHeader.SIZE);
          if (VirtioNetHeader.read(bytes, at, frame)) {
            send(port, frame);
          } else {
            lost.increment();
          }
        }
        if (frames > 0) {
          port.endBatch();
        }
        if (length == -NativeCalls.EAGAIN) {
          NativeCalls.poll(state, entries, 2, -1);
        } else if (length < 0 && frames == 0) {
          LOG.log(
              System.Logger.Level.WARNING,
              "tap %s: %s".formatted(name, NativeCalls.message(-length)));
          // The device is down, for example: it may come up again.
          LockSupport.parkNanos(10 * RETRY_NANOS);
        }
      }
    }
  }

  private void send(Port port, Frame frame) {
    while (!closed && port.sendOrDrop(frame) == Port.Outcome.THROTTLED) {
      // Meanwhile the kernel queues, and drops what is too much.
      port.endBatch();
      LockSupport.parkNanos(RETRY_NANOS);
    }
  }

  @Override
  public void resume() {
    LockSupport.unpark(thread);
  }

  @Override
  public Offloads offloads() {
    return offloads;
  }

  @Override
  public boolean deliver(Frame frame) {
    writing.lock();
    try {
      if (closed) {
        return true;
      }
      var copy = frame.copyTo(writeBytes, FRAME_AT);
      // A tag would hide the headers.
      boolean v4 = copy.u16(12) == Headers.TYPE_IPV4;
      int header = 0;
      if (copy.segmentSize() != 0) {
        int tcp = Headers.of(copy).transport();
        header = tcp + (copy.u8(tcp + 12) >> 4 << 2);
      }
      if (!copy.putTag()) {
        lost.increment();
        return true;
      }
      int at = copy.start() - VirtioNetHeader.SIZE;
      VirtioNetHeader.write(writeBytes, at, copy, v4, header);
      int written =
          NativeCalls.write(
              writeState,
              descriptor,
              writeBuffer.asSlice(at),
              copy.length() + (long) VirtioNetHeader.SIZE);
      if (written < 0) {
        // A TAP device does not tell when it has room; a full one drops like any wire.
        lost.increment();
      }
      return true;
    } finally {
      writing.unlock();
    }
  }

  /// Stops and closes; a device that was made here goes.
  @Override
  public void close() {
    writing.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
    } finally {
      writing.unlock();
    }
    var reader = thread;
    try (var confined = Arena.ofConfined()) {
      var one = confined.allocateFrom(ValueLayout.JAVA_LONG, 1);
      NativeCalls.write(NativeCalls.state(confined), wakeUp, one, Long.BYTES);
    }
    if (reader != null) {
      LockSupport.unpark(reader);
      boolean interrupted = false;
      while (reader.isAlive()) {
        try {
          reader.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    var plugged = port;
    if (plugged != null) {
      plugged.close();
    }
    NativeCalls.close(descriptor);
    NativeCalls.close(wakeUp);
    arena.close();
  }
}
