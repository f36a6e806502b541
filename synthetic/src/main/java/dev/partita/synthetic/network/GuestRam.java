package dev.partita.synthetic.network;

import dev.partita.hypervisor.GuestMemory;
import java.nio.ByteBuffer;

/// Guest memory for buffers of frames, without an object for each access. Any thread.
final class GuestRam {
  private static final int VIEW_SHIFT = 30;
  private static final int VIEW_MASK = (1 << VIEW_SHIFT) - 1;

  private final GuestMemory memory;

  /// A gibibyte each; a page lies in one.
  private final ByteBuffer[] views;

  GuestRam(GuestMemory memory) {
    this.memory = memory;
    long size = memory.size();
    views = new ByteBuffer[(int) (size + VIEW_MASK >> VIEW_SHIFT)];
    for (int i = 0; i < views.length; i++) {
      long from = (long) i << VIEW_SHIFT;
      views[i] =
          memory.segment().asSlice(from, Math.min(size - from, 1L << VIEW_SHIFT)).asByteBuffer();
    }
  }

  /// Whether a piece of one page is RAM.
  boolean contains(long address, int length) {
    return memory.contains(address, length);
  }

  /// Copies out of RAM.
  ///
  /// @param length bytes in one page
  void get(long address, ByteBuffer into, int at, int length) {
    long offset = memory.offset(address);
    into.put(at, views[(int) (offset >> VIEW_SHIFT)], (int) offset & VIEW_MASK, length);
  }

  /// Copies into RAM; {@link #written} is called afterwards.
  ///
  /// @param length bytes in one page
  void put(long address, ByteBuffer from, int at, int length) {
    long offset = memory.offset(address);
    views[(int) (offset >> VIEW_SHIFT)].put((int) offset & VIEW_MASK, from, at, length);
  }

  void written(long address, int length) {
    memory.written(address, length);
  }
}
