package dev.partita.disk;

import java.io.IOException;

/// Sectors in a file one after the other from its beginning: a raw disk, or a fixed VHD, whose
/// footer comes after the sectors.
///
/// A raw file that ends within a sector reads as if zeroes followed; the first write of that sector
/// makes it whole.
final class FlatImage implements DiskImage {
  private static final int SECTOR = 512;
  private static final int PHYSICAL_SECTOR = 4096;

  private final DiskFormat format;
  private final DiskFile file;
  private final long size;

  /// @param size bytes of the disk, whole sectors
  FlatImage(DiskFormat format, DiskFile file, long size) {
    this.format = format;
    this.file = file;
    this.size = size;
  }

  /// A raw disk.
  static FlatImage raw(DiskFile file) throws IOException {
    return new FlatImage(DiskFormat.RAW, file, (file.size() + SECTOR - 1) & -SECTOR);
  }

  @Override
  public DiskFormat format() {
    return format;
  }

  @Override
  public DiskType type() {
    return DiskType.FIXED;
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public int logicalSectorSize() {
    return SECTOR;
  }

  @Override
  public int physicalSectorSize() {
    return format == DiskFormat.VHD ? SECTOR : PHYSICAL_SECTOR;
  }

  @Override
  public void read(long offset, Scatter to) throws IOException {
    long end = offset + to.length();
    long stored =
        end > size - SECTOR ? Math.clamp(file.size() - offset, 0, to.length()) : end - offset;
    to.each(0, stored, offset, file::read);
    to.zero(stored, to.length() - stored);
  }

  @Override
  public void write(long offset, Scatter from) throws IOException {
    from.each(0, from.length(), offset, file::write);
  }

  @Override
  public void writeZeroes(long offset, long length) throws IOException {
    file.zero(offset, length);
  }

  @Override
  public void trim(long offset, long length) throws IOException {
    long within = Math.min(length, file.size() - offset);
    if (within > 0) {
      file.punch(offset, within);
    }
  }

  @Override
  public boolean trims() {
    return file.punches();
  }

  @Override
  public void flush() throws IOException {
    file.force();
  }

  @Override
  public Extent ownExtent(long offset) throws IOException {
    long data = (Math.clamp(file.nextData(offset), offset, size) / SECTOR) * SECTOR;
    if (data > offset) {
      return new Extent(offset, data - offset, Extent.Kind.ZERO);
    }
    long hole = file.nextHole(offset);
    long end = Math.clamp((hole + SECTOR - 1) & -SECTOR, offset + SECTOR, size);
    return new Extent(offset, end - offset, Extent.Kind.DATA);
  }

  @Override
  public void close() throws IOException {
    if (!file.readOnly()) {
      file.force();
    }
  }
}
