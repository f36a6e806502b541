package dev.partita.image.filesystem;

import dev.partita.disk.VirtualDisk;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;

/// A range of a disk, such as a partition, read in bytes. What lies outside of it cannot be read,
/// whatever a file system says. Not thread-safe.
public final class Volume {
  private static final int PAGE = 16 << 10;
  private static final int CACHED_PAGES = 256;

  private final VirtualDisk disk;
  private final long offset;
  private final long length;
  private final String name;
  private final Map<Long, byte[]> pages =
      new LinkedHashMap<>(64, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, byte[]> eldest) {
          return size() > CACHED_PAGES;
        }
      };

  /// @param offset in bytes, of whole sectors
  /// @param length in bytes; what reaches past the disk's end is cut off
  /// @param name for messages
  public Volume(VirtualDisk disk, long offset, long length, String name) {
    this.disk = disk;
    this.offset = Math.clamp(offset, 0, disk.size());
    long sector = disk.logicalSectorSize();
    this.length = Math.clamp(length, 0, disk.size() - this.offset) / sector * sector;
    this.name = name;
  }

  /// The whole disk.
  public static Volume whole(VirtualDisk disk) {
    return new Volume(disk, 0, disk.size(), disk.name());
  }

  /// For messages.
  public String name() {
    return name;
  }

  /// In bytes.
  public long length() {
    return length;
  }

  /// Reads a structure, little-endian. Pages are kept, for what is read again and again.
  ///
  /// @throws MalformedFileSystemException when it does not lie within the volume
  public ByteBuffer structure(long at, int count) throws IOException {
    check(at, count);
    byte[] bytes = new byte[count];
    for (int done = 0; done < count; ) {
      long from = at + done;
      byte[] page = page(from / PAGE);
      int within = (int) (from % PAGE);
      int part = Math.min(count - done, page.length - within);
      System.arraycopy(page, within, bytes, done, part);
      done += part;
    }
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private byte[] page(long number) throws IOException {
    byte[] page = pages.get(number);
    if (page == null) {
      page = new byte[(int) Math.min(PAGE, length - number * PAGE)];
      disk.read(offset + number * PAGE, MemorySegment.ofArray(page));
      pages.put(number, page);
    }
    return page;
  }

  /// Reads a file's content, past the kept pages.
  ///
  /// @throws MalformedFileSystemException when it does not lie within the volume
  void content(long at, byte[] to, int start, int count) throws IOException {
    check(at, count);
    int sector = disk.logicalSectorSize();
    long first = at / sector * sector;
    long last = (at + count + sector - 1) / sector * sector;
    byte[] whole = new byte[(int) (last - first)];
    disk.read(offset + first, MemorySegment.ofArray(whole));
    System.arraycopy(whole, (int) (at - first), to, start, count);
  }

  private void check(long at, long count) throws MalformedFileSystemException {
    if (at < 0 || at > length || count > length - at) {
      throw new MalformedFileSystemException(
          "%s: points at %d bytes from %#x, outside of its %d bytes"
              .formatted(name, count, at, length));
    }
  }
}
