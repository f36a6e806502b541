package dev.partita.worker;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.PartitionException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// What an operator asks of a partition.
///
/// @param name how operators call it; see {@link #checkName}
/// @param memory bytes of RAM
/// @param processors number of virtual processors, 1 to {@link #MAXIMUM_PROCESSORS}
/// @param kernel file of the kernel
/// @param initrd file of the initial RAM disk, if any
/// @param commandLine the kernel's command line
/// @param engine name of the engine, or `auto`
/// @param restartOnReset whether a reset by the guest starts the machine again
/// @param measured whether the host memory it takes is measured at the end, for {@link Statistics}
/// @param drives disks and DVD drives that are there from the beginning
/// @param network NICs that are there from the beginning, and published ports
public record PartitionSettings(
    String name,
    long memory,
    int processors,
    Path kernel,
    @Nullable Path initrd,
    String commandLine,
    String engine,
    boolean restartOnReset,
    boolean measured,
    List<DriveSettings> drives,
    NetworkSettings network) {

  /// Processors with an xAPIC id of their own: 0 to 253 (254 is the I/O APIC's, 255 is broadcast).
  public static final int MAXIMUM_PROCESSORS = 254;

  /// Characters in a name, at most.
  public static final int MAXIMUM_NAME = 64;

  /// Checks what needs no file and no host.
  ///
  /// @throws PartitionException with one line that says what is wrong
  public PartitionSettings {
    drives = List.copyOf(drives);
    checkName(name);
    if (memory < GuestMemory.MINIMUM_SIZE || memory % GuestMemory.PAGE_SIZE != 0) {
      throw new PartitionException(
          "memory of %d bytes: must be a multiple of 4096, and at least 1M".formatted(memory));
    }
    if (processors < 1 || processors > MAXIMUM_PROCESSORS) {
      throw new PartitionException(
          "%d processors: must be 1 to %d".formatted(processors, MAXIMUM_PROCESSORS));
    }
  }

  /// Without drives and network.
  public PartitionSettings(
      String name,
      long memory,
      int processors,
      Path kernel,
      @Nullable Path initrd,
      String commandLine,
      String engine,
      boolean restartOnReset,
      boolean measured) {
    this(
        name,
        memory,
        processors,
        kernel,
        initrd,
        commandLine,
        engine,
        restartOnReset,
        measured,
        List.of(),
        NetworkSettings.NONE);
  }

  /// The same but for the engine.
  public PartitionSettings withEngine(String other) {
    return new PartitionSettings(
        name,
        memory,
        processors,
        kernel,
        initrd,
        commandLine,
        other,
        restartOnReset,
        measured,
        drives,
        network);
  }

  /// The same with other drives.
  public PartitionSettings withDrives(List<DriveSettings> others) {
    return new PartitionSettings(
        name,
        memory,
        processors,
        kernel,
        initrd,
        commandLine,
        engine,
        restartOnReset,
        measured,
        others,
        network);
  }

  /// The same with another network.
  public PartitionSettings withNetwork(NetworkSettings other) {
    return new PartitionSettings(
        name,
        memory,
        processors,
        kernel,
        initrd,
        commandLine,
        engine,
        restartOnReset,
        measured,
        drives,
        other);
  }

  /// A name is a file name too: letters, digits, `.`, `_` and `-`, not beginning with `.` or `-`.
  ///
  /// @throws PartitionException if it is not
  public static void checkName(String name) {
    if (!name.matches("[A-Za-z0-9_][A-Za-z0-9_.-]*") || name.length() > MAXIMUM_NAME) {
      throw new PartitionException(
          "name \"%s\": must be 1 to %d letters, digits, '.', '_', '-'"
              .formatted(name.replaceAll("\\p{Cntrl}", "?"), MAXIMUM_NAME));
    }
  }
}
