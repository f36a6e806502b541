package dev.partita.cli;

import dev.partita.disk.CreateOptions;
import dev.partita.disk.DiskFormat;
import dev.partita.disk.DiskType;
import java.time.InstantSource;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// The options of commands that make a disk.
final class DiskKind {
  /// Types that need no parent.
  enum Type {
    /// Every sector has its place from the beginning.
    fixed,
    /// Grows as it is written.
    dynamic
  }

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      description =
          "${COMPLETION-CANDIDATES}; dynamic when not given. A dynamic file grows as it is written.")
  private @Nullable Type type;

  @Option(
      names = "--block-size",
      paramLabel = "SIZE",
      converter = Quantities.Memory.class,
      description =
          "Bytes that a dynamic file grows by, a power of two: VHDX 1M to 256M; VHD 512K.")
  private @Nullable Long blockSize;

  @Option(
      names = "--sector-size",
      paramLabel = "BYTES",
      description = "VHDX: the sectors that the guest sees, 512 (the usual) or 4096.")
  private int sectorSize;

  @Option(
      names = "--reserve",
      description = "Take the room of a fixed disk from the file system at once.")
  private boolean reserve;

  /// The options for a disk without a parent.
  CreateOptions options(DiskFormat format, long size) {
    return new CreateOptions(
        format,
        type == Type.fixed || type == null && format == DiskFormat.RAW
            ? DiskType.FIXED
            : DiskType.DYNAMIC,
        size,
        blockSize(),
        sectorSize,
        0,
        null,
        reserve,
        InstantSource.system());
  }

  /// Bytes of a block, 0 for the usual.
  int blockSize() {
    return blockSize == null ? 0 : (int) Math.min(blockSize, Integer.MAX_VALUE);
  }

  boolean typeGiven() {
    return type != null;
  }
}
