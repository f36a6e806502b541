package dev.partita.vmbus;

import dev.partita.hypervisor.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// A ring's pages in guest RAM as one stretch: its header, and its data, which wraps around. The
/// pages may lie anywhere.
///
/// The layout (Linux, `struct hv_ring_buffer`): a header page with the write index at 0, the read
/// index at 4, the consumer's interrupt mask at 8, the producer's pending send size at 12 and
/// feature bits at 64; data from the second page on. Indices are bytes into the data.
final class RingMemory {
  static final int WRITE_INDEX = 0;
  static final int READ_INDEX = 4;
  static final int INTERRUPT_MASK = 8;
  static final int PENDING_SEND_SIZE = 12;
  static final int FEATURES = 64;

  private static final int PAGE_SIZE = GuestMemory.PAGE_SIZE;
  private static final int PAGE_SHIFT = 12;

  private static final VarHandle INT =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG_HANDLE = LONG.varHandle();

  private final GuestMemory memory;
  private final MemorySegment ram;

  /// Guest-physical addresses, and offsets in the mapping.
  private final long[] addresses;

  private final long[] offsets;
  private final int dataSize;

  /// @param pages page frame numbers, at least 2, all RAM
  RingMemory(GuestMemory memory, long[] pages) {
    this.memory = memory;
    this.ram = memory.segment();
    this.addresses = new long[pages.length];
    this.offsets = new long[pages.length];
    for (int i = 0; i < pages.length; i++) {
      addresses[i] = pages[i] << PAGE_SHIFT;
      offsets[i] = memory.offset(addresses[i]);
      if (offsets[i] < 0) {
        throw new IllegalArgumentException("ring page 0x%x is not RAM".formatted(pages[i]));
      }
    }
    this.dataSize = (pages.length - 1) * PAGE_SIZE;
  }

  /// Bytes of data, a multiple of the page size.
  int dataSize() {
    return dataSize;
  }

  /// Whether a value may be an index.
  boolean isIndex(int value) {
    return value >= 0 && value < dataSize && (value & 7) == 0;
  }

  int headerAcquire(int field) {
    return (int) INT.getAcquire(ram, offsets[0] + field);
  }

  void setHeaderRelease(int field, int value) {
    INT.setRelease(ram, offsets[0] + field, value);
    memory.written(addresses[0] + field, Integer.BYTES);
  }

  /// @param position 8-aligned index into the data
  long readLong(int position) {
    // One access for sure: what is checked is what is used, whatever the guest writes meanwhile.
    return (long)
        LONG_HANDLE.getOpaque(
            ram, offsets[1 + (position >> PAGE_SHIFT)] + (position & PAGE_SIZE - 1));
  }

  /// @param position 8-aligned index into the data
  void writeLong(int position, long value) {
    int page = 1 + (position >> PAGE_SHIFT);
    int within = position & PAGE_SIZE - 1;
    ram.set(LONG, offsets[page] + within, value);
    memory.written(addresses[page] + within, Long.BYTES);
  }

  /// Copies data out.
  ///
  /// @param position index into the data; what goes beyond its end goes on at its start
  void read(int position, byte[] into, int from, int length) {
    int at = position;
    for (int done = 0; done < length; ) {
      int within = at & PAGE_SIZE - 1;
      int piece = Math.min(length - done, PAGE_SIZE - within);
      MemorySegment.copy(
          ram,
          ValueLayout.JAVA_BYTE,
          offsets[1 + (at >> PAGE_SHIFT)] + within,
          into,
          from + done,
          piece);
      done += piece;
      at = advance(at, piece);
    }
  }

  /// Copies data in.
  ///
  /// @param position index into the data; what goes beyond its end goes on at its start
  void write(int position, byte[] bytes) {
    int at = position;
    for (int done = 0; done < bytes.length; ) {
      int page = 1 + (at >> PAGE_SHIFT);
      int within = at & PAGE_SIZE - 1;
      int piece = Math.min(bytes.length - done, PAGE_SIZE - within);
      MemorySegment.copy(bytes, done, ram, ValueLayout.JAVA_BYTE, offsets[page] + within, piece);
      memory.written(addresses[page] + within, piece);
      done += piece;
      at = advance(at, piece);
    }
  }

  /// An index some bytes further on.
  ///
  /// @param distance at most the data's size
  int advance(int index, int distance) {
    int next = index + distance;
    return next >= dataSize ? next - dataSize : next;
  }

  /// Bytes from one index to another.
  int distance(int from, int to) {
    return to >= from ? to - from : to - from + dataSize;
  }
}
