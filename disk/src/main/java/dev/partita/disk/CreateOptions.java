package dev.partita.disk;

import java.nio.file.Path;
import java.time.InstantSource;
import org.jspecify.annotations.Nullable;

/// What a new disk shall be.
///
/// @param format of the file
/// @param type fixed, dynamic or differencing
/// @param size bytes of the disk, a multiple of the sector size; 0 for a differencing disk that
///     takes its parent's
/// @param blockSize bytes of a block, a power of two; 0 for the usual: VHDX 32 MiB, differencing 2
///     MiB; VHD 2 MiB
/// @param logicalSectorSize of VHDX: 512 or 4096; 0 for 512, or the parent's
/// @param physicalSectorSize of VHDX: 512 or 4096; 0 for 4096
/// @param parent of a differencing disk
/// @param reserve whether a fixed disk takes its room from the file system at once
/// @param time for timestamps
public record CreateOptions(
    DiskFormat format,
    DiskType type,
    long size,
    int blockSize,
    int logicalSectorSize,
    int physicalSectorSize,
    @Nullable Path parent,
    boolean reserve,
    InstantSource time) {

  /// A disk with the usual of everything else.
  public static CreateOptions of(DiskFormat format, DiskType type, long size) {
    return new CreateOptions(format, type, size, 0, 0, 0, null, false, InstantSource.system());
  }

  /// A differencing disk over a parent, of the parent's size.
  public static CreateOptions differencing(DiskFormat format, Path parent) {
    return of(format, DiskType.DIFFERENCING, 0).withParent(parent);
  }

  /// With another block size.
  public CreateOptions withBlockSize(int bytes) {
    return new CreateOptions(
        format, type, size, bytes, logicalSectorSize, physicalSectorSize, parent, reserve, time);
  }

  /// With other sector sizes.
  public CreateOptions withSectorSizes(int logical, int physical) {
    return new CreateOptions(
        format, type, size, blockSize, logical, physical, parent, reserve, time);
  }

  /// With a parent.
  public CreateOptions withParent(Path newParent) {
    return new CreateOptions(
        format,
        type,
        size,
        blockSize,
        logicalSectorSize,
        physicalSectorSize,
        newParent,
        reserve,
        time);
  }

  /// With its room taken at once, or not.
  public CreateOptions withReserve(boolean on) {
    return new CreateOptions(
        format, type, size, blockSize, logicalSectorSize, physicalSectorSize, parent, on, time);
  }

  /// Of another size.
  public CreateOptions withSize(long bytes) {
    return new CreateOptions(
        format,
        type,
        bytes,
        blockSize,
        logicalSectorSize,
        physicalSectorSize,
        parent,
        reserve,
        time);
  }
}
