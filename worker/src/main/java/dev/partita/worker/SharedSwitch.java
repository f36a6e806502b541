package dev.partita.worker;

import dev.partita.hypervisor.PartitionException;
import dev.partita.hypervisor.TimeSource;
import dev.partita.network.IpPrefix;
import dev.partita.network.link.StreamLink;
import dev.partita.network.link.UnixLinks;
import dev.partita.network.nat.NatGateway;
import dev.partita.network.nat.NatSettings;
import dev.partita.network.nat.NatState;
import dev.partita.network.vswitch.PortRole;
import dev.partita.network.vswitch.PortSettings;
import dev.partita.network.vswitch.SwitchKind;
import dev.partita.network.vswitch.VirtualSwitch;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// A partition's part of a switch that several partitions share by its name.
///
/// Each process has a switch for its own NICs. One of them, the first, holds the lock of the file
/// `NAME.switch` and listens at `NAME.link`; all others are linked to it, so that there is a star
/// and never a ring. When it goes, the lock goes with it, however it ended, and the next that tries
/// is the first one. An internal switch has its NAT there; the leases of addresses are in
/// `NAME.leases`, so that the next NAT goes on with them.
final class SharedSwitch implements Switches.Room {
  private static final System.Logger LOG = System.getLogger(SharedSwitch.class.getName());

  /// The port toward the first process.
  private static final String LINK = "link";

  private static final String NAT = "nat";

  /// How long joining may take: another process may be about to listen.
  private static final long PATIENCE_NANOS = 5_000_000_000L;

  private static final long RETRY_MILLIS = 20;

  /// How often new leases are written down.
  private static final long LEASES_SECONDS = 5;

  /// Networks of internal switches, after that of partitions' own NATs: as many fit behind each of
  /// the networks that are chosen for those.
  private static final int SUBNETS = 40;

  private final Path folder;
  private final Attachment.Shared settings;
  private final TimeSource time;
  private final VirtualSwitch network;
  private final CountDownLatch closing = new CountDownLatch(1);

  // Guarded by this.
  private @Nullable FileChannel held;
  private @Nullable UnixLinks links;
  private @Nullable StreamLink link;
  private @Nullable NatGateway gateway;
  private boolean closed;

  private SharedSwitch(Path folder, Attachment.Shared settings, TimeSource time) {
    this.folder = folder;
    this.settings = settings;
    this.time = time;
    network =
        new VirtualSwitch(
            settings.name(), settings.internal() ? SwitchKind.INTERNAL : SwitchKind.PRIVATE, time);
  }

