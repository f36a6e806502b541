package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// Copies a disk into a new file of any format. A chain of differencing disks becomes one disk.
public final class DiskConversion {
  private static final long BUFFER = 4 << 20;

  /// Runs of zeroes from this length on are left out of a file that can do without.
  private static final long GRAIN = 64 << 10;

  private DiskConversion() {}

  /// Converts. The new disk is on the medium when this returns; when it throws, nothing is left.
  ///
  /// @param from the source, opened for reading with its parents
  /// @param fromFormat null when the name tells it
  /// @param to the new file, which must not be there
  /// @param options of the new disk; its size is the source's, rounded up to sectors, when 0
  public static void convert(
      Path from, @Nullable DiskFormat fromFormat, Path to, CreateOptions options, Progress progress)
      throws IOException {
    try (var source =
        Disks.open(from, fromFormat == null ? Disks.formatOf(from) : fromFormat, false)) {
      int sector = options.logicalSectorSize() == 0 ? 512 : options.logicalSectorSize();
      long size = options.size() == 0 ? source.size() : options.size();
      size = (size + sector - 1) & -sector;
      if (size < source.size()) {
        throw new DiskException(to + ": smaller than the disk that it shall hold");
      }
      Disks.create(to, options.withSize(size));
      boolean done = false;
      try (var target = Disks.open(to, options.format(), true)) {
        copy(source, target, progress);
        done = true;
      } finally {
        if (!done) {
          Files.deleteIfExists(to);
        }
      }
    }
  }

  private static void copy(VirtualDisk source, VirtualDisk target, Progress progress)
      throws IOException {
    long total = source.size();
    // What the target's larger sectors make it longer by stays zero.
    long step = Math.max(source.logicalSectorSize(), target.logicalSectorSize());
    try (var arena = Arena.ofConfined()) {
      var buffer = arena.allocate(BUFFER, 4096);
      for (long at = 0; at < total; ) {
        progress.update(at, total);
        var extent = source.extent(at);
        long end = Math.min(total, (extent.end() + step - 1) & -step);
        if (extent.kind() == Extent.Kind.ZERO && (extent.end() & step - 1) == 0) {
          at = end;
          continue;
        }
        long length = Math.min(BUFFER, end - at);
        source.read(at, buffer.asSlice(0, length));
        long padded = (length + step - 1) & -step;
        buffer.asSlice(length, padded - length).fill((byte) 0);
        writeWithoutZeroes(target, at, buffer.asSlice(0, padded));
        at += length;
      }
      target.flush();
      progress.update(total, total);
    }
  }

  /// Writes the grains that are not zero, those that adjoin together; the target is new, so the
  /// others are zero already.
  private static void writeWithoutZeroes(VirtualDisk target, long offset, MemorySegment data)
      throws IOException {
    long from = -1;
    for (long at = 0; at < data.byteSize(); at += GRAIN) {
      long length = Math.min(GRAIN, data.byteSize() - at);
      boolean zero = Zeroes.fill(data.asSlice(at, length));
      if (!zero && from < 0) {
        from = at;
      } else if (zero && from >= 0) {
        target.write(offset + from, data.asSlice(from, at - from));
        from = -1;
      }
    }
    if (from >= 0) {
      target.write(offset + from, data.asSlice(from));
    }
  }
}
