package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.partita.engine.kvm.Structures.MemoryRegion;
import dev.partita.hypervisor.GuestMemory;
import java.lang.foreign.Arena;
import java.util.List;

/// A partition's RAM in KVM, and the pages that its processors write: from a ring of each processor
/// (KVM_CAP_DIRTY_LOG_RING), so that taking them costs by the page that was written; or, where the
/// kernel has no rings, from a bitmap of all RAM (KVM_GET_DIRTY_LOG). See the kernel's
/// Documentation/virt/kvm/api.rst. Thread-safe.
final class DirtyLog implements GuestMemory.DirtySource {
  /// KVM_MEM_LOG_DIRTY_PAGES.
  static final int LOG_DIRTY_PAGES = 1;

  private final KvmDescriptor machine;
  private final GuestMemory memory;

  /// The processors, if they have rings.
  private final List<KvmProcessor> ringOwners;

  private final boolean hasRings;
  private boolean logging;
  private boolean closed;

  /// @param ringOwners the processors, or those made so far
  /// @param hasRings whether each has a ring; otherwise nobody does
  DirtyLog(
      KvmDescriptor machine, GuestMemory memory, List<KvmProcessor> ringOwners, boolean hasRings) {
    this.machine = machine;
    this.memory = memory;
    this.ringOwners = ringOwners;
    this.hasRings = hasRings;
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
      // A bitmap that begins has nothing in it; a ring may still have something.
      logging = on;
      setRegions();
      if (hasRings && !on) {
        read(false);
      }
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

  /// A processor's ring is full: it does not run on before it was emptied. On its thread.
  synchronized void ringFull() {
    // Without waiting for the other processors: what they have at hand comes later.
    emptyRings(logging);
  }

  /// Takes the log, which KVM then begins anew.
  private void read(boolean mark) {
    if (hasRings) {
      // A processor may hold back what it wrote last until it leaves guest code.
      ringOwners.forEach(KvmProcessor::leaveGuest);
      emptyRings(mark);
    } else {
      readBitmaps(mark);
    }
  }

  private void emptyRings(boolean mark) {
    long pages = 0;
    for (var owner : ringOwners) {
      pages += owner.dirtyRing().take(mark ? this::mark : (_, _) -> {});
    }
    if (pages > 0) {
      // Only now these pages are watched again.
      int result;
      do {
        result = machine.tryCall(Ioctl.KVM_RESET_DIRTY_RINGS, 0);
      } while (result == -Posix.EINTR);
      if (result < 0) {
        throw KvmException.of(Ioctl.KVM_RESET_DIRTY_RINGS, -result);
      }
    }
  }

  private void mark(int slot, long page) {
    var region = memory.regions().get(slot);
    memory.markDirty(region.guestAddress() + page * GuestMemory.PAGE_SIZE, GuestMemory.PAGE_SIZE);
  }

  private void readBitmaps(boolean mark) {
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
