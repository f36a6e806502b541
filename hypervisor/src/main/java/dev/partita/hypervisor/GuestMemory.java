package dev.partita.hypervisor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLongArray;

/// A partition's RAM: one off-heap mapping shared by engine, devices and disk I/O, placed in
/// guest-physical space as one or two regions (below the 32-bit MMIO hole, and from 4 GiB on).
///
/// Any thread may read and write. Accesses check bounds: an address that is not RAM throws {@link
/// IndexOutOfBoundsException}, so a device first asks {@link #contains}.
///
/// Dirty tracking is by 4 KiB page. Writes through this class are noted here; an engine notes those
/// of
/// its processors with {@link #markDirty} or brings them when asked, as a {@link DirtySource}.
public final class GuestMemory implements AutoCloseable {
  /// Bytes in a page.
  public static final int PAGE_SIZE = 4096;

  /// First guest-physical address of the 32-bit MMIO hole: RAM below it at most.
  public static final long LOW_RAM_END = 0xC000_0000L;

  /// Guest-physical address where RAM beyond the hole goes on.
  public static final long HIGH_RAM_START = 0x1_0000_0000L;

  /// Smallest RAM of a partition, in bytes.
  public static final long MINIMUM_SIZE = 1 << 20;

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Arena arena;
  private final MemorySegment segment;
  private final List<Region> regions;
  private final long lowSize;
  private final AtomicLongArray dirty;
  private final List<DirtySource> dirtySources = new CopyOnWriteArrayList<>();
  private final List<WriteObserver> writeObservers = new CopyOnWriteArrayList<>();
  private volatile boolean tracking;

  /// A stretch of RAM.
  ///
  /// @param guestAddress guest-physical address of its first byte
  /// @param size bytes, a multiple of the page size
  /// @param offset of its first byte in {@link GuestMemory#segment()}
  public record Region(long guestAddress, long size, long offset) {}

  /// Brings the pages an engine's processors wrote.
  public interface DirtySource {
    /// Tracking begins or ends: forget what was noted before.
    void trackingChanged(boolean on);

    /// Calls {@link GuestMemory#markDirty} for what was written since the last call, and from now
    /// on notes the first write of each page again.
    void collect();

    /// The pages have been taken: what is written from now on has to be marked, even if it is in a
    /// page that was marked already. For a source that marks pages as soon as they are written, and
    /// then no longer looks at them.
    default void taken() {}
  }

  /// Maps RAM, zeroed. Pages cost host memory only when they are first touched.
  ///
  /// @param size bytes, a multiple of the page size, at least {@link #MINIMUM_SIZE}
  /// @throws PartitionException if the host has no room
  public GuestMemory(long size) {
    if (size < MINIMUM_SIZE || size % PAGE_SIZE != 0) {
      throw new IllegalArgumentException(
          "RAM of " + size + " bytes: not a multiple of 4 KiB over 1 MiB");
    }
    arena = Arena.ofShared();
    segment = AnonymousMapping.map(size, arena);
    lowSize = Math.min(size, LOW_RAM_END);
    var list = new ArrayList<Region>();
    list.add(new Region(0, lowSize, 0));
    if (size > lowSize) {
      list.add(new Region(HIGH_RAM_START, size - lowSize, lowSize));
    }
    regions = List.copyOf(list);
    dirty = new AtomicLongArray((int) ((size / PAGE_SIZE + 63) / 64));
  }

  /// The whole mapping; offsets into it are not guest-physical addresses.
  public MemorySegment segment() {
    return segment;
  }

  /// Bytes of RAM.
  public long size() {
    return segment.byteSize();
  }

  /// Where RAM lies, ascending.
  public List<Region> regions() {
    return regions;
  }

  /// The offset in {@link #segment()} of a guest-physical address, or -1 if it is not RAM.
  public long offset(long guestAddress) {
    if (guestAddress >= 0 && guestAddress < lowSize) {
      return guestAddress;
    }
    long high = guestAddress - HIGH_RAM_START;
    if (high >= 0 && high < segment.byteSize() - lowSize) {
      return lowSize + high;
    }
    return -1;
  }

  /// Whether all of a stretch is RAM in one region.
  ///
  /// @param length bytes, at least 0
  public boolean contains(long guestAddress, long length) {
    if (length < 0 || guestAddress < 0) {
      return false;
    }
    if (guestAddress < lowSize) {
      return length <= lowSize - guestAddress;
    }
    long high = guestAddress - HIGH_RAM_START;
    long highSize = segment.byteSize() - lowSize;
    return high >= 0 && high < highSize && length <= highSize - high;
  }

  private long checked(long guestAddress, long length) {
    if (!contains(guestAddress, length)) {
      throw new IndexOutOfBoundsException(
          "guest-physical 0x%x, %d bytes: not RAM".formatted(guestAddress, length));
    }
    return offset(guestAddress);
  }