  /// Becomes a part of a switch.
  ///
  /// @param folder where the processes meet, made if it is not there
  /// @throws IOException if the folder cannot be used
  /// @throws PartitionException if the switch is of another kind, or does not answer
  static SharedSwitch open(Path folder, Attachment.Shared settings, TimeSource time)
      throws IOException {
    var room = new SharedSwitch(folder, settings, time);
    var left = new CountDownLatch(1);
    boolean joined = false;
    try {
      long end = System.nanoTime() + PATIENCE_NANOS;
      joined = room.join(left);
      while (!joined && System.nanoTime() < end) {
        Thread.sleep(RETRY_MILLIS);
        joined = room.join(left);
      }
      if (!joined) {
        throw new PartitionException(
            "switch '%s': the partition that has it does not answer".formatted(settings.name()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new PartitionException("interrupted", e);
    } finally {
      if (!joined) {
        room.close();
      }
    }
    Thread.ofVirtual().name("partita-switch-" + settings.name()).start(() -> room.stay(left));
    return room;
  }

  private Path file(String suffix) {
    return folder.resolve(settings.name() + suffix);
  }

  private String kind() {
    return network.kind().name().toLowerCase(Locale.ROOT);
  }

  /// Stays a part of the switch while its other processes come and go.
  private void stay(CountDownLatch left) {
    try {
      var gone = left;
      while (closing.getCount() > 0) {
        if (isFirst()) {
          if (closing.await(LEASES_SECONDS, TimeUnit.SECONDS)) {
            return;
          }
          writeLeases();
          continue;
        }
        gone.await();
        gone = new CountDownLatch(1);
        while (!join(gone)) {
          if (closing.await(RETRY_MILLIS, TimeUnit.MILLISECONDS)) {
            return;
          }
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException | RuntimeException e) {
      LOG.log(
          System.Logger.Level.ERROR,
          "switch %s: lost the other partitions: %s".formatted(settings.name(), e.getMessage()));
    }
  }

  private synchronized boolean isFirst() {
    return held != null;
  }

  private void makeFolder() throws IOException {
    Files.createDirectories(folder.toAbsolutePath().getParent());
    if (!Files.isDirectory(folder)) {
      try {
        Files.createDirectory(
            folder,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      } catch (java.nio.file.FileAlreadyExistsException e) {
        // Another partition made it just now.
      }
    }
  }

  /// Becomes the first process, or is linked to it.
  ///
  /// @param left counted down when the link ends
  /// @return false if neither can be just now
  private synchronized boolean join(CountDownLatch left) throws IOException {
    if (closed) {
      return true;
    }
    makeFolder();
    var present = present();
    FileChannel channel;
    try {
      channel =
          FileChannel.open(
              file(".switch"),
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE);
    } catch (java.nio.file.NoSuchFileException e) {
      return false; // another has left, and removed the folder
    }
    boolean kept = false;
    try {
      if (lock(channel) == null) {
        requireSameKind(channel);
      } else if (present != null && present.equals(present())) {
        begin(channel);
        kept = true;
        return true;
      } else {
        return false;
      }
    } finally {
      if (!kept) {
        channel.close();
      }
    }
    StreamLink made;
    try {
      made =
          UnixLinks.connect(file(".link"), StreamLink.Format.OFFLOADS, AdapterSettings.LARGEST_MTU);
    } catch (IOException e) {
      return false; // it is about to listen, or to end
    }
    link = made;
    made.attach(network.connect(LINK, made, PortSettings.stations(PortRole.LINK)), left::countDown);
    return true;
  }

  private static @Nullable FileLock lock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException e) {
      return null; // another part of it is in this very process
    }
  }

  private void requireSameKind(FileChannel channel) throws IOException {
    var bytes = ByteBuffer.allocate(64);
    int length = channel.read(bytes, 0);
    var other = new String(bytes.array(), 0, Math.max(0, length), StandardCharsets.US_ASCII);
    if (!other.isEmpty() && !other.equals(kind())) {
      throw new PartitionException(
          "switch '%s' is there already, and is %s: ask for %s:%s, or another name"
              .formatted(settings.name(), other, other, settings.name()));
    }
  }

  /// Which file has the lock's name now: the last to leave removes it. By its attributes, since
  /// opening and closing it once more would lose this process's lock (fcntl(2), "Advisory record
  /// locking").
  private @Nullable Object present() throws IOException {
    try {
      return Files.readAttributes(file(".switch"), BasicFileAttributes.class).fileKey();
    } catch (java.nio.file.NoSuchFileException e) {
      return null;
    }
  }

  private void begin(FileChannel channel) throws IOException {
    channel.truncate(0);
    channel.write(ByteBuffer.wrap(kind().getBytes(StandardCharsets.US_ASCII)), 0);
    var socket = file(".link");
    Files.deleteIfExists(socket); // whoever had it is gone: the lock is ours
    links =
        UnixLinks.listen(
            socket,
            StreamLink.Format.OFFLOADS,
            AdapterSettings.LARGEST_MTU,
            (name, other) -> network.connect(name, other, PortSettings.stations(PortRole.LINK)));
    held = channel;
    if (settings.internal()) {
      var nat = new NatGateway(natSettings(settings.name()), time);
      gateway = nat;
      nat.restore(new NatState(readLeases(), List.of()));
      nat.attach(network.connect(NAT, nat, PortSettings.host(nat.settings().mac())));
    }
  }

  /// Networks of their own, so that a guest may have NICs on several switches. Another process that
  /// has the NAT later comes to the same.
  private static NatSettings natSettings(String name) {
    int number = 1 + Math.floorMod(name.hashCode(), SUBNETS);
    var settings = NatSettings.forHost();
    var own = settings.withIpv4(new IpPrefix(settings.ipv4().at((long) number << 8), 24));
    return new NatSettings(
        own.ipv4(),
        IpPrefix.parse("fd5e:8e5a:c6a1:%x::/64".formatted(number)),
        own.routesIpv6(),
        own.mac(),
        own.mtu(),
        false,
        List.of(),
        own.limits());
  }

  private List<NatState.Lease> readLeases() {
    var leases = new ArrayList<NatState.Lease>();
    try {
      for (var line : Files.readAllLines(file(".leases"), StandardCharsets.US_ASCII)) {
        var words = line.split(" ");
        leases.add(
            new NatState.Lease(
                words[0],
                Long.parseLong(words[1]),
                words[2],
                Long.parseLong(words[3]),
                Boolean.parseBoolean(words[4])));
      }
    } catch (java.nio.file.NoSuchFileException e) {
      // The first time.
    } catch (IOException | RuntimeException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "%s: unusable, so that guests may get other addresses: %s"
              .formatted(file(".leases"), e.getMessage()));
      leases.clear();
    }
    return leases;
  }

  private synchronized void writeLeases() throws IOException {
    if (gateway == null || held == null) {
      return;
    }
    var lines = new ArrayList<String>();
    for (var lease : gateway.save().leases()) {
      lines.add(
          "%s %d %s %d %b"
              .formatted(
                  lease.client(), lease.mac(), lease.address(), lease.leftNanos(), lease.bound()));
    }
    var next = file(".leases-new");
    Files.write(next, lines, StandardCharsets.US_ASCII);
    Files.move(next, file(".leases"), StandardCopyOption.ATOMIC_MOVE);
  }

  @Override
  public VirtualSwitch network() {
    return network;
  }

  @Override
  public synchronized @Nullable NatGateway gateway() {
    return gateway;
  }

  /// Removes what nobody needs any more; the lock is still held.
  private void tidy() throws IOException {
    Files.deleteIfExists(file(".leases"));
    Files.deleteIfExists(file(".switch"));
    try {
      Files.deleteIfExists(folder);
    } catch (java.nio.file.DirectoryNotEmptyException e) {
      // Other switches are there.
    }
  }

  /// Leaves the switch; others go on with it.
  @Override
  public void close() {
    StreamLink mine;
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      closing.countDown();
      mine = link;
      try {
        writeLeases();
      } catch (IOException e) {
        LOG.log(System.Logger.Level.WARNING, "switch: leases are not kept: " + e.getMessage());
      }
      boolean last = links != null && links.size() == 0;
      if (links != null) {
        links.close();
      }
      if (gateway != null) {
        gateway.close();
      }
      if (held != null) {
        try {
          if (last) {
            tidy();
          }
          held.close();
        } catch (IOException e) {
          LOG.log(System.Logger.Level.DEBUG, "switch: closing failed", e);
        }
      }
    }
    // Not under the monitor: it calls back.
    if (mine != null) {
      mine.close();
    }
    network.close();
  }
}
