package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.MemoryRegion;
import dev.partita.hypervisor.GuestMemory;
import java.lang.foreign.Arena;

/// A partition's RAM in KVM, and the pages that its processors write ("KVM_GET_DIRTY_LOG" in the
/// kernel's Documentation/virt/kvm/api.rst). Thread-safe.
final class DirtyLog implements GuestMemory.DirtySource {
  /// KVM_MEM_LOG_DIRTY_PAGES.
  private static final int LOG_DIRTY_PAGES = 1;

  private final KvmDescriptor machine;
  private final GuestMemory memory;
  private boolean logging;
  private boolean closed;

  DirtyLog(KvmDescriptor machine, GuestMemory memory) {
    this.machine = machine;
    this.memory = memory;
    logging = memory.tracking();
    setRegions();
  }

  private void setRegions() {
    try (var arena = Arena.ofConfined()) {
      var request = arena.allocate(MemoryRegion.SIZE, 8);
      int slot = 0;
      for (var region : memory.regions()) {
        request.set(JAVA_INT, MemoryRegion.SLOT, slot++);
        request.set(JAVA_INT, MemoryRegion.FLAGS, logging ? LOG_DIRTY_PAGES : 0);
        request.set(JAVA_LONG, MemoryRegion.GUEST_ADDRESS, region.guestAddress());
        request.set(JAVA_LONG, MemoryRegion.BYTES, region.size());
        request.set(
            JAVA_LONG, MemoryRegion.HOST_ADDRESS, memory.segment().address() + region.offset());
        machine.call(Ioctl.KVM_SET_USER_MEMORY_REGION, request);
      }
    }
  }

  @Override
  public synchronized void trackingChanged(boolean on) {
    if (closed) {
      return;
    }
    if (on != logging) {
      // A log that begins has nothing in it.
      logging = on;
      setRegions();
    } else if (on) {
      read(false);
    }
  }

  @Override
  public synchronized void collect() {
    if (logging && !closed) {
      read(true);
    }
  }

  /// Takes the log, which KVM then begins anew.
  private void read(boolean mark) {
    try (var arena = Arena.ofConfined()) {
      int slot = 0;
      for (var region : memory.regions()) {
        long pages = region.size() / GuestMemory.PAGE_SIZE;
        var bitmap = arena.allocate((pages + 63) / 64 * 8, 8);
        var request = arena.allocate(Structures.DirtyLog.SIZE, 8);
        request.set(JAVA_INT, Structures.DirtyLog.SLOT, slot++);
        request.set(JAVA_LONG, Structures.DirtyLog.BITMAP, bitmap.address());
        machine.call(Ioctl.KVM_GET_DIRTY_LOG, request);
        for (long word = 0; mark && word < bitmap.byteSize() / 8; word++) {
          mark(region, word * 64, bitmap.getAtIndex(JAVA_LONG, word));
        }
      }
    }
  }

  /// @param bits of 64 pages from the first on
  private void mark(GuestMemory.Region region, long first, long bits) {
    long left = bits;
    while (left != 0) {
      int from = Long.numberOfTrailingZeros(left);
      int length = Long.numberOfTrailingZeros(~(left >>> from));
      memory.markDirty(
          region.guestAddress() + (first + from) * GuestMemory.PAGE_SIZE,
          (long) length * GuestMemory.PAGE_SIZE);
      left = from + length == 64 ? 0 : left & -1L << from + length;
    }
  }

  /// No call to KVM any more.
  synchronized void close() {
    closed = true;
  }
}