  /// A view of some RAM for bulk I/O. The caller marks what it writes there with {@link
  /// #markDirty}.
  public MemorySegment slice(long guestAddress, long length) {
    return segment.asSlice(checked(guestAddress, length), length);
  }

  public byte readByte(long guestAddress) {
    return segment.get(ValueLayout.JAVA_BYTE, checked(guestAddress, 1));
  }

  public short readShort(long guestAddress) {
    return segment.get(SHORT, checked(guestAddress, 2));
  }

  public int readInt(long guestAddress) {
    return segment.get(INT, checked(guestAddress, 4));
  }

  public long readLong(long guestAddress) {
    return segment.get(LONG, checked(guestAddress, 8));
  }

  public void writeByte(long guestAddress, byte value) {
    segment.set(ValueLayout.JAVA_BYTE, checked(guestAddress, 1), value);
    written(guestAddress, 1);
  }

  public void writeShort(long guestAddress, short value) {
    segment.set(SHORT, checked(guestAddress, 2), value);
    written(guestAddress, 2);
  }

  public void writeInt(long guestAddress, int value) {
    segment.set(INT, checked(guestAddress, 4), value);
    written(guestAddress, 4);
  }

  public void writeLong(long guestAddress, long value) {
    segment.set(LONG, checked(guestAddress, 8), value);
    written(guestAddress, 8);
  }

  /// Copies RAM out.
  public byte[] read(long guestAddress, int length) {
    var bytes = new byte[length];
    MemorySegment.copy(
        segment, ValueLayout.JAVA_BYTE, checked(guestAddress, length), bytes, 0, length);
    return bytes;
  }

  /// Copies bytes in.
  public void write(long guestAddress, byte[] bytes) {
    MemorySegment.copy(
        bytes,
        0,
        segment,
        ValueLayout.JAVA_BYTE,
        checked(guestAddress, bytes.length),
        bytes.length);
    written(guestAddress, bytes.length);
  }

  /// Whether writes are being noted. An engine reads it when it decides how to map a page for
  /// writing;
  /// {@link DirtySource#trackingChanged} tells of changes.
  public boolean tracking() {
    return tracking;
  }

  /// Begins or ends noting writes; at the start no page is dirty.
  public void setTracking(boolean on) {
    for (int i = 0; i < dirty.length(); i++) {
      dirty.set(i, 0);
    }
    tracking = on;
    for (var source : dirtySources) {
      source.trackingChanged(on);
    }
  }

  public void addDirtySource(DirtySource source) {
    dirtySources.add(source);
  }

  public void removeDirtySource(DirtySource source) {
    dirtySources.remove(source);
  }

  /// Tells that a device or a loader wrote RAM: engines that keep decoded code drop what was there,
  /// and
  /// the pages are dirty. To be called after the write; the writes of this class do it themselves.
  ///
  /// @param length bytes; all in RAM
  public void written(long guestAddress, long length) {
    for (var observer : writeObservers) {
      observer.written(checked(guestAddress, length), length);
    }
    markDirty(guestAddress, length);
  }

  /// Hears of writes by devices and loaders.
  @FunctionalInterface
  public interface WriteObserver {
    /// Called on the writer's thread, after the write.
    ///
    /// @param offset in {@link GuestMemory#segment()}
    void written(long offset, long length);
  }

  public void addWriteObserver(WriteObserver observer) {
    writeObservers.add(observer);
  }

  public void removeWriteObserver(WriteObserver observer) {
    writeObservers.remove(observer);
  }

  /// Notes a write by a processor as dirty, if tracking is on.
  ///
  /// @param length bytes; all in RAM
  public void markDirty(long guestAddress, long length) {
    if (!tracking || length == 0) {
      return;
    }
    long first = checked(guestAddress, length) / PAGE_SIZE;
    long last = (offset(guestAddress) + length - 1) / PAGE_SIZE;
    for (long page = first; page <= last; page++) {
      int word = (int) (page >> 6);
      long bit = 1L << page;
      if ((dirty.get(word) & bit) == 0) {
        dirty.getAndUpdate(word, w -> w | bit);
      }
    }
  }

  /// Takes the pages written since the last call, as a bitmap over {@link #segment()}: bit n of
  /// word w is page 64 w + n. Pages written while this runs are in this answer or the next; one
  /// that is written after this has returned is in the next.
  public long[] takeDirty() {
    for (var source : dirtySources) {
      source.collect();
    }
    var taken = new long[dirty.length()];
    for (int i = 0; i < taken.length; i++) {
      taken[i] = dirty.getAndSet(i, 0);
    }
    for (var source : dirtySources) {
      source.taken();
    }
    return taken;
  }

  /// Unmaps. Every engine and device must have stopped using it.
  @Override
  public void close() {
    arena.close();
  }
}
