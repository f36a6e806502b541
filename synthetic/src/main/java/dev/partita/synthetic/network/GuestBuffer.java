package dev.partita.synthetic.network;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.vmbus.Gpadl;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/// A buffer that the guest has given to the NIC in advance: pages that may lie anywhere. Any
/// thread; whoever uses it sees to it that it is not taken back meanwhile.
final class GuestBuffer {
  private static final int PAGE_SHIFT = 12;
  private static final int PAGE_MASK = GuestMemory.PAGE_SIZE - 1;

  private final GuestRam ram;
  private final long[] pages;
  private final int start;
  private final int size;

  private GuestBuffer(GuestRam ram, long[] pages, int start, int size) {
    this.ram = ram;
    this.pages = pages;
    this.start = start;
    this.size = size;
  }

  /// @return null if it is not one stretch of the guest's
  static @Nullable GuestBuffer of(GuestRam ram, Gpadl gpadl) {
    if (gpadl.ranges().size() != 1) {
      return null;
    }
    var range = gpadl.ranges().getFirst();
    return new GuestBuffer(ram, range.pages(), range.byteOffset(), range.byteCount());
  }

  /// Bytes.
  int size() {
    return size;
  }

  /// Whether bytes are in it, whatever the guest says they are.
  boolean contains(long offset, long length) {
    return offset >= 0 && length >= 0 && offset <= size - length;
  }

  /// Copies out.
  void get(int offset, ByteBuffer into, int at, int length) {
    int from = start + offset;
    for (int done = 0; done < length; ) {
      int within = from & PAGE_MASK;
      int piece = Math.min(length - done, GuestMemory.PAGE_SIZE - within);
      ram.get((pages[from >> PAGE_SHIFT] << PAGE_SHIFT) + within, into, at + done, piece);
      done += piece;
      from += piece;
    }
  }

  /// Copies in; {@link #written} is called afterwards.
  void put(int offset, ByteBuffer bytes, int at, int length) {
    int to = start + offset;
    for (int done = 0; done < length; ) {
      int within = to & PAGE_MASK;
      int piece = Math.min(length - done, GuestMemory.PAGE_SIZE - within);
      ram.put((pages[to >> PAGE_SHIFT] << PAGE_SHIFT) + within, bytes, at + done, piece);
      done += piece;
      to += piece;
    }
  }

  /// Tells that bytes were copied in.
  void written(int offset, int length) {
    int to = start + offset;
    for (int done = 0; done < length; ) {
      int within = to & PAGE_MASK;
      int piece = Math.min(length - done, GuestMemory.PAGE_SIZE - within);
      ram.written((pages[to >> PAGE_SHIFT] << PAGE_SHIFT) + within, piece);
      done += piece;
      to += piece;
    }
  }
}
