package dev.partita.worker;

import dev.partita.disk.DiskCounters;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.Disks;
import dev.partita.disk.VirtualDisk;
import dev.partita.hypervisor.PartitionException;
import dev.partita.synthetic.storage.DvdDrive;
import dev.partita.synthetic.storage.LogicalUnit;
import dev.partita.synthetic.storage.ScsiController;
import dev.partita.synthetic.storage.ScsiDisk;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A partition's disks and DVD drives: their files are open from the beginning to the end of the
/// partition, through resets of the machine; their units belong to the machine of the day. Any
/// thread, which must not be interrupted.
public final class Drives implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Drives.class.getName());

  private final Map<Integer, Drive> drives = new TreeMap<>();
  private @Nullable ScsiController controller;
  private boolean closed;

  Drives() {}

  private static final class Drive {
    final DriveSettings.Kind kind;
    final UUID identity;
    @Nullable VirtualDisk disk;
    @Nullable LogicalUnit unit;
    boolean busy;

    Drive(DriveSettings.Kind kind, UUID identity, @Nullable VirtualDisk disk) {
      this.kind = kind;
      this.identity = identity;
      this.disk = disk;
    }

    @Nullable Tray tray() {
      return unit instanceof DvdDrive dvd
          ? dvd.state().trayOpen() ? Tray.OPEN : dvd.state().locked() ? Tray.LOCKED : Tray.IN
          : null;
    }
  }

  /// Where the tray of a DVD drive is.
  public enum Tray {
    IN,
    /// The guest does not let the medium go; it is mounted, perhaps.
    LOCKED,
    /// The guest has ejected the medium.
    OPEN
  }

  /// What an operator is told of a drive.
  ///
  /// @param file of the disk or medium, an absolute path; null for an empty DVD drive
  /// @param size bytes of the disk or medium, or 0
  /// @param tray of a DVD drive; null of a disk, and while the machine begins again
  /// @param counters what the disk or medium has done since it was opened; null if there is none
  public record Info(
      int lun,
      DriveSettings.Kind kind,
      @Nullable String file,
      @Nullable DiskFormat format,
      boolean readOnly,
      long size,
      @Nullable Tray tray,
      @Nullable DiskCounters counters) {}

  // --- life cycle ---

  /// Opens what the partition begins with; all or nothing.
  ///
  /// @throws PartitionException if one cannot be had; the message tells why
  synchronized void open(List<DriveSettings> all) {
    boolean done = false;
    try {
      // Those with a place of their own first.
      for (var each : all) {
        if (each.lun() != null) {
          add(each);
        }
      }
      for (var each : all) {
        if (each.lun() == null) {
          add(each);
        }
      }
      done = true;
    } finally {
      if (!done) {
        close();
      }
    }
  }

  /// Gives the drives to a machine's controller, which no guest has opened yet.
  synchronized void connect(ScsiController to) {
    controller = to;
    drives.forEach(this::plug);
  }

  /// Takes them from it, when its channels are closed.
  synchronized void disconnect(ScsiController from) {
    if (controller == from) {
      controller = null;
      drives.values().forEach(drive -> drive.unit = null);
    }
  }

  private void plug(int lun, Drive drive) {
    var to = controller;
    if (to == null) {
      return;
    }
    var disk = drive.disk;
    LogicalUnit unit;
    switch (drive.kind) {
      case DISK -> {
        if (disk == null) {
          throw new IllegalStateException("a disk without a file");
        }
        unit = new ScsiDisk(disk, drive.identity);
      }
      case DVD -> {
        var dvd = new DvdDrive();
        if (disk != null) {
          dvd.load(disk);
        }
        unit = dvd;
      }
      default -> throw new IllegalStateException();
    }
    drive.unit = unit;
    to.attach(lun, unit);
  }

  /// The disk's own id, or one that follows from its file's name. Of two disks with the same id
  /// (differencing disks of one parent) the second gets another: guests take disks with the same
  /// identity for two paths to one.
  private UUID identity(int lun, @Nullable VirtualDisk disk) {
    var name = disk == null ? "" : Path.of(disk.name()).toAbsolutePath().normalize().toString();
    var candidates =
        Stream.of(
            Optional.ofNullable(disk == null ? null : disk.id()),
            Optional.of(named(name)),
            Optional.of(named(name + " at LUN " + lun)));
    return candidates
        .flatMap(Optional::stream)
        .filter(id -> drives.values().stream().noneMatch(other -> other.identity.equals(id)))
        .findFirst()
        .orElseGet(UUID::randomUUID);
  }

  private static UUID named(String name) {
    return UUID.nameUUIDFromBytes(name.getBytes(StandardCharsets.UTF_8));
  }

  /// Flushes and closes all files. To be called when no machine uses them any more; a second time
  /// does nothing.
  @Override
  public synchronized void close() {
    closed = true;
    for (var drive : drives.values()) {
      try {
        close(drive);
      } catch (PartitionException e) {
        LOG.log(System.Logger.Level.ERROR, e.getMessage());
      }
    }
  }

  private static void close(Drive drive) {
    if (drive.disk != null) {
      close(drive.disk);
    }
  }

  private static void close(VirtualDisk disk) {
    try {
      disk.close();
    } catch (IOException e) {
      throw new PartitionException(
          "closing disk %s: %s: what was not flushed before may be lost"
              .formatted(disk.name(), e.getMessage()),
          e);
    }
  }

  // --- what an operator does ---

  /// Adds a drive; a running guest is told.
  ///
  /// @return its LUN
  /// @throws PartitionException if it cannot be had; the message tells why
  public synchronized int add(DriveSettings settings) {
    requireOpen();
    int lun = place(settings);
    var file = settings.file();
    var disk = file == null ? null : openFile(settings.kind(), file, settings);
    var drive = new Drive(settings.kind(), identity(lun, disk), disk);
    drives.put(lun, drive);
    plug(lun, drive);
    return lun;
  }

  private void requireOpen() {
    if (closed) {
      throw new PartitionException("the partition has ended");
    }
  }

  private int place(DriveSettings settings) {
    var wanted = settings.lun();
    if (wanted != null) {
      if (wanted < 0 || wanted >= ScsiController.UNITS) {
        throw new PartitionException(
            "LUN %d: must be 0 to %d".formatted(wanted, ScsiController.UNITS - 1));
      }
      if (drives.containsKey(wanted)) {
        throw new PartitionException("LUN %d is taken".formatted(wanted));
      }
      return wanted;
    }
    for (int lun = 0; lun < ScsiController.UNITS; lun++) {
      if (!drives.containsKey(lun)) {
        return lun;
      }
    }
    throw new PartitionException(
        "there are %d drives already, and no room for more".formatted(ScsiController.UNITS));
  }

  private static VirtualDisk openFile(DriveSettings.Kind kind, Path file, DriveSettings settings) {
    try {
      var disk =
          switch (kind) {
            case DVD -> Disks.open(file, DiskFormat.RAW, false);
            case DISK -> {
              var format = settings.format();
              yield Disks.open(
                  file, format == null ? Disks.formatOf(file) : format, !settings.readOnly());
            }
          };
      if (disk.size() == 0) {
        disk.close();
        throw new PartitionException(file + ": is empty");
      }
      return disk;
    } catch (NoSuchFileException e) {
      throw new PartitionException(e.getFile() + ": no such file", e);
    } catch (AccessDeniedException e) {
      boolean readable = java.nio.file.Files.isReadable(file) && kind == DriveSettings.Kind.DISK;
      throw new PartitionException(
          e.getFile()
              + ": permission denied"
              + (readable && !settings.readOnly() ? "; with ,readonly it can be read" : ""),
          e);
    } catch (IOException e) {
      throw new PartitionException(
          e.getMessage() == null ? file + ": " + e : String.valueOf(e.getMessage()), e);
    }
  }

  private Drive drive(int lun) {
    requireOpen();
    var drive = drives.get(lun);
    if (drive == null) {
      throw new PartitionException("there is no drive at LUN " + lun);
    }
    if (drive.busy) {
      throw new PartitionException("the drive at LUN " + lun + " is being changed already");
    }
    return drive;
  }

  /// Removes a drive, as pulling it out; a running guest is told. Its file is flushed and closed
  /// when this returns.
  ///
  /// @throws PartitionException if there is none; or if it could not be flushed, and is removed all
  ///     the same
  public void remove(int lun) {
    var drive = begin(lun);
    try {
      while (true) {
        // Not under the monitor: this waits for requests under way.
        var from = currentController();
        if (from != null) {
          from.detach(lun);
        }
        synchronized (this) {
          // The machine may have begun again meanwhile.
          if (controller == from) {
            drives.remove(lun);
            drive.unit = null;
            break;
          }
        }
      }
    } finally {
      end(drive);
    }
    close(drive);
  }

  private synchronized @Nullable ScsiController currentController() {
    return controller;
  }

  /// A drive for a change that may take time; others are refused until {@link #end}.
  private synchronized Drive begin(int lun) {
    var drive = drive(lun);
    drive.busy = true;
    return drive;
  }

  private synchronized void end(Drive drive) {
    drive.busy = false;
  }

  private DvdDrive dvd(int lun) {
    if (drive(lun).kind != DriveSettings.Kind.DVD) {
      throw new PartitionException("the drive at LUN %d is no DVD drive".formatted(lun));
    }
    if (drive(lun).unit instanceof DvdDrive dvd) {
      return dvd;
    }
    throw new PartitionException("the partition is not running");
  }

  /// Puts a medium in a DVD drive.
  ///
  /// @throws PartitionException if there is one in it, or the file cannot be had
  public synchronized void insert(int lun, Path file) {
    var dvd = dvd(lun);
    var drive = drive(lun);
    if (drive.disk != null) {
      throw new PartitionException(
          "the drive at LUN %d holds %s: eject that first".formatted(lun, drive.disk.name()));
    }
    var disk = openFile(DriveSettings.Kind.DVD, file, DriveSettings.dvd(file));
    drive.disk = disk;
    dvd.insert(disk);
  }

  /// Takes the medium out of a DVD drive.
  ///
  /// @param force whether also while the guest has locked it
  /// @throws PartitionException if there is none, or the guest has locked it
  public void eject(int lun, boolean force) {
    DvdDrive dvd;
    Drive drive;
    VirtualDisk disk;
    synchronized (this) {
      dvd = dvd(lun);
      disk = drive(lun).disk;
      if (disk == null) {
        throw new PartitionException("the drive at LUN %d is empty".formatted(lun));
      }
      drive = begin(lun);
    }
    try {
      // Not under the monitor: this waits for reads under way.
      if (dvd.eject(force).locked()) {
        throw new PartitionException(
            "the guest has locked the drive at LUN %d (mounted it, perhaps), and has been asked"
                    .formatted(lun)
                + " to let go: try again, or use --force");
      }
      synchronized (this) {
        drive.disk = null;
        if (drive.unit instanceof DvdDrive next && next != dvd) {
          next.eject(true); // of a machine that began meanwhile
        }
      }
    } finally {
      end(drive);
    }
    close(disk);
  }

  /// The LUN of the only DVD drive.
  ///
  /// @throws PartitionException if there is none, or more than one
  public synchronized int onlyDvd() {
    var found = new ArrayList<Integer>();
    drives.forEach(
        (lun, drive) -> {
          if (drive.kind == DriveSettings.Kind.DVD) {
            found.add(lun);
          }
        });
    return switch (found.size()) {
      case 0 -> throw new PartitionException("there is no DVD drive");
      case 1 -> found.getFirst();
      default ->
          throw new PartitionException("there are DVD drives at LUNs " + found + ": say which");
    };
  }

  /// All drives by LUN.
  public synchronized List<Info> list() {
    var list = new ArrayList<Info>();
    drives.forEach(
        (lun, drive) -> {
          var disk = drive.disk;
          list.add(
              disk == null
                  ? new Info(lun, drive.kind, null, null, true, 0, drive.tray(), null)
                  : new Info(
                      lun,
                      drive.kind,
                      Path.of(disk.name()).toAbsolutePath().toString(),
                      disk.format(),
                      disk.readOnly(),
                      disk.size(),
                      drive.tray(),
                      disk.counters()));
        });
    return list;
  }

  /// The disk of a file, to be read while no machine runs.
  synchronized Optional<VirtualDisk> disk(Path file) {
    return drives.values().stream()
        .map(drive -> drive.disk)
        .flatMap(Stream::ofNullable)
        .filter(disk -> disk.name().equals(file.toString()))
        .findFirst();
  }

  /// What the drives have done, for {@link Statistics}.
  synchronized Map<String, Long> counters() {
    var all = new TreeMap<String, Long>();
    for (var each : list()) {
      var counters = each.counters();
      if (counters != null) {
        var prefix = "drive." + each.lun() + ".";
        all.put(prefix + "reads", counters.reads());
        all.put(prefix + "read-bytes", counters.bytesRead());
        all.put(prefix + "writes", counters.writes());
        all.put(prefix + "written-bytes", counters.bytesWritten());
        all.put(prefix + "flushes", counters.flushes());
        all.put(prefix + "trims", counters.trims());
        all.put(prefix + "trimmed-bytes", counters.bytesTrimmed());
        all.put(prefix + "errors", counters.errors());
      }
    }
    return all;
  }
}
